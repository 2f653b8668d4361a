"""Masks between their forms: polygons, run lengths (RLE), bool arrays, 1-bit PNG files.

Everything is pixel-equal to the COCO and LVIS APIs. Run lengths are COCO's compressed strings:
column-major, background first, numbers in 6-bit characters, each from the third on as the
difference to the number two before it (`rleToString` in COCO's maskApi.c).
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from avsynth.formats.images import Mask
from avsynth.formats.mask_png import bilevel_png

Box = tuple[int, int, int, int]

_GOES_ON = bytes(range(80, 112))
_FARTHEST = 1 << 16
"""A point beyond it means damage."""
_LONGEST = 1 << 21
"""Pixels along all outlines of a mask. COCO's rasteriser takes 100 bytes for each of them and does
not check that it got them."""
_MOST_PIXELS = 1 << 29
_MOST_DIGITS = 6
"""Digits of a run length: 30 bits, signed. COCO's decoder overflows at the seventh."""


class _RunLengths(msgspec.Struct):
    counts: str | list[int]
    size: tuple[int, int]


_segmentation = msgspec.json.Decoder(list[list[float]] | _RunLengths | None)


def parse_segmentation(text: bytes) -> list[list[float]] | _RunLengths | None:
    """Parse the JSON text of a ``segmentation``: polygons, run lengths, or null.

    Raises:
        ValueError: it is neither.
    """
    try:
        return _segmentation.decode(text) if text else None
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def segmentation_to_rle(text: bytes, height: int, width: int) -> str:
    """Convert the JSON text of a ``segmentation`` to one compressed RLE over the image.

    Args:
        text: polygons ``[[x, y, ...], ...]``, or run lengths ``{"counts": ..., "size": [h, w]}``,
            compressed or not.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        The RLE string; empty when there is no polygon of three points.

    Raises:
        ValueError: damaged, or run lengths of another size than the image, or a huge image.
    """
    parsed = parse_segmentation(text)
    if height * width >= _MOST_PIXELS:
        raise ValueError(f"an image of {height} x {width} pixels")
    if parsed is None:
        return ""
    if isinstance(parsed, list):
        return polygons_to_rle(parsed, height, width)
    if parsed.size != (height, width):
        raise ValueError(f"run lengths of size {parsed.size} on an image of {(height, width)}")
    counts = parsed.counts
    if isinstance(counts, list):
        if sum(counts) != height * width or min(counts) < 0:
            raise ValueError("run lengths that do not fill the image")
        counts = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)[
            "counts"
        ].decode()
    elif not _fills(counts, height * width):
        raise ValueError("run lengths that do not fill the image")
    return counts


def polygons_to_rle(polygons: Sequence[Sequence[float]], height: int, width: int) -> str:
    """Rasterise the union of polygons, as `lvis.LVIS.ann_to_mask` does.

    Args:
        polygons: each ``[x0, y0, x1, y1, ...]`` in pixels; fewer than three points are no area.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        The compressed RLE; empty when no polygon has three points.

    Raises:
        ValueError: a polygon has an odd number of values, a point far outside of the image, or
            an outline too long to rasterise.
    """
    if any(len(p) % 2 for p in polygons):
        raise ValueError("a polygon with an odd number of values")
    usable = [p for p in polygons if len(p) >= 6]
    if not usable:
        return ""
    highest, lowest = max(map(max, usable)), min(map(min, usable))
    if not (highest <= _FARTHEST and lowest >= -_FARTHEST):
        raise ValueError("a point far outside of the image")
    values = sum(map(len, usable))
    if values * (highest - lowest) > _LONGEST and sum(map(_outline_px, usable)) > _LONGEST:
        raise ValueError("an outline too long to rasterise")
    rles = coco.frPyObjects(usable, height, width)
    merged = rles[0] if len(rles) == 1 else coco.merge(rles)
    text: str = merged["counts"].decode("ascii")
    return text


def _outline_px(polygon: Sequence[float]) -> float:
    """Return the number of pixels that the rasteriser visits along a closed outline."""
    points = np.asarray(polygon, np.float64).reshape(-1, 2)
    steps = np.abs(points - np.roll(points, 1, axis=0)).max(axis=1)
    return float(steps.sum())


def mask_to_rle(mask: Mask) -> str:
    """Encode a bool ``[H, W]`` mask."""
    counts: bytes = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return counts.decode("ascii")


def rle_to_mask(rle: str, height: int, width: int) -> Mask:
    """Decode to bool ``[H, W]``."""
    pixels: NDArray[np.uint8] = coco.decode({"size": [height, width], "counts": rle.encode()})
    return pixels.astype(bool)


def rle_box_area(rle: str, height: int, width: int) -> tuple[Box, int]:
    """Compute a mask's box and area without decoding it.

    Returns:
        The tight box ``(x0, y0, x1, y1)``, ends exclusive, all 0 for an empty mask; and the
        number of pixels.
    """
    area = int(coco.area({"size": [height, width], "counts": rle.encode("ascii")})) if rle else 0
    return _box(rle, height, width), area


def _box(rle: str, height: int, width: int) -> Box:
    if not rle:
        return 0, 0, 0, 0
    x, y, w, h = coco.toBbox({"size": [height, width], "counts": rle.encode("ascii")}).tolist()
    return int(x), int(y), int(x + w), int(y + h)


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """Read one number of a compressed RLE; return it and where the next one begins."""
    value = shift = 0
    while True:
        if at >= len(data) or not 48 <= data[at] < 112 or shift >= 5 * _MOST_DIGITS:
            raise ValueError("a damaged run length")
        bits = data[at] - 48
        value |= (bits & 31) << shift
        shift += 5
        at += 1
        if not bits & 32:
            return (value - (1 << shift) if bits & 16 else value), at


def _write_number(value: int) -> bytes:
    """Inverse of `_read_number`."""
    out = bytearray()
    while True:
        bits, value = value & 31, value >> 5
        last = value == (-1 if bits & 16 else 0)
        out.append((bits if last else bits | 32) + 48)
        if last:
            return bytes(out)


def _fills(rle: str, pixels: int) -> bool:
    """Return whether run lengths are valid and add up to a number of pixels."""
    runs: list[int] = []
    at, data = 0, rle.encode("ascii")
    while at < len(data):
        value, at = _read_number(data, at)
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return sum(runs) == pixels and min(runs) >= 0


def _crop_columns(rle: str, x0: int, x1: int, height: int, width: int) -> bytes:
    """Crop an RLE to the columns ``x0 <= x < x1``, outside of which it has no foreground.

    Only the first and the last background run change. No other number is stored relative to the
    first one or to the last, so two numbers of the string are rewritten.
    """
    data = rle.encode("ascii")
    first, after = _read_number(data, 0)
    data = _write_number(first - x0 * height) + data[after:]
    if len(data.translate(None, _GOES_ON)) % 2:  # an odd number of runs: the last is background
        begin = len(data) - 1
        while data[begin - 1] >= _GOES_ON[0]:
            begin -= 1
        last, _ = _read_number(data, begin)
        data = data[:begin] + _write_number(last - (width - x1) * height)
    return data


def rle_to_png(rle: str, height: int, width: int) -> bytes:
    """Write a mask as a 1-bit grey PNG, 0 background, 1 foreground.

    Only the columns of the mask's box are ever decoded; the rest of the file is zeros.

    Args:
        rle: compressed RLE over the image.
        height: of the image in pixels.
        width: of the image in pixels.
    """
    rows = np.zeros((height, 1 + (width + 7) // 8), dtype=np.uint8)  # a filter byte begins a row
    x0, y0, x1, y1 = _box(rle, height, width)
    if x1:
        left = x0 // 8
        cropped = _crop_columns(rle, 8 * left, x1, height, width)
        pixels = coco.decode({"size": [height, x1 - 8 * left], "counts": cropped})
        packed = np.packbits(np.ascontiguousarray(pixels[y0:y1]), axis=1)
        rows[y0:y1, 1 + left : 1 + left + packed.shape[1]] = packed
    return bilevel_png(rows, width, (y0, y1))
