"""The build from the command line, on the toy world and on real data."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools import mask as mask_api

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.core.records import MaskRecord, Triplet
from avsynth.core.tables import read_table
from avsynth.formats.logmel import logmel
from avsynth.formats.shards import ShardReader, read_index
from avsynth.formats.waveform import read_audio
from avsynth.pipelines.build import build
from avsynth.pipelines.shard import shard
from avsynth.runtime.errors import DropLimitError
from avsynth.runtime.options import Runtime
from tests.conftest import TOY_SETTINGS, make_toy_project

SHARDS = Path("data/shards/avs-synthetic")


def type_build(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    settings = [part for setting in TOY_SETTINGS for part in ("-S", setting)]
    command = [sys.executable, "-m", "avsynth", "build", "--root", str(root), *settings, *options]
    return subprocess.run(command, capture_output=True, text=True)


def content(root: Path) -> dict[str, bytes]:
    files = sorted(p for p in (root / SHARDS).rglob("*") if p.is_file())
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


def test_every_triplet_is_one_sample_of_its_split(built: Path):
    triplets = read_table(Layout(built).triplets_csv, Triplet)
    triplets = triplets[triplets["status"] == "ok"]
    for split, group in triplets.groupby("split"):
        keys = set(group["category"] + "-" + group["triplet_id"].str[:10])
        assert set(ShardReader(built / SHARDS, str(split)).keys) == keys
    assert set(triplets["split"]) == {"train", "val", "test"}


def test_a_sample_contains_the_image_mask_and_second_of_its_source(built: Path):
    layout = Layout(built)
    masks = read_table(layout.masks("lvis"), MaskRecord).set_index("mask_id")
    checked = 0
    for _, parts in ShardReader(built / SHARDS):
        meta = json.loads(parts["meta.json"])
        if meta["mask_source"] != "lvis":
            continue
        row = masks.loc[meta["mask_id"]]
        assert parts["image.jpg"] == (layout.raw / "lvis" / row["image_path"]).read_bytes()
        expected = mask_api.decode(
            {"size": [int(row["height_px"]), int(row["width_px"])], "counts": row["rle"]}
        )
        with Image.open(io.BytesIO(parts["mask.png"])) as png:
            assert np.array_equal(np.asarray(png.convert("L")) > 0, expected > 0)
        sound = np.load(io.BytesIO(parts["logmel.npy"]))
        assert sound.shape == (1, 96, 64)
        assert sound.dtype == np.float32
        checked += 1
    assert checked > 50


def test_the_audio_of_a_sample_is_its_second_of_the_clip(built: Path, tmp_path: Path):
    checked = 0
    for _, parts in ShardReader(built / SHARDS, "test"):
        meta = json.loads(parts["meta.json"])
        (tmp_path / "a.flac").write_bytes(parts["audio.flac"])
        heard, rate = read_audio(tmp_path / "a.flac")
        clip = next((built / "data/raw/vggsound/audio").glob(meta["clip_id"] + ".*"))
        whole, _ = read_audio(clip)
        start = meta["second"] * rate
        assert np.abs(heard - whole[start : start + rate]).max() <= 1 / 32768
        assert np.allclose(np.load(io.BytesIO(parts["logmel.npy"])), logmel(heard)[0], atol=1e-4)
        checked += 1
    assert checked > 5


def test_no_image_and_no_video_is_in_two_splits(built: Path):
    splits: dict[str, set[str]] = {}
    for key, parts in ShardReader(built / SHARDS):
        meta = json.loads(parts["meta.json"])
        splits.setdefault("image " + meta["image_id"], set()).add(meta["split"])
        splits.setdefault("video " + meta["video_id"], set()).add(meta["split"])
        assert "." not in key
    assert len(splits) > 100
    assert all(len(found) == 1 for found in splits.values())


def test_no_benchmark_video_is_used(built: Path):
    s4 = pd.read_csv(built / "data/raw/avsbench/Single-source/s4_meta_data.csv")
    evaluated = set(s4.loc[s4["split"] != "train", "name"])
    heard = {json.loads(p["meta.json"])["video_id"] for _, p in ShardReader(built / SHARDS)}
    listed = pd.read_csv(built / "data/raw/vggsound/vggsound.csv", header=None)[0]
    assert evaluated & set(listed), "the toy world contains leaked videos"
    assert not evaluated & heard


def test_two_workers_write_the_same_bytes_as_one(built: Path, toy_world: Path, tmp_path: Path):
    root = make_toy_project(tmp_path / "other place", toy_world)
    result = type_build(root, "--workers", "2", "--executor", "process")
    assert result.returncode == 0, result.stderr
    assert content(root) == content(built)
    for name in ("triplets.csv", "clips.csv", "categories.csv"):
        ours, theirs = (r / "data/interim" / name for r in (root, built))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("part_done", [0.1, 0.5, 0.9])
def test_a_killed_stage_resumes_with_the_same_bytes(
    built: Path, toy_world: Path, tmp_path: Path, part_done: float
):
    root = make_toy_project(tmp_path / "project", toy_world)
    shutil.copytree(built / "data/interim", root / "data/interim")
    command = [sys.executable, "-m", "avsynth", "shard", "--root", str(root)]
    child = subprocess.Popen(command)
    staging = Layout(root).staging("avs-synthetic")
    wanted = round(part_done * len(read_index(built / SHARDS)))
    deadline = time.monotonic() + 120
    while len(list(staging.glob("*.tar"))) < wanted and not (root / SHARDS).is_dir():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert "index.json" not in {p.name for p in (root / SHARDS).glob("*")} or (
        content(root) == content(built)
    )
    assert subprocess.run(command).returncode == 0
    assert content(root) == content(built)
    assert not list((root / "data").rglob("*.tmp"))


def break_project(built: Path, root: Path) -> Layout:
    """Copy a build's tables and raw data, so that a test can damage single files."""
    shutil.copytree(built, root, ignore=shutil.ignore_patterns("shards"))
    return Layout(root)


def test_a_source_that_cannot_be_decoded_is_a_counted_drop(built: Path, tmp_path: Path):
    layout = break_project(built, tmp_path / "broken")
    triplets = read_table(layout.triplets_csv, Triplet)
    used = triplets[(triplets["status"] == "ok") & (triplets["mask_source"] == "lvis")]
    paths = read_table(layout.masks("lvis"), MaskRecord).set_index("mask_id")["image_path"]
    images = list(dict.fromkeys(paths[used["mask_id"]]))[:4]
    whole = [layout.raw / "lvis" / path for path in images]
    whole[0].write_bytes(whole[0].read_bytes()[:-700])
    whole[1].write_bytes(b"no picture")
    whole[2].unlink()
    Image.new("RGB", (10, 10)).save(whole[3], "JPEG")
    heard = used["clip_id"].iloc[0]
    clip = next((layout.raw / "vggsound/audio").glob(f"{heard}.*"))
    clip.write_bytes(clip.read_bytes()[:4000])
    params = load_params(layout.root, [*TOY_SETTINGS, "shard.max_drop_frac=0.5"])
    funnel = shard(params, layout, Runtime())
    funnel = funnel[funnel["kind"] == "sample"]
    dropped = funnel[funnel["status"] == "dropped"].groupby("reason")["count"].sum()
    assert set(dropped.index) == {
        "undecodable_image", "missing_image", "size_mismatch", "undecodable_audio",
    }  # fmt: skip
    assert funnel["count"].sum() == (triplets["status"] == "ok").sum()
    with pytest.raises(DropLimitError, match=r"shard\.max_drop_frac"):
        shard(
            load_params(layout.root, [*TOY_SETTINGS, "shard.max_drop_frac=0.0"]), layout, Runtime()
        )


def test_union_masks_join_the_instances_of_an_image(toy_world: Path, tmp_path: Path):
    root = make_toy_project(tmp_path / "project", toy_world)
    params = load_params(root, [*TOY_SETTINGS, "match.mask_mode=union"])
    layout = Layout(root)
    for _ in build(params, layout, Runtime()):
        pass
    united = 0
    for _, parts in ShardReader(root / SHARDS):
        meta = json.loads(parts["meta.json"])
        ids = meta["mask_id"].split("+")
        if len(ids) > 1 and meta["mask_source"] == "lvis":
            table = read_table(layout.masks("lvis"), MaskRecord).set_index("mask_id")
            size = [int(table.at[ids[0], "height_px"]), int(table.at[ids[0], "width_px"])]
            one_by_one = [
                mask_api.decode({"size": size, "counts": table.at[i, "rle"]}) for i in ids
            ]
            with Image.open(io.BytesIO(parts["mask.png"])) as png:
                assert np.array_equal(np.asarray(png.convert("L")) > 0, np.any(one_by_one, axis=0))
            united += 1
    assert united >= 3


def test_real_images_masks_and_audio(realdata: Path, tmp_path: Path):
    """Build real data, linked as ``real``, with the params file in this folder."""
    (tmp_path / "real").symlink_to(realdata)
    shutil.copy(Path(__file__).with_name("real_sources.yaml"), tmp_path / "params.yaml")
    command = [sys.executable, "-m", "avsynth", "build", "--root", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    counts = {
        split: len(ShardReader(tmp_path / SHARDS, split)) for split in ("train", "val", "test")
    }
    assert sum(counts.values()) > 100, counts
    sources = {json.loads(p["meta.json"])["clip_source"] for _, p in ShardReader(tmp_path / SHARDS)}
    assert sources == {"folder", "vggsound"}
    assert "s4_meta_data.csv" in result.stdout
    funnel = pd.read_csv(tmp_path / "reports/funnel/audio/vggsound.csv")
    assert funnel.loc[funnel["reason"] == "missing_file", "count"].sum() > 10_000
    text = b"".join(p.read_bytes() for p in (tmp_path / "data/interim").rglob("*.csv"))
    assert str(realdata).encode() not in text


def test_other_code_writes_tars_again_and_the_same_code_keeps_them(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / "project"
    shutil.copytree(built, root, copy_function=shutil.copy2)
    params, layout = load_params(root, TOY_SETTINGS), Layout(root)

    def files() -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in (root / SHARDS).glob("*.tar")}

    shard(params, layout, Runtime(1, "serial"))
    first = files()
    shard(params, layout, Runtime(1, "serial"))
    assert files() == first
    monkeypatch.setattr("avsynth.pipelines.shard.source_digest", lambda *modules: "changed")
    shard(params, layout, Runtime(1, "serial"))
    assert not set(files().items()) & set(first.items())
    assert content(root) == content(built)
