"""Overlays mark the mask and nothing else; spectrograms lie the right way up."""

import base64
import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from avsynth.formats.images import (
    ImageError,
    decode_image,
    decode_mask,
    open_image,
    resize_mask,
    shrink,
    upright,
)
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


def png_of(array, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", **options)
    return buffer.getvalue()


def jpeg_of(**options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.arange(80, dtype=np.uint8)[None, :, None], (60, 1, 3))).save(
        buffer, options.pop("format", "JPEG"), **options
    )
    return buffer.getvalue()


def test_16_bit_grey_becomes_8_bit_grey_in_every_decoder():
    grey = (np.arange(24, dtype=np.uint16) * 2_800).reshape(4, 6)
    content = png_of(grey)
    expected = (grey >> 8).astype(np.uint8)
    for channel in np.moveaxis(decode_image(content), 2, 0):
        assert np.array_equal(channel, expected)
    decode_tensor = pytest.importorskip("avsynth.loading.decode").decode_image
    tensor = decode_tensor(png_of(np.full((4, 6), 0x8040, np.uint16)), 8)
    assert set(tensor.flatten().tolist()) == {0x80}


def test_an_mpo_is_the_jpeg_of_its_first_frame():
    second = Image.new("RGB", (80, 60))
    content = jpeg_of(format="MPO", save_all=True, append_images=[second], quality=90)
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "MPO"
    with open_image(content) as image:
        assert image.format == "JPEG"
    assert np.array_equal(decode_image(content), decode_image(jpeg_of(quality=90)))


def test_a_png_with_a_long_comment_is_read_or_refused():
    for compressed in (False, True):
        info = PngInfo()
        info.add_text("comment", "a" * (2 << 20), zip=compressed)
        content = png_of(GREY, pnginfo=info)
        if compressed:
            with pytest.raises(DataError, match="too large"):
                decode_image(content)
        else:
            assert np.array_equal(decode_image(content), GREY)


@pytest.mark.parametrize("side", [13_500, 40_000])
def test_an_image_of_too_many_pixels_is_refused_from_its_header(side):
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    with pytest.raises(ImageError), open_image(content):
        raise AssertionError("opened")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_data_say(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = jpeg_of(exif=exif)
    with open_image(content) as image, Image.open(io.BytesIO(content)) as other:
        expected = ImageOps.exif_transpose(other)
        assert np.array_equal(np.asarray(upright(image)), np.asarray(expected))


def test_unreadable_exif_data_turn_nothing():
    content = jpeg_of(exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    with open_image(content) as image:
        assert upright(image) is image


SEEDS = [png_of(GREY), png_of(GREY[..., 0] > 3), jpeg_of(), jpeg_of(progressive=True)]


def read_any(content: bytes) -> None:
    for read in (decode_image, decode_mask):
        with contextlib.suppress(DataError):
            read(content)


@given(st.sampled_from(SEEDS), st.integers(0, 3_000), st.binary(max_size=6), st.integers(0, 9))
@settings(max_examples=200, deadline=2_000)
def test_any_damaged_image_is_read_or_an_error(content, at, insert, cut):
    at %= len(content)
    read_any(content[:at] + insert + content[at + cut :])


@pytest.mark.slow
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 3_000), st.binary(max_size=9))))
@settings(max_examples=10_000, deadline=2_000)
def test_any_image_of_many_damages_is_read_or_an_error(content, damages):
    for at, insert in damages:
        at %= len(content)
        content = content[:at] + insert + content[at + len(insert) :]
    read_any(content)
