"""Audio bank: an embedding of every second of every clip, kept in the cache, drawn by seed."""

import numpy as np
import pandas as pd
import pytest
import torch

from avsynth.formats.logmel import logmel
from avsynth.formats.waveform import encode_flac, quantise, second_db
from avsynth.loading.audio_bank import BankClip, bank_clips, build_bank, embed_own_audio
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from tests.helpers.small import small_split, write_small_shards


def embed(logmels):
    """Stand in for VGGish: the log-mel's mean spectrum, twice."""
    return logmels.mean(dim=(1, 2)).repeat(1, 2)


@pytest.fixture
def clips(tmp_path):
    rng = np.random.default_rng(0)
    found = []
    for number in range(6):
        loud = np.repeat(rng.permutation([0.2, 0.2, 0.0001]), 16_000)
        wave = quantise((loud * rng.standard_normal(48_000)).clip(-1, 1).astype(np.float32))
        path = tmp_path / f"{number}.flac"
        path.write_bytes(encode_flac(wave))
        db = " ".join(f"{level:.1f}" for level in second_db(wave))
        split = "train" if number < 4 else "test"
        found.append(BankClip(f"vgg/{number}", path, "dog" if number % 2 else "cat", split, db))
    return found


def bank_of(clips, tmp_path, digest="weights", seed=0, network=embed):
    runtime = Runtime(cache_dir=tmp_path / "cache", quiet=True)
    return build_bank(clips, network, digest, quiet_db=-50.0, seed=seed, runtime=runtime)


def test_every_second_of_every_clip_has_its_embedding(clips, tmp_path):
    from avsynth.formats.waveform import read_audio

    bank = bank_of(clips, tmp_path)
    assert len(bank.seconds) == 6
    for clip in clips:
        wave = read_audio(clip.path)[0]
        for second in range(3):
            patch = logmel(wave[second * 16_000 : (second + 1) * 16_000])
            expected = embed(torch.from_numpy(patch))[0].numpy()
            assert np.allclose(bank.embedding(clip.clip_id, second), expected, atol=1e-6)


def test_drawn_seconds_are_loud_and_of_the_training_pool(clips, tmp_path):
    bank = bank_of(clips, tmp_path)
    allowed = {
        tuple(bank.embedding(c.clip_id, s))
        for c in clips
        if c.category == "dog" and c.split == "train"
        for s, db in enumerate(c.second_db.split())
        if float(db) >= -50
    }
    drawn = {tuple(bank.sample("dog", epoch, "key")) for epoch in range(200)}
    assert drawn == allowed
    assert len(allowed) == 4
    again, other = bank_of(clips, tmp_path), bank_of(clips, tmp_path, seed=1)
    series = [[tuple(b.sample("cat", e, "k")) for e in range(20)] for b in (bank, again, other)]
    assert series[0] == series[1] != series[2]


def test_the_bank_is_made_once_for_the_same_clips_and_weights(clips, tmp_path):
    calls = []

    def counting(logmels):
        calls.append(len(logmels))
        return embed(logmels)

    for digest in ("a", "a", "b"):
        bank_of(clips, tmp_path, digest, network=counting)
    assert sum(calls) == 2 * 18
    bank_of(list(reversed(clips)), tmp_path, "b", network=counting)
    assert sum(calls) == 2 * 18
    assert not bank_of(clips, tmp_path).embedding("vgg/0", 0).flags.owndata


def test_what_the_bank_does_not_have_is_said(clips, tmp_path):
    bank = bank_of(clips, tmp_path)
    with pytest.raises(DataError, match="second 3 of clip 'vgg/0'; found 3 seconds"):
        bank.embedding("vgg/0", 3)
    with pytest.raises(DataError, match="training clips of 'bus'"):
        bank.sample("bus", 0, "k")
    clips[2].path.write_bytes(b"fLaC")
    with pytest.raises(DataError, match=r"2\.flac"):
        bank_of(clips, tmp_path)
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_dropped_clips_are_not_pooled(tmp_path):
    columns = ["clip_source", "clip_id", "category", "split", "second_db", "status"]
    rows = [
        ("vgg", "a", "dog", "train", "-20.0", "ok"),
        ("vgg", "b", "dog", "", "-20.0", "dropped"),
    ]
    pool = pd.DataFrame(rows, columns=columns)
    table = pd.DataFrame({"source": ["vgg"] * 2, "clip_id": ["a", "b"], "audio_path": ["x/a", "b"]})
    (only,) = bank_clips(pool, table, {"vgg": tmp_path})
    assert only == BankClip("vgg/a", tmp_path / "x/a", "dog", "train", "-20.0")


def test_own_sounds_are_embedded_once_for_the_same_shards_and_weights(tmp_path):
    write_small_shards(tmp_path / "data", {"train": 5})
    dataset = small_split(tmp_path / "data", "train").dataset
    runtime, calls = Runtime(cache_dir=tmp_path / "cache", quiet=True), []

    def network(logmels):
        calls.append(len(logmels))
        return embed(logmels)

    for digest in ("weights", "weights", "others"):
        sounds = embed_own_audio(dataset.reader, dataset.logmels, network, digest, runtime)
        for key in dataset.reader.keys:
            expected = embed(dataset.logmels([key]))[0].numpy()
            for epoch in (0, 7):
                assert np.allclose(sounds.sample("any", epoch, key), expected, atol=1e-6)
    assert calls == [5, 5]


def test_a_damaged_sample_is_named_when_its_sound_is_embedded(tmp_path):
    write_small_shards(tmp_path / "data", {"train": 2})
    dataset = small_split(tmp_path / "data", "train").dataset
    key = dataset.reader.keys[1]
    tar = next((tmp_path / "data").glob("*.tar"))
    content = tar.read_bytes()
    at = content.rindex(b"\x93NUMPY")
    tar.write_bytes(content[:at] + b"\0" * 6 + content[at + 6 :])
    runtime = Runtime(cache_dir=tmp_path / "cache", quiet=True)
    with pytest.raises(DataError, match=key):
        embed_own_audio(dataset.reader, dataset.logmels, embed, "weights", runtime)
    assert not list((tmp_path / "cache").rglob("*.npy"))
