import io
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from avsynth.building.samples import SampleInputs, compose
from avsynth.core.records import Drop, Sample
from avsynth.formats.mask_rle import mask_to_rle

HEIGHT, WIDTH = 60, 80
NOISE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def inputs(tmp_path: Path) -> SampleInputs:
    Image.fromarray(NOISE).save(tmp_path / "image.jpg", quality=90)
    audio = np.sin(np.arange(32000) / 5).astype(np.float32) / 2
    soundfile.write(tmp_path / "clip.wav", audio, 16000)
    return SampleInputs(
        key="dog-0123456789",
        category="dog",
        image_path=tmp_path / "image.jpg",
        height_px=HEIGHT,
        width_px=WIDTH,
        rles=(mask_to_rle(square(10)), mask_to_rle(square(40))),
        audio_path=tmp_path / "clip.wav",
        second=1,
        decode_images=True,
        meta=(("category", "dog"),),
    )


def square(x: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[20:35, x : x + 15] = True
    return mask


def refusal(inputs: SampleInputs) -> str:
    made = compose(inputs)
    assert isinstance(made, Drop)
    return made.reason


def test_a_sample_has_the_original_image_bytes_and_the_merged_mask(inputs: SampleInputs):
    made = compose(inputs)
    assert isinstance(made, Sample)
    assert made.image == inputs.image_path.read_bytes()
    with Image.open(io.BytesIO(made.mask_png)) as png:
        assert png.mode == "1"
        assert np.array_equal(np.asarray(png), square(10) | square(40))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_are_kept_as_they_are(inputs: SampleInputs, mode: str):
    Image.fromarray(NOISE).convert(mode).save(inputs.image_path, "JPEG")
    made = compose(inputs)
    assert isinstance(made, Sample)
    with Image.open(io.BytesIO(made.image)) as image:
        assert image.mode == mode


def test_a_rotated_image_counts_in_its_stored_pixels(inputs: SampleInputs):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(NOISE).save(inputs.image_path, "JPEG", exif=exif)
    assert isinstance(compose(inputs), Sample)


@pytest.mark.parametrize("cut", [1, 50, 90, 99])
def test_a_truncated_jpeg_is_found_wherever_it_is_cut(inputs: SampleInputs, cut: int):
    whole = inputs.image_path.read_bytes()
    inputs.image_path.write_bytes(whole[: len(whole) * cut // 100])
    assert refusal(inputs) == "undecodable_image"


def test_each_fault_has_its_reason(inputs: SampleInputs, tmp_path: Path):
    assert refusal(replace(inputs, image_path=tmp_path / "no.jpg")) == "missing_image"
    assert refusal(replace(inputs, height_px=61)) == "size_mismatch"
    assert refusal(replace(inputs, second=2)) == "short_audio"
    assert refusal(replace(inputs, audio_path=tmp_path / "no.wav")) == "undecodable_audio"
    Image.fromarray(NOISE).save(tmp_path / "image.gif")
    assert refusal(replace(inputs, image_path=tmp_path / "image.gif")) == "unsupported_image"


def test_an_mpo_is_a_jpeg(inputs: SampleInputs):
    picture = Image.fromarray(NOISE)
    picture.save(inputs.image_path, "MPO", save_all=True, append_images=[picture])
    made = compose(inputs)
    assert isinstance(made, Sample)
    assert made.image_ext == "jpg"


@pytest.mark.parametrize("side", [13_500, 100_000])
def test_an_image_of_too_many_pixels_is_a_drop(inputs: SampleInputs, side: int):
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = side.to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    inputs.image_path.write_bytes(content)
    assert refusal(replace(inputs, height_px=side, width_px=side)) == "undecodable_image"


@pytest.mark.parametrize("cut", [1, 50, 90, 99])
def test_a_truncated_png_is_found_wherever_it_is_cut(inputs: SampleInputs, cut: int):
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "PNG")
    whole = buffer.getvalue()
    inputs.image_path.write_bytes(whole[: len(whole) * cut // 100])
    assert refusal(inputs) == "undecodable_image"
