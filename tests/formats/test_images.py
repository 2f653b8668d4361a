"""Overlays mark the mask and nothing else; spectrograms lie the right way up."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avsynth.formats.images import decode_image, decode_mask, resize_mask, shrink
from avsynth.formats.render import (
    GROUND_TRUTH,
    PREDICTION,
    audio_uri,
    jpeg_uri,
    overlay,
    png_uri,
    spectrogram,
)
from avsynth.runtime.errors import DataError

GREY = np.full((60, 80, 3), 90, np.uint8)


@pytest.mark.parametrize("colour", [GROUND_TRUTH, PREDICTION])
def test_an_overlay_colours_the_mask_lines_its_edge_and_fades_the_rest(colour):
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:60] = True
    painted = overlay(GREY, mask, colour)
    outside, inside = painted[~mask], painted[22:38, 32:58]
    assert (outside == outside[0]).all()
    assert outside[0, 0] > 90  # paler than it was
    assert np.ptp(outside[0]) == 0  # and grey
    assert painted[20, 30].tolist() == list(colour)  # the line
    assert (inside == inside[0, 0]).all()
    assert np.argmax(inside[0, 0]) == np.argmax(colour)


def test_an_empty_and_a_full_mask_are_drawn_too():
    assert np.ptp(overlay(GREY, np.zeros((60, 80), bool), GROUND_TRUTH)) == 0
    full = overlay(GREY, np.ones((60, 80), bool), GROUND_TRUTH)
    assert (full[10:50, 10:70] == full[30, 40]).all()


def test_a_mask_of_another_size_is_brought_to_the_pictures():
    small = np.array([[True, False]])
    assert resize_mask(small, (4, 6)).tolist() == [[True] * 3 + [False] * 3] * 4
    painted = overlay(GREY, small, GROUND_TRUTH)
    assert not (painted[30, 20] == painted[30, 60]).all()


def test_low_pitch_is_at_the_bottom_and_loud_is_dark():
    logmel = np.full((1, 96, 64), np.log(0.01), np.float32)
    logmel[0, 48:, :8] = np.log(10.0)  # low bands, second half
    picture = spectrogram(logmel, 64).astype(int).sum(axis=2)
    assert picture.shape == (64, 96)
    darkest = np.unravel_index(picture.argmin(), picture.shape)
    assert darkest[0] >= 56
    assert darkest[1] >= 48
    assert picture[0].min() == picture[0].max() == picture.max()


def test_uris_hold_what_they_say():
    for uri, kind in ((jpeg_uri(GREY), "JPEG"), (png_uri(GREY), "PNG")):
        head, _, body = uri.partition(",")
        assert head == f"data:image/{kind.lower()};base64"
        with Image.open(io.BytesIO(base64.b64decode(body))) as image:
            assert (image.format, image.size) == (kind, (80, 60))
    assert audio_uri(b"fLaC") == "data:audio/flac;base64," + base64.b64encode(b"fLaC").decode()


def test_shrinking_keeps_the_shape_and_never_enlarges():
    assert shrink(GREY, 40).shape == (30, 40, 3)
    assert shrink(GREY, 400).shape == (60, 80, 3)


def test_grey_and_palette_pictures_become_rgb_and_masks_bool():
    for mode in ("L", "P", "1"):
        buffer = io.BytesIO()
        Image.fromarray(np.eye(4, dtype=np.uint8) * 255).convert(mode).save(buffer, "PNG")
        assert decode_image(buffer.getvalue()).shape == (4, 4, 3)
        assert decode_mask(buffer.getvalue()).tolist() == np.eye(4, dtype=bool).tolist()


TRUE_MASK = np.eye(4, dtype=bool)


def mask_image(mode: str) -> Image.Image:
    """Return `TRUE_MASK` as an image of this mode, in the values that are easiest to misread."""
    values = TRUE_MASK.astype(np.uint8)
    if mode == "P":
        image = Image.fromarray(values, "P")  # index 1 is black and index 0 is white
        image.putpalette([255, 255, 255, 0, 0, 0])
        return image
    if mode == "1":
        return Image.fromarray(TRUE_MASK)
    if mode == "I;16":
        return Image.fromarray(values.astype(np.uint16))  # 1 of 65,535
    if mode in ("L", "LA"):
        grey = Image.fromarray(values)
        return grey if mode == "L" else Image.merge("LA", (grey, Image.new("L", grey.size, 255)))
    blue = Image.merge("RGB", (*(Image.new("L", (4, 4)),) * 2, Image.fromarray(values)))
    if mode == "RGBA":
        blue.putalpha(255)
    return blue


def readers_of_masks():
    from avsynth.benchmarks.frames import read_mask
    from avsynth.formats.images import foreground
    from avsynth.loading.decode import decode_mask as decode_tensor

    def from_benchmark(content: bytes, path: Path) -> np.ndarray:
        path.write_bytes(content)
        return read_mask(foreground, path, (4, 4))

    return {
        "formats": lambda content, path: decode_mask(content),
        "loading": lambda content, path: decode_tensor(content, None).numpy().astype(bool),
        "loading, resized": lambda content, path: decode_tensor(content, (8, 8)).numpy()[::2, ::2],
        "benchmarks": from_benchmark,
    }


@pytest.mark.parametrize("reader", ["formats", "loading", "loading, resized", "benchmarks"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_every_reader_of_masks_has_the_same_rule_for_every_png(mode, reader, tmp_path):
    buffer = io.BytesIO()
    mask_image(mode).save(buffer, "PNG")
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        assert image.mode == mode
    read = readers_of_masks()[reader]
    assert np.array_equal(read(buffer.getvalue(), tmp_path / "m.png"), TRUE_MASK)


def test_a_damaged_mask_is_refused():
    with pytest.raises(DataError, match="a whole PNG; found not an image"):
        decode_mask(b"no image")
