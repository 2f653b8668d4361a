"""Codecs against pycocotools, PIL and OpenCV, on random and on chosen masks."""

import io
import json
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco

from avsynth.formats import mask_rle as codecs
from avsynth.formats.images import decode_mask
from avsynth.runtime.errors import DataError

SIDES = st.integers(1, 70)
MASKS = hnp.arrays(bool, st.tuples(SIDES, SIDES), elements=st.booleans(), fill=st.booleans())


@st.composite
def blobs(draw):
    """Draw a mask with few runs: rectangles, put on and taken off."""
    height, width = draw(SIDES), draw(SIDES)
    mask = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(0, 4))):
        y, x = draw(st.integers(0, height)), draw(st.integers(0, width))
        h, w = draw(st.integers(0, height)), draw(st.integers(0, width))
        mask[y : y + h, x : x + w] = draw(st.booleans())
    return mask


@st.composite
def polygon_scenes(draw):
    height, width = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    x = st.floats(-20, width + 20).map(lambda v: round(v, 2))
    y = st.floats(-20, height + 20).map(lambda v: round(v, 2))
    point = st.tuples(x, y)
    polygon = st.lists(point, min_size=3, max_size=12).map(lambda ps: [v for p in ps for v in p])
    return height, width, draw(st.lists(polygon, min_size=1, max_size=3))


def reference_mask(polygons, height, width):
    """Rasterise as `lvis.LVIS.ann_to_mask` does."""
    return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)


@given(polygon_scenes())
@settings(max_examples=300, deadline=None)
def test_polygons_are_pixel_equal_to_the_coco_api(scene):
    height, width, polygons = scene
    expected = reference_mask(polygons, height, width)
    rle = codecs.polygons_to_rle(polygons, height, width)
    assert (codecs.rle_to_mask(rle, height, width) == expected).all()
    assert (decode_mask(codecs.rle_to_png(rle, height, width)) == expected).all()


@given(st.one_of(MASKS, blobs()))
@settings(max_examples=400, deadline=None)
def test_every_way_round_gives_the_mask_back(mask):
    height, width = mask.shape
    rle = codecs.mask_to_rle(mask)
    assert rle == coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    assert (codecs.rle_to_mask(rle, height, width) == mask).all()
    png = codecs.rle_to_png(rle, height, width)
    assert (decode_mask(png) == mask).all()
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.mode == "1"
        assert (np.asarray(picture) == mask).all()
    by_opencv = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert (by_opencv == mask * 255).all()


@given(st.one_of(MASKS, blobs()))
@settings(max_examples=300, deadline=None)
def test_box_and_area_are_those_of_the_pixels(mask):
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    box = (0, 0, 0, 0)
    if len(xs):
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    rle = codecs.mask_to_rle(mask)
    assert codecs.rle_box_area(rle, height, width) == (box, mask.sum())


@given(blobs())
@settings(max_examples=200, deadline=None)
def test_run_lengths_in_json_compressed_or_not_are_read(mask):
    height, width = mask.shape
    rle = codecs.mask_to_rle(mask)
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
    plain = np.diff([0, *edges, flat.size]).tolist()
    for counts in (rle, plain):
        text = json.dumps({"counts": counts, "size": [height, width]}).encode()
        found = codecs.segmentation_to_rle(text, height, width)
        assert (codecs.rle_to_mask(found, height, width) == mask).all()


def test_polygons_in_json_are_read():
    text = b"[[1, 1, 8, 1, 8, 6, 1, 6], [10.5, 2, 14, 2.5, 12, 9]]"
    rle = codecs.segmentation_to_rle(text, 12, 16)
    expected = reference_mask(json.loads(text), 12, 16)
    assert expected.sum() > 30
    assert (codecs.rle_to_mask(rle, 12, 16) == expected).all()


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"[[]]", b"[[1, 2, 3, 4]]"])
def test_no_area_is_an_empty_mask(text):
    assert codecs.segmentation_to_rle(text, 10, 10) == ""
    assert codecs.rle_box_area("", 10, 10) == ((0, 0, 0, 0), 0)
    assert not decode_mask(codecs.rle_to_png("", 10, 10)).any()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[[1, 2, 3", "damaged"),
        (b'{"counts": 7, "size": [4, 4]}', "counts of another type"),
        (b'{"counts": [3, 2], "size": [4, 4]}', "5 of 16 pixels"),
        (b'{"counts": [], "size": [4, 4]}', "no run at all"),
        (b'{"counts": [-4, 20], "size": [4, 4]}', "a negative run"),
        (b'{"counts": "", "size": [4, 4]}', "an empty string"),
        (b'{"counts": "52", "size": [4, 4]}', "7 of 16 pixels"),
        (b'{"counts": "P", "size": [4, 4]}', "a number that does not end"),
        (b'{"counts": "a\\u00e9", "size": [4, 4]}', "a character outside of the code"),
        (b'{"counts": [16], "size": [8, 2]}', "another size"),
        (b"[[0, 0, 1e9, 0, 1e9, 1e9]]", "a point far outside"),
        (
            b"[[0, 0, 3, 0, 3, 3], [0, 0, 2, 0, 2, 2, 1]]",
            "odd beside a polygon",
        ),
        (b"[[0, 0, 2, 0, 2, 2, 1]]", "an odd number of values"),
        (b"[[0, 0, 3, 0, 3, 3], [1]]", "one value beside a polygon"),
    ],
)
def test_damaged_segmentations_are_refused(text, why):
    with pytest.raises(ValueError, match=r"\w"):
        codecs.segmentation_to_rle(text, 4, 4)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_masks_of_every_png_kind_are_read(mode):
    mask = np.zeros((9, 13), bool)
    mask[2:7, 3:11] = True
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    if mode == "P":
        picture = Image.fromarray(mask.astype(np.uint8))
        picture = picture.convert("P")
    elif mode == "I;16":
        picture = Image.fromarray(mask.astype(np.uint16) * 500)
    else:
        picture = picture.convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    assert (decode_mask(buffer.getvalue()) == mask).all()


def test_a_damaged_png_is_refused():
    png = codecs.rle_to_png(codecs.mask_to_rle(np.eye(40, dtype=bool)), 40, 40)
    for broken in (b"", b"not a picture", png[:60], png[: len(png) // 2]):
        with pytest.raises(DataError, match="a whole PNG"):
            decode_mask(broken)


def test_png_is_small_and_well_formed():
    mask = np.zeros((480, 640), bool)
    mask[100:200, 300:420] = True
    png = codecs.rle_to_png(codecs.mask_to_rle(mask), 480, 640)
    assert len(png) < 500
    assert png[24:26] == bytes([1, 0])  # bit depth 1, grey
    at = 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        checked = png[at + 4 : at + 8 + size]
        assert zlib.crc32(checked) == int.from_bytes(png[at + 8 + size : at + 12 + size], "big")
        at += 12 + size
    assert at == len(png)


def zigzag(points, width):
    return [v for i in range(points) for v in ((i % 2) * 2 * width - width, i % 97)]


@pytest.mark.parametrize(
    "polygons",
    [
        [zigzag(2_000, 65_000)],
        [zigzag(200_000, 50)],
        [zigzag(60, 30_000)] * 20,
    ],
)
def test_outlines_too_long_for_the_rasteriser_are_refused_and_nothing_crashes(polygons, tmp_path):
    """Run in a process of its own: COCO's rasteriser ends it where memory is short."""
    path = tmp_path / "p.json"
    path.write_text(json.dumps(polygons))
    code = (
        "import sys; from avsynth.formats.mask_rle import segmentation_to_rle as read\n"
        "try: read(open(sys.argv[1], 'rb').read(), 100, 100)\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, "an outline too long to rasterise")


def test_a_zigzag_that_fits_an_image_is_rasterised():
    polygons = [zigzag(1_900, 200)]
    rle = codecs.polygons_to_rle(polygons, 100, 150)
    expected = reference_mask(polygons, 100, 150)
    assert (codecs.rle_to_mask(rle, 100, 150) == expected).all()


def pad(digits: bytes, count: int) -> bytes:
    """Write the same number with more digits: sign digits that a shortest form leaves out."""
    sign = 31 if (digits[-1] - 48) & 16 else 0
    more = bytes([(digits[-1] - 48 | 32) + 48])
    return digits[:-1] + more + bytes([(sign | 32) + 48]) * (count - 1) + bytes([sign + 48])


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6, 7, 12, 13, 30])
@pytest.mark.parametrize("which", range(5))
def test_padded_run_lengths_are_read_as_coco_reads_them_or_refused(which, count):
    numbers = [codecs._write_number(v) for v in (4, 6, 20, -2, -10)]  # runs 4 6 20 4 10
    plain = b"".join(numbers).decode()
    numbers[which] = pad(numbers[which], count)
    fits = len(numbers[which]) <= 6
    text = json.dumps({"counts": b"".join(numbers).decode(), "size": [4, 11]}).encode()
    try:
        found = codecs.segmentation_to_rle(text, 4, 11)
    except ValueError:
        assert not fits
        return
    assert fits
    mask = codecs.rle_to_mask(plain, 4, 11)
    assert mask.sum() == 10
    assert (codecs.rle_to_mask(found, 4, 11) == mask).all()
    assert (decode_mask(codecs.rle_to_png(found, 4, 11)) == mask).all()
    assert codecs.rle_box_area(found, 4, 11) == codecs.rle_box_area(plain, 4, 11)


def test_images_beyond_the_decoders_numbers_are_refused():
    with pytest.raises(ValueError, match="pixels"):
        codecs.segmentation_to_rle(
            b'{"counts": [4294967296], "size": [65536, 65536]}', 65536, 65536
        )


def read_whole(text, height, width):
    """Convert a segmentation to the mask file of a sample; return None if it is refused."""
    try:
        rle = codecs.segmentation_to_rle(text, height, width)
    except ValueError:
        return None
    box, area = codecs.rle_box_area(rle, height, width)
    mask = decode_mask(codecs.rle_to_png(rle, height, width))
    if rle:
        assert (mask == codecs.rle_to_mask(rle, height, width)).all()
    assert mask.sum() == area
    return box


NUMBERS = st.one_of(
    st.integers(-80, 200),
    st.floats(-1e6, 1e6),
    st.sampled_from([0, -1, 2**31, 2**32, 2**64, -(2**63), 1e300, -1e300, 65_536, None, "1"]),
)
SEGMENTATION = st.one_of(
    st.lists(st.lists(NUMBERS, max_size=12), max_size=4),
    st.fixed_dictionaries(
        {
            "counts": st.one_of(
                st.lists(NUMBERS, max_size=9),
                st.text(st.characters(min_codepoint=40, max_codepoint=130), max_size=30),
            ),
            "size": st.one_of(st.just([17, 23]), st.lists(NUMBERS, max_size=3)),
        }
    ),
)


@given(SEGMENTATION)
@settings(max_examples=400, deadline=2000)
def test_any_segmentation_is_read_or_a_value_error(segmentation):
    read_whole(json.dumps(segmentation).encode(), 17, 23)


@pytest.mark.slow
@given(SEGMENTATION, st.integers(0, 200), st.binary(max_size=3))
@settings(max_examples=20_000, deadline=2000)
def test_any_damaged_segmentation_is_read_or_a_value_error(segmentation, at, insert):
    text = json.dumps(segmentation).encode()
    read_whole(text[:at] + insert + text[at + len(insert) :], 17, 23)
