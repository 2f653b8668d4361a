"""Loader: batches from shards, audio from the bank, faults that name the sample."""

import json

import numpy as np
import pytest
import torch

from avsynth.loading.audio_bank import AudioBank
from avsynth.loading.dataset import SampleSpec, ShardDataset, load
from avsynth.loading.sampler import Request, in_turn
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from tests.helpers.small import CATEGORIES, small_split, write_small_shards


def requests_of(split, frames):
    return [Request(0, i, part, 1.0) for i, part in enumerate(in_turn(split.groups, frames))]


def small_bank():
    rows = {f"vgg/{c}{n}": np.full((3, 128), 10 * k + n, np.float32)
            for k, c in enumerate(CATEGORIES) for n in range(4)}  # fmt: skip
    pool = {c: tuple((f"vgg/{c}{n}", (0, 2)) for n in range(3)) for c in CATEGORIES}
    return AudioBank(rows, pool, seed=5)


def test_a_batch_holds_frames_masks_and_sound_of_its_samples(tmp_path):
    write_small_shards(tmp_path, {"test": 3}, {"test": 2})
    split = small_split(tmp_path, "test", whole_clips=True)
    (_, batch), _ = load(split.dataset, requests_of(split, 4), Runtime())
    assert batch.keys == split.dataset.reader.keys[:4]
    assert batch.num_frames == 2
    assert batch.image.shape == (4, 3, 16, 16)
    assert batch.image.dtype == torch.uint8
    assert batch.frame_size == (16, 16)
    assert batch.logmel.shape == (4, 1, 96, 64)
    assert batch.audio_embedding is None
    assert batch.waveform is None
    # The first clip is low: the red, left half sounds; the second is high.
    assert batch.mask.unique().tolist() == [0, 1]
    assert batch.mask[0, :, :8].all()
    assert not batch.mask[0, :, 8:].any()
    assert batch.mask[2, :, 8:].all()
    assert not batch.mask[2, :, :8].any()


def test_batches_do_not_depend_on_the_number_of_workers(tmp_path):
    write_small_shards(tmp_path, {"train": 7})
    split = small_split(tmp_path, "train")
    view = SampleSpec(16, (16, 16), waveform=True)
    dataset = ShardDataset(split.dataset.reader, view, small_bank())
    one, two = (list(load(dataset, requests_of(split, 3), Runtime(workers=n))) for n in (1, 2))
    assert len(one) == len(two) == 3
    for (request, a), (other, b) in zip(one, two, strict=True):
        assert request == other
        assert a.keys == b.keys
        assert a.image.equal(b.image)
        assert a.mask.equal(b.mask)
        assert a.waveform.equal(b.waveform)
        assert a.audio_embedding.equal(b.audio_embedding)


def test_sound_is_drawn_from_the_categorys_training_pool_anew_each_epoch(tmp_path):
    write_small_shards(tmp_path, {"train": 8})
    split = small_split(tmp_path, "train")
    dataset = ShardDataset(split.dataset.reader, SampleSpec(16, (16, 16)), small_bank())
    drawn = []
    for epoch in range(12):
        request = Request(epoch, 0, tuple(split.groups), 1.0)
        (_, batch), (_, again) = load(dataset, [request, request], Runtime())
        assert batch.logmel is None
        assert batch.audio_embedding.equal(again.audio_embedding)
        drawn.append(batch.audio_embedding[:, 0])
    values = torch.stack(drawn)
    low = [k.startswith("low") for k in batch.keys]
    assert set(values[:, low].flatten().tolist()) == {0, 1, 2}  # 3 is not in the pool
    assert set(values[:, [not one for one in low]].flatten().tolist()) == {10, 11, 12}


@pytest.mark.parametrize("what", ["cut", "part", "png"])
def test_a_damaged_sample_is_named(tmp_path, what):
    write_small_shards(tmp_path, {"test": 3})
    tar = tmp_path / "test-00000.tar"
    data, index = bytearray(tar.read_bytes()), json.loads((tmp_path / "index.json").read_text())
    shard = index["shards"][0]
    start, key = shard["offsets"][1], shard["keys"][1]
    if what == "cut":  # the shard ends in the middle of the second sample, the index agrees
        del data[start + 700 :]
        shard["bytes"], shard["offsets"][2] = len(data) + 1024, len(data)
        data += bytes(1024)
    elif what == "part":
        data[start : start + 100] = f"{key}.sound.flac".encode().ljust(100, b"\0")
        data = data.replace(f"{key}.mask.png".encode(), f"{key}.musk.png".encode())
    else:
        at = data.index(b"IHDR", start)
        data[at : at + 40] = bytes(40)
    tar.write_bytes(data)
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=rf"{key}.*(whole JPEG or PNG|lies whole)"):
        split = small_split(tmp_path, "test")
        list(load(split.dataset, requests_of(split, 3), Runtime()))


def test_a_fault_in_a_worker_is_the_same_message(tmp_path):
    write_small_shards(tmp_path, {"test": 3})
    tar = tmp_path / "test-00000.tar"
    split = small_split(tmp_path, "test")
    data = bytearray(tar.read_bytes())
    at = data.index(b"IHDR")
    data[at : at + 40] = bytes(40)
    tar.write_bytes(data)
    key = split.dataset.reader.keys[0]
    for workers in (1, 2):
        with pytest.raises(DataError, match=f"{key}.image: expected a whole JPEG or PNG"):
            list(load(split.dataset, requests_of(split, 1), Runtime(workers=workers)))


def test_frames_of_two_sizes_need_a_size_or_a_batch_each(tmp_path):
    write_small_shards(tmp_path, {"test": 2})
    split = small_split(tmp_path, "test")
    own = ShardDataset(split.dataset.reader, SampleSpec(16, None))
    _, batch = next(load(own, requests_of(split, 1), Runtime()))
    assert batch.frame_size == (20, 24)
    assert batch.mask.shape == (1, 20, 24)
