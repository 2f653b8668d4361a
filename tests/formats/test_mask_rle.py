"""Codecs against pycocotools, PIL and OpenCV, on random and on chosen masks."""

import io
import json
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
