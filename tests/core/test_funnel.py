"""The funnel adds up in front of a reader: found = used + dropped, for masks and for clips."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from avsynth.core.funnel import (
    FUNNEL_COLUMNS,
    category_rows,
    exclusion_line,
    funnel_table,
    make_funnel,
    read_funnels,
    summary_line,
)
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.core.records import Triplet
from avsynth.core.tables import read_table
from avsynth.pipelines.build import build
from avsynth.pipelines.shard import shard
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from tests.conftest import make_toy_project

CAPS = (
    "fetch.sources=[]", "match.max_masks_per_category=9", "match.max_clips_per_category=4",
    "match.sizes={train: 90, val: 8, test: 8}", "shard.max_drop_frac=1.0",
)  # fmt: skip


def total(reasons: str) -> int:
    return sum(int(number.replace(",", "")) for number in re.findall(r"\s([\d,]+)(?:,|$)", reasons))


@pytest.fixture(scope="module", params=["instance", "union"])
def funnels(request, toy_world: Path, tmp_path_factory) -> dict[str, pd.DataFrame]:
    """Build with every kind of drop: caps, a full split, images that are gone before the shards."""
    root = make_toy_project(tmp_path_factory.mktemp(request.param) / "project", toy_world)
    layout, params = Layout(root), load_params(root, [*CAPS, f"match.mask_mode={request.param}"])
    found = dict(build(params, layout, Runtime()))
    for image in sorted((layout.raw / "lvis").rglob("*.jpg"))[:25]:
        image.unlink()
    found["shard"] = shard(params, layout, Runtime())
    triplets = read_table(layout.triplets_csv, Triplet)
    assert triplets["mask_id"].str.contains("+", regex=False).any() == (request.param == "union")
    return found


def test_masks_and_clips_add_up_for_every_category(funnels):
    rows = category_rows(funnels)
    for row in rows.to_dict("records"):
        for kind in ("masks", "clips"):
            dropped = total(row[f"{kind} dropped"])
            assert row[f"{kind} found"] == row[f"{kind} used"] + dropped, row
    assert rows["masks used"].sum() > 40
    reasons = " ".join(rows["masks dropped"])
    for reason in ("crowd", "over_category_cap", "split_full", "missing_image"):
        assert reason in reasons


def test_samples_are_counted_apart_from_masks(funnels):
    rows = category_rows(funnels)
    samples = rows[[f"{split} samples" for split in ("train", "val", "test")]].to_numpy().sum()
    shards, match = funnels["shard"], funnels["match"]
    ok = shards[shards["status"] == "ok"].groupby("kind")["count"].sum()
    assert samples == ok["sample"]
    assert rows["masks used"].sum() == ok["mask"] >= samples
    triplets = match[(match["kind"] == "triplet") & (match["status"] == "ok")]["count"].sum()
    assert triplets == shards.loc[shards["kind"] == "sample", "count"].sum()


def test_no_column_packs_two_facts(funnels):
    for frame in funnels.values():
        assert tuple(frame.columns) == FUNNEL_COLUMNS
        assert set(frame["status"]) <= {"ok", "dropped", "absent"}
        assert set(frame["split"]) <= {"", "train", "val", "test"}
        assert not frame.loc[frame["status"] == "ok", "reason"].any()
        assert not frame["source"].str.contains(":").any()


def test_the_printed_table_and_lines(funnels):
    screen = io.StringIO()
    Console(file=screen, width=160).print(funnel_table(funnels))
    text = screen.getvalue()
    rows = category_rows(funnels)
    assert re.search(rf"46 categories\s+{rows['masks found'].sum():,}\s", text)
    assert "found = used + dropped" in text
    line = summary_line("match", funnels["match"])
    assert re.fullmatch(
        r"match: \d+ masks ok, \d+ dropped \(.*split_full \d+.*\); \d+ clips ok, .*", line
    )
    assert re.match(r"shard: \d+ samples ok, \d+ dropped \(missing_image \d+\)", summary_line(
        "shard", funnels["shard"]
    ))  # fmt: skip
    assert re.search(r"videos: [1-9]\d* \(.*s4_meta_data\.csv \d+ listed", exclusion_line(
        funnels["match"]
    ))  # fmt: skip


def test_an_absent_list_is_reported():
    funnel = make_funnel([("match", "lists/mine.txt", "exclusion", "", "", "absent", "", 0)])
    assert exclusion_line(funnel).endswith("0 (lists/mine.txt is absent)")


def test_a_funnel_of_an_earlier_version_is_refused(tmp_path: Path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/lvis.csv").write_text("stage,source,category,status,reason,count\n")
    with pytest.raises(DataError, match="Run the stage that writes it again"):
        read_funnels(tmp_path)
