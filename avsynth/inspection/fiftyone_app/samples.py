"""Which samples are looked at, and what is known of them before any pixel is read.

Sizes, boxes, areas and loudness come from the tables of the build, when they are there; a
dataset without tables (a converted benchmark) is measured from its masks and sounds.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from avsynth.core.cache import cache_root
from avsynth.core.files import atomic_file
from avsynth.core.hashing import order_key
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip, MaskRecord
from avsynth.core.tables import read_table
from avsynth.formats.images import decode_mask
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import decode_flac, rms_db
from avsynth.inspection.fiftyone_app.media import MASK, tight_box
from avsynth.runtime.errors import ConfigError, DataError, suggest
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track

FROM_META = (
    "category", "label", "mask_source", "mask_id", "image_id", "clip_source", "clip_id", "second",
    "clip_key", "image_licence", "audio_licence", "image_url", "audio_url",
)  # fmt: skip
MEASURED = (
    "height_px", "width_px", "x0_px", "y0_px", "x1_px", "y1_px", "area_frac", "loudness_db",
)  # fmt: skip
COLUMNS = ("key", "split", "tar", "image", *FROM_META, *MEASURED)
SILENCE_DB = -200.0
"""Stands for digital silence, whose level is no number."""
TAR_DIGITS = 16
FACTS_FILE = "facts.json"
"""Beside a tar's files in the cache: key -> `MEASURED`."""
Facts = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Selection:
    """What to look at; None means no limit."""

    category: str | None = None
    where: str | None = None
    """A condition on the columns, as pandas reads it: ``area_frac < 0.01 and split == 'test'``."""
    max: int | None = None
    """At most so many samples, drawn by their keys, so that the same ones come again."""


def select_rows(
    layout: Layout, dataset: str, selection: Selection, runtime: Runtime
) -> pd.DataFrame:
    """List the samples of a dataset: `COLUMNS`, in the order of the shards.

    Args:
        layout: of the project.
        dataset: a folder below data/shards.
        selection: which samples.
        runtime: workers for measuring, and the cache that what was measured is kept in.

    Raises:
        DataError: no such dataset, a damaged shard, or nothing is selected.
        ConfigError: an unknown category, or a condition that pandas refuses.
    """
    reader = ShardReader(layout.shards(dataset))
    first, last = selection, Selection()
    if selection.where is not None:  # It may ask for what has to be measured.
        first, last = Selection(selection.category), selection
    rows = choose(_of_shards(reader), first)
    rows = _measured(layout, rows, dataset, runtime)[list(COLUMNS)]
    return choose(rows, last).reset_index(drop=True)


def choose(rows: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Take the rows that are asked for.

    Args:
        rows: with the columns key and category.
        selection: which.

    Raises:
        DataError: there are none.
        ConfigError: an unknown category, or a condition that pandas refuses.
    """
    if selection.category is not None:
        known = rows["category"].unique()
        if selection.category not in known:
            raise ConfigError(
                "--category", "a category that is there", repr(selection.category),
                suggest(selection.category, map(str, known)),
            )  # fmt: skip
        rows = rows[rows["category"] == selection.category]
    if selection.where is not None:
        rows = _where(rows, selection.where)
    rows = _limited(rows, selection.max)
    if rows.empty:
        raise DataError("inspect", "rows to show", "none", "Ask for less with --where.")
    return rows


def tar_name(sha256: str) -> str:
    """Name the folder of a tar's files in the cache."""
    return sha256[:TAR_DIGITS]


def _of_shards(reader: ShardReader) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []
    for shard in reader.shards:
        tar = tar_name(shard.sha256)
        for key in shard.keys:
            meta = reader.meta(key)
            image = next(name for name in reader.names(key) if name.startswith("image."))
            rows.append((key, shard.split, tar, image, *(meta.get(n, "") for n in FROM_META)))
        reader.close()  # The pages of all tars together may be more than fits in memory.
    return pd.DataFrame(rows, columns=[*COLUMNS[: -len(MEASURED)]])


def _limited(rows: pd.DataFrame, most: int | None) -> pd.DataFrame:
    if most is None or len(rows) <= most:
        return rows
    lots = rows["key"].map(lambda key: order_key(key))
    return rows.loc[sorted(lots.sort_values().index[:most])]


def _where(rows: pd.DataFrame, condition: str) -> pd.DataFrame:
    try:
        chosen = rows.query(condition)
    except Exception as error:  # pandas raises whatever its parser meets
        fix = f"Write a condition on: {', '.join(COLUMNS)}."
        raise ConfigError("--where", "a condition", f"{condition!r} ({error})", fix) from None
    if not isinstance(chosen, pd.DataFrame):
        raise ConfigError("--where", "a condition", repr(condition), "Compare a column.")
    return chosen


def _measured(layout: Layout, rows: pd.DataFrame, dataset: str, runtime: Runtime) -> pd.DataFrame:
    """Add `MEASURED`: from the tables where they know a sample, else from its shard."""
    rows = rows.merge(_mask_facts(layout), how="left", on=["mask_source", "mask_id"])
    rows["loudness_db"] = _loudness(layout, rows)
    unknown = rows["height_px"].isna() | rows["loudness_db"].isna()
    tars = [(str(tar), list(part["key"])) for tar, part in rows[unknown].groupby("tar")]
    measure = partial(_measure_tar, layout.shards(dataset), cache_root(runtime) / "inspect")
    facts: Facts = {}
    for found in track(map_items(measure, tars, runtime), "measured", len(tars), runtime):
        facts |= found
    measured = [facts[str(key)] for key in rows.loc[unknown, "key"]]
    for name, values in zip(MEASURED, zip(*measured, strict=True), strict=False):
        rows.loc[unknown, name] = values
    whole = list(MEASURED[:6])
    rows[whole] = rows[whole].astype("int64")
    return rows


def _mask_facts(layout: Layout) -> pd.DataFrame:
    columns = [name for name in MEASURED if name != "loudness_db"]
    tables = [
        read_table(path, MaskRecord, ("source", "mask_id", *columns))
        for path in sorted(layout.masks("any").parent.glob("*.parquet"))
    ]
    if not tables:
        return pd.DataFrame(columns=["mask_source", "mask_id", *columns])
    table = pd.concat(tables).rename(columns={"source": "mask_source"})
    return table.drop_duplicates(["mask_source", "mask_id"])


def _loudness(layout: Layout, rows: pd.DataFrame) -> list[float]:
    """Look the loudness of every sample's second up; NaN where no table knows it."""
    known: dict[tuple[str, str], str] = {}
    for path in sorted(layout.audio("any").parent.glob("*.parquet")):
        table = read_table(path, AudioClip, ("source", "clip_id", "second_db"))
        known |= dict(zip(zip(table.source, table.clip_id, strict=True), table.second_db,
                          strict=True))  # fmt: skip
    levels = []
    for source, clip, second in zip(rows.clip_source, rows.clip_id, rows.second, strict=True):
        listed = known.get((source, clip), "").split()
        there = isinstance(second, int) and second < len(listed)
        levels.append(max(float(listed[second]), SILENCE_DB) if there else float("nan"))
    return levels


def _measure_tar(folder: Path, cache: Path, wanted: tuple[str, list[str]]) -> Facts:
    """Measure samples of one tar, those that were never measured before."""
    tar, keys = wanted
    path = cache / tar / FACTS_FILE
    try:
        known: Facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        known = {}
    missing = [key for key in keys if key not in known]
    if missing:
        reader = ShardReader(folder)
        known |= {key: _measure(reader.parts(key)) for key in missing}
        with atomic_file(path, concurrent=True) as temporary:
            temporary.write_text(json.dumps(known))
    return {key: known[key] for key in keys}


def _measure(parts: dict[str, bytes]) -> list[float]:
    mask = decode_mask(parts[MASK])
    loudness = max(rms_db(decode_flac(parts["audio.flac"])), SILENCE_DB)
    return [*mask.shape, *tight_box(mask), float(mask.mean()), loudness]


def dataset_of_tar(layout: Layout, tar: str) -> Path | None:
    """Find the folder of shards that holds the tar of this name in the cache."""
    for index in sorted(layout.shards("any").parent.glob("*/index.json")):
        shards = json.loads(index.read_bytes()).get("shards", [])
        if any(tar_name(shard["sha256"]) == tar for shard in shards):
            return index.parent
    return None
