"""One sample in the terminal: found by a prefix of its key, described, drawn."""

import numpy as np
import pytest
from PIL import Image

from avsynth.core.paths import Layout
from avsynth.formats.shards import ShardReader
from avsynth.inspection.show import ascii_spectrogram, show_sample
from avsynth.runtime.errors import DataError


@pytest.fixture(scope="module")
def folder(built):
    return Layout(built).shards("avs-synthetic")


def test_a_sample_is_described_and_its_overlay_written(folder, tmp_path):
    key = ShardReader(folder, "test").keys[0]
    text = show_sample(folder, key[:-2], tmp_path)
    meta = ShardReader(folder).meta(key)
    for fact in (key, meta["mask_id"], meta["clip_id"], "test", "dBFS", "7.5 kHz"):
        assert fact in text
    with Image.open(tmp_path / f"{key}.overlay.png") as image:
        height, width = image.height, image.width
    assert f"{height} x {width} px" in text


def test_an_unknown_or_ambiguous_key_is_refused(folder, tmp_path):
    keys = ShardReader(folder).keys
    category = keys[0].rsplit("-", 1)[0]
    with pytest.raises(DataError, match=r"one key that begins with .*Type more characters"):
        show_sample(folder, category, tmp_path)
    with pytest.raises(DataError, match="Did you mean"):
        show_sample(folder, "x" + keys[0], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_drawing_has_time_to_the_right_and_pitch_upwards():
    logmel = np.full((1, 96, 64), np.log(0.01), np.float32)
    logmel[0, :48, 60:] = np.log(10.0)  # high bands, first half
    lines = ascii_spectrogram(logmel).splitlines()
    top = lines[0].split("|")[1]
    assert top == "@" * 32
    assert lines[15].startswith(" 125 Hz |")
    assert lines[15].split("|")[1] == ""
