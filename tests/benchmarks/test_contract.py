"""Contract of all benchmarks, on small worlds in the official layouts."""

import io
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from avsynth.benchmarks import BENCHMARKS
from avsynth.formats.shards import ShardReader, write_index, write_shard
from avsynth.formats.waveform import decode_flac
from avsynth.runtime.errors import ConfigError, DataError

FROM_FILES = [name for name in BENCHMARKS if name != "synthetic"]
WITH_LOGMEL_FILES = ("s4", "ms3")
FRAMES = {
    "s4": {"train": 2, "val": 10, "test": 10},
    "ms3": {"train": 5, "val": 5, "test": 5},
    "v2": {"train": 20, "val": 20, "test": 20},
    "v3": {"train": 15, "val": 10, "test": 40},
    "v3-1shot": {"train": 10, "val": 10, "test": 20},
    "v3-3shot": {"train": 10, "val": 10, "test": 20},
    "v3-5shot": {"train": 10, "val": 10, "test": 20},
    "flickr": {"test": 2},
}


def test_every_benchmark_is_tested():
    assert set(FRAMES) == set(FROM_FILES)
    assert all(set(FRAMES[name]) == set(BENCHMARKS[name].clips) for name in FROM_FILES)
    assert all(name == benchmark.name for name, benchmark in BENCHMARKS.items())


@pytest.mark.parametrize("name", FROM_FILES)
def test_two_benchmarks_have_log_mel_files(name, roots):
    found = {clip.logmel is not None for clip in BENCHMARKS[name].list_clips(roots(name), "test")}
    assert found == {name in WITH_LOGMEL_FILES}


@pytest.mark.parametrize("name", FROM_FILES)
def test_samples_keep_the_contract(name, roots):
    root = roots(name)
    for split, count in FRAMES[name].items():
        samples = list(BENCHMARKS[name].iter_samples(root, split))
        assert len(samples) == count
        assert len({s.key for s in samples}) == count
        assert not any(set(s.key) & set("./ ") for s in samples)
        clips = [list(g) for _, g in groupby(samples, lambda s: s.meta["clip_key"])]
        assert len({c[0].meta["clip_key"] for c in clips}) == len(clips)  # adjacent
        for clip in clips:
            assert [s.meta["frame_index"] for s in clip] == list(range(len(clip)))
            assert {s.meta["num_frames"] for s in clip} == {len(clip)}
        for sample in samples:
            _check_sample(sample, name, split)


def _check_sample(sample, name, split):
    image = Image.open(io.BytesIO(sample.image))
    mask = Image.open(io.BytesIO(sample.mask_png))
    assert mask.size == image.size
    assert mask.mode in ("1", "L")
    assert image.format == {"png": "PNG", "jpg": "JPEG"}[sample.image_ext]
    assert decode_flac(sample.audio_flac).shape == (16000,)
    patch = np.load(io.BytesIO(sample.logmel_npy), allow_pickle=False)
    assert (patch.dtype, patch.shape) == (np.float32, (1, 96, 64))
    meta = sample.meta
    assert json.loads(json.dumps(meta)) == meta
    assert (meta["benchmark"], meta["split"], meta["has_mask"]) == (name, split, True)
    assert {"schema", "version", "category", "second", "licence"} <= set(meta)
    assert meta["category"]


@pytest.mark.parametrize("name", FROM_FILES)
def test_same_bytes_twice_and_through_a_shard(name, roots, tmp_path):
    root, benchmark = roots(name), BENCHMARKS[name]
    once, twice = (list(benchmark.iter_samples(root, "test")) for _ in range(2))
    assert once == twice
    info = write_shard(tmp_path / "out" / "test-00000.tar", "test", once)
    write_index(tmp_path / "out", name, [info])
    reader = ShardReader(tmp_path / "out")
    assert reader.keys == tuple(s.key for s in once)
    assert reader.meta(once[0].key) == once[0].meta


@pytest.mark.parametrize("name", FROM_FILES)
def test_check_of_a_complete_world(name, roots):
    findings = BENCHMARKS[name].check(roots(name))
    assert {f.split for f in findings} == set(FRAMES[name])
    assert all(f.found == f.expected > 0 for f in findings)
    frames = {f.split: f.found for f in findings if f.part == "frames"}
    assert frames == FRAMES[name]


PARTS = [(name, part) for name in FROM_FILES for part in ("images", "masks", "audio")]
PARTS += [(name, "logmel") for name in WITH_LOGMEL_FILES]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_missing_file_is_named_before_the_first_sample(name, part, roots):
    root, benchmark = roots(name), BENCHMARKS[name]
    clip = benchmark.list_clips(root, "test")[0]
    gone = getattr(clip, part)
    path = gone[-1] if isinstance(gone, tuple) else gone
    path.unlink()
    relative = path.relative_to(root).as_posix()
    with pytest.raises(DataError) as error:
        next(benchmark.iter_samples(root, "test"))
    assert relative in str(error.value)
    broken = [f for f in benchmark.check(root, "test") if f.found != f.expected]
    assert [(f.expected - f.found, f.missing) for f in broken] == [(1, (relative,))]
    assert f"{broken[0].found} of {broken[0].expected} {broken[0].part}" in str(error.value)


@pytest.mark.parametrize("name", FROM_FILES)
def test_damaged_files_are_named(name, roots):
    root, benchmark = roots(name), BENCHMARKS[name]
    clip = benchmark.list_clips(root, "test")[0]
    for path in (clip.images[0], clip.masks[0], clip.audio):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=path.name.replace(".", r"\.")):
            list(benchmark.iter_samples(root, "test"))
        path.write_bytes(whole)
    assert list(benchmark.iter_samples(root, "test"))


def test_official_numbers_apply_if_the_total_is_official(avsbench):
    """Check that only a list of the official length needs the official splits."""
    ms3 = BENCHMARKS["ms3"]
    findings = ms3.check(avsbench)
    assert {f.split for f in findings} == {"train", "val", "test"}
    assert all(f.found == f.expected for f in findings)
    same_total = replace(ms3, clips={"train": 0, "val": 2, "test": 1})
    found = {
        f.split: (f.expected, f.found) for f in same_total.check(avsbench) if f.part == "clips"
    }
    assert found == {"train": (0, 1), "val": (2, 1), "test": (1, 1)}
    with pytest.raises(DataError, match="val: 1 of 2 clips"):
        next(same_total.iter_samples(avsbench, "val"))


@pytest.mark.parametrize("name", FROM_FILES)
def test_an_unknown_split_is_refused(name, roots):
    with pytest.raises(ConfigError, match="split"):
        next(BENCHMARKS[name].iter_samples(roots(name), "tset"))


@pytest.mark.parametrize("name", FROM_FILES)
def test_an_absent_list_is_refused(name, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        BENCHMARKS[name].check(tmp_path)


def test_synthetic_has_nothing_to_convert(tmp_path):
    synthetic = BENCHMARKS["synthetic"]
    assert sum(synthetic.clips.values()) == 62_609
    assert list(synthetic.iter_samples(tmp_path, "test")) == []
    assert all(f.found == f.expected for f in synthetic.check(tmp_path))


@pytest.mark.parametrize("name", FROM_FILES)
def test_a_worker_process_can_read_clips(name, roots):
    """Check that benchmark and clips can be pickled, so that several workers can read clips."""
    benchmark = BENCHMARKS[name]
    twin, clips = pickle.loads(pickle.dumps((benchmark, _clips(benchmark, roots))))
    assert twin.clips == benchmark.clips
    assert list(twin.read_clip(clips[0])) == list(benchmark.read_clip(clips[0]))


def _clips(benchmark, roots):
    return benchmark.list_clips(roots(benchmark.name), "test")


def test_listing_needs_no_torch():
    code = "import avsynth.benchmarks, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
