"""Masks between their forms: polygons, run lengths (RLE), bool arrays, 1-bit PNG files.

Everything is pixel-equal to the COCO and LVIS APIs. Run lengths are COCO's compressed strings:
column-major, background first, numbers in 6-bit characters, each from the third on as the
difference to the number two before it (`rleToString` in COCO's maskApi.c).
"""

import io
import struct
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_FARTHEST = 1 << 16  # a point beyond it is damage; COCO's rasteriser would take gigabytes for it


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
    """Turn the JSON text of a ``segmentation`` into one compressed RLE over the picture.

    Args:
        text: polygons ``[[x, y, ...], ...]``, or run lengths ``{"counts": ..., "size": [h, w]}``,
            compressed or not.
        height: of the picture in pixels.
        width: of the picture in pixels.

    Returns:
        The RLE string; empty when there is no polygon of three points.

    Raises:
        ValueError: damaged, or run lengths of another size than the picture.
    """
    parsed = parse_segmentation(text)
    if parsed is None:
        return ""
    if isinstance(parsed, list):
        return polygons_to_rle(parsed, height, width)
    if parsed.size != (height, width):
        raise ValueError(f"run lengths of size {parsed.size} on a picture of {(height, width)}")
    counts = parsed.counts
    if isinstance(counts, list):
        if sum(counts) != height * width or min(counts) < 0:
            raise ValueError("run lengths that do not fill the picture")
        counts = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)[
            "counts"
        ].decode()
    elif sum(_runs(counts)) != height * width:
        raise ValueError("run lengths that do not fill the picture")
    return counts


def polygons_to_rle(polygons: Sequence[Sequence[float]], height: int, width: int) -> str:
    """Rasterise the union of polygons, as `lvis.LVIS.ann_to_mask` does.

    Args:
        polygons: each ``[x0, y0, x1, y1, ...]`` in pixels; fewer than three points are no area.
        height: of the picture in pixels.
        width: of the picture in pixels.

    Returns:
        The compressed RLE; empty when no polygon has three points.

    Raises:
        ValueError: a point lies absurdly far outside.
    """
    usable = [p for p in polygons if len(p) >= 6 and len(p) % 2 == 0]
    if not usable:
        return ""
    if max(map(max, usable)) > _FARTHEST or min(map(min, usable)) < -_FARTHEST:
        raise ValueError("a point far outside of the picture")
    rles = coco.frPyObjects(usable, height, width)
    merged = rles[0] if len(rles) == 1 else coco.merge(rles)
    text: str = merged["counts"].decode("ascii")
    return text


def mask_to_rle(mask: Mask) -> str:
    """Encode a bool ``[H, W]`` mask."""
    counts: bytes = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return counts.decode("ascii")


def rle_to_mask(rle: str, height: int, width: int) -> Mask:
    """Decode to bool ``[H, W]``."""
    pixels: NDArray[np.uint8] = coco.decode({"size": [height, width], "counts": rle.encode()})
    return pixels.astype(bool)


def rle_box_area(rle: str, height: int, width: int) -> tuple[Box, int]:
    """Measure a mask without decoding it.

    Returns:
        The tight box ``(x0, y0, x1, y1)``, ends exclusive, all 0 for an empty mask; and the
        number of pixels.
    """
    if not rle:
        return (0, 0, 0, 0), 0
    as_coco = {"size": [height, width], "counts": rle.encode("ascii")}
    area = int(coco.area(as_coco))
    if not area:
        return (0, 0, 0, 0), 0
    x, y, w, h = (int(v) for v in coco.toBbox(as_coco))
    return (x, y, x + w, y + h), area


def _runs(rle: str) -> list[int]:
    """Decode the numbers of a compressed RLE."""
    runs: list[int] = []
    at, data = 0, rle.encode("ascii")
    while at < len(data):
        value, shift = 0, 0
        while True:
            if at >= len(data) or not 48 <= data[at] < 112:
                raise ValueError("a damaged run length")
            bits = data[at] - 48
            value |= (bits & 31) << shift
            shift += 5
            at += 1
            if not bits & 32:
                break
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    if min(runs, default=0) < 0:
        raise ValueError("a negative run length")
    return runs


def rle_to_png(rle: str, height: int, width: int) -> bytes:
    """Write a mask as a 1-bit grey PNG, 0 background, 1 foreground.

    Only the columns of the mask's box are ever decoded; the rest of the file is zeros.

    Args:
        rle: compressed RLE over the picture.
        height: of the picture in pixels.
        width: of the picture in pixels.
    """
    rows = np.zeros((height, 1 + (width + 7) // 8), dtype=np.uint8)  # a filter byte begins a row
    (x0, y0, x1, y1), area = rle_box_area(rle, height, width)
    if area:
        left = x0 // 8 * 8
        mask = rle_to_mask(rle, height, width)[y0:y1, left:x1]
        packed = np.packbits(mask, axis=1)
        rows[y0:y1, 1 + left // 8 : 1 + left // 8 + packed.shape[1]] = packed
    return _png(rows, width, height)


def _png(rows: NDArray[np.uint8], width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"".join(
        (_PNG_HEAD, _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 1)), _PNG_END)
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return len(data).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")


def png_to_mask(data: bytes) -> Mask:
    """Read a mask from a 1-bit, 8-bit grey, palette or colour PNG: whatever is not 0 is mask.

    Returns:
        bool ``[H, W]``.

    Raises:
        ValueError: not a readable picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a readable PNG: {error}") from None
    mask: Mask = np.any(pixels.reshape(*pixels.shape[:2], -1), axis=2)
    return mask
