"""Benchmarks on the toy world, and on the official lists if the real data are available."""

import shutil
from collections import Counter

import pytest

from avsynth.benchmarks import BENCHMARKS
from avsynth.benchmarks.v3 import BY_SHOTS
from avsynth.formats.images import decode_mask
from avsynth.runtime.errors import DataError

FOLDERS = {"s4": "avsbench", "ms3": "avsbench", "v2": "avss"} | {
    benchmark.name: "avss" for benchmark in BY_SHOTS.values()
}
UNSEEN = {
    "baby", "bell", "boy", "clock", "donkey", "emergency-car", "girl", "guzheng", "harp",
    "helicopter", "hen", "leopard", "squirrel", "tiger",
}  # fmt: skip
ABSENT_AT_K_SHOTS = {"harp", "bell", "squirrel"}


def categories_of(clips):
    """Return the categories of AVSS clips; AVSS joins them by ``_``: ``girl_boy`` is two."""
    return {name for clip in clips for name in clip.category.split("_")}


@pytest.mark.parametrize("name", FOLDERS)
def test_toy_world_is_complete(name, toy_world):
    benchmark, root = BENCHMARKS[name], toy_world / FOLDERS[name]
    findings = benchmark.check(root)
    assert {f.split for f in findings} == set(benchmark.clips)
    assert all(f.found == f.expected > 0 for f in findings)
    samples = list(benchmark.iter_samples(root, "val"))
    frames = next(f.found for f in findings if (f.split, f.part) == ("val", "frames"))
    assert len(samples) == frames
    foreground = [decode_mask(s.mask_png).mean() for s in samples]
    assert 0 < max(foreground) < 0.9


@pytest.fixture
def official(realdata, tmp_path):
    """Write the official lists in their places, without images and audio."""
    lists = realdata / "avsbench" / "metadata"
    for source, target in (
        ("s4_meta_data.csv", "avsbench/Single-source/s4_meta_data.csv"),
        ("ms3_meta_data.csv", "avsbench/Multi-sources/ms3_meta_data.csv"),
        ("v3/metadata.csv", "avss/metadata.csv"),
    ):
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(lists / source, tmp_path / target)
    shutil.copytree(lists / "v3", tmp_path / "avss" / "v3")
    return tmp_path


@pytest.mark.parametrize("name", FOLDERS)
def test_official_lists_have_the_official_numbers(name, official):
    benchmark, root = BENCHMARKS[name], official / FOLDERS[name]
    counts = {split: len(benchmark.list_clips(root, split)) for split in benchmark.clips}
    assert counts == benchmark.clips


def test_official_mask_counts_and_missing_files(official):
    findings = BENCHMARKS["s4"].check(official / "avsbench")
    masks = {f.split: f.expected for f in findings if f.part == "masks"}
    assert masks == {"train": 3452, "val": 3700, "test": 3700}  # 10,852 in all
    assert {f.found for f in findings if f.part != "clips"} == {0}
    with pytest.raises(DataError, match=r"test: 0 of 3700 frames \(first missing: Single-source"):
        next(BENCHMARKS["s4"].iter_samples(official / "avsbench", "test"))


def test_official_s4_categories(official):
    clips = BENCHMARKS["s4"].list_clips(official / "avsbench", "test")
    counts = Counter(clip.category for clip in clips)
    assert len(counts) == 23
    assert (counts["ambulance_siren"], counts["race_car"], counts["female_singing"]) == (29, 31, 45)


def test_official_v3_category_sets(official):
    for shots, benchmark in BY_SHOTS.items():
        clips = benchmark.list_clips(official / "avss", "test")
        assert categories_of(clips) == (UNSEEN if shots == 0 else UNSEEN - ABSENT_AT_K_SHOTS)
    train, val = (BY_SHOTS[0].list_clips(official / "avss", split) for split in ("train", "val"))
    seen = categories_of(train + val)
    assert len(seen) == 58  # with background and off-the-screen
    assert not seen & UNSEEN


def test_official_k_shot_train_lists_are_nested(official):
    lists = [
        {c.clip_key for c in BY_SHOTS[k].list_clips(official / "avss", "train")} for k in (1, 3, 5)
    ]
    assert lists[0] < lists[1] < lists[2]


def test_one_clip_too_few_in_an_official_list(official, rewrite_csv):
    """Check that a clip moved to another split is found if the total is official."""
    path = official / "avsbench" / "Multi-sources" / "ms3_meta_data.csv"

    def move(rows):
        first_train = next(row for row in rows if row["split"] == "train")
        first_train["split"] = "val"
        return rows

    rewrite_csv(path, move)
    clips = {
        f.split: (f.expected, f.found)
        for f in BENCHMARKS["ms3"].check(official / "avsbench")
        if f.part == "clips"
    }
    assert clips == {"train": (296, 295), "val": (64, 65), "test": (64, 64)}
