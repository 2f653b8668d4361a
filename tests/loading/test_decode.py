"""Decoded parts are those of Pillow, pixel by pixel; damage is named."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from avsynth.loading.decode import allocate_images, decode_image, decode_logmel, decode_mask
from avsynth.runtime.errors import DataError

SQUARE = Image.Resampling.BILINEAR


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 6, width // 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("size", "side", "most"),
    [
        ((64, 48), 40, 0),
        ((120, 90), 96, 0),
        ((57, 133), 96, 0),
        ((96, 96), 96, 0),
        ((640, 480), 1024, 0),
        ((480, 640), 1024, 0),
        ((57, 133), 224, 1),
        ((200, 40), 224, 1),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pixels_are_those_of_pillow(size, side, most, kind):
    data = encoded(photo(*size), kind)
    expected = Image.open(io.BytesIO(data)).convert("RGB").resize((side, side), SQUARE)
    found = decode_image(data, side).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(found - np.asarray(expected)).max() <= most


@pytest.mark.parametrize("size", [(64, 48), (64, 64), (80, 40), (48, 64), (64, 6), (6, 64)])
def test_a_picture_is_written_to_its_place_among_others(size):
    room = allocate_images(3, 64).fill_(7)
    data = encoded(photo(*size), "PNG")
    found = decode_image(data, 64, out=room[1])
    assert found.data_ptr() == room[1].data_ptr()
    expected = Image.open(io.BytesIO(data)).resize((64, 64), SQUARE)
    assert np.array_equal(room[1].permute(1, 2, 0).numpy(), np.asarray(expected))
    assert room[::2].eq(7).all()
    assert room.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA"])
def test_every_mode_becomes_rgb(mode):
    data = encoded(photo(60, 48).convert(mode), "JPEG" if mode in ("L", "CMYK") else "PNG")
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    assert np.array_equal(
        decode_image(data, 48).permute(1, 2, 0).numpy(),
        np.asarray(expected.resize((48, 48), SQUARE)),
    )


def test_the_orientation_tag_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees"
    plain, tagged = (encoded(photo(60, 48), "JPEG", **o) for o in ({}, {"exif": exif}))
    assert plain != tagged
    assert decode_image(plain, 64).equal(decode_image(tagged, 64))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.6, 0.98])
def test_a_picture_cut_short_is_refused(kind, part):
    data = encoded(photo(240, 180), kind)
    with pytest.raises(DataError, match="a whole JPEG or PNG"):
        decode_image(data[: int(len(data) * part)], 64)


def test_masks_are_read_by_nearest_neighbours():
    mask = np.random.default_rng(0).random((40, 60)) > 0.5
    for picture in (Image.fromarray(mask), Image.fromarray(mask.astype(np.uint8) * 255)):
        data = encoded(picture, "PNG")
        assert np.array_equal(decode_mask(data, None).numpy(), mask)
        expected = Image.fromarray(mask).resize((32, 16), Image.Resampling.NEAREST)
        assert np.array_equal(decode_mask(data, (16, 32)).numpy(), np.asarray(expected))
    with pytest.raises(DataError, match="a whole PNG"):
        decode_mask(data[:60], None)


LENGTHS = st.integers(1, 900)


@settings(max_examples=300, deadline=None)
@given(LENGTHS, LENGTHS, LENGTHS, LENGTHS, st.sampled_from(["1", "L"]))
def test_mask_pixels_are_those_of_pillow_at_every_size(height, width, to_height, to_width, mode):
    bits = np.random.default_rng(height * width).random((height, width)) > 0.5
    picture = Image.fromarray(bits if mode == "1" else bits.astype(np.uint8) * 255)
    found = decode_mask(encoded(picture, "PNG", compress_level=0), (to_height, to_width)).numpy()
    expected = np.asarray(picture.resize((to_width, to_height), Image.Resampling.NEAREST)) > 0
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("values", [np.zeros((1, 96, 64)), np.zeros((96, 64), np.float32)])
def test_other_arrays_are_no_log_mels(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    with pytest.raises(DataError, match="float32"):
        decode_logmel(buffer.getvalue())
    with pytest.raises(DataError, match="npy"):
        decode_logmel(buffer.getvalue()[:50])
