"""Still pictures with annotations: what LVIS, COCO and Open Images are filled with.

A picture is a function of the seed and its id alone, so two datasets that share an id (LVIS and
COCO do) hold the same bytes.
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from avsynth.core.hashing import generator
from avsynth.toy.categories import PICTURED
from avsynth.toy.scenes import Cutout, Mask, paint, stage

Kind = Literal["plain", "grey", "exif", "cmyk", "rare"]
_QUALITY = 82
_ORIENTATION = 0x0112  # EXIF tag
_QUARTER_TURN = 6


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG and what is on it; masks refer to the pixels as stored, whatever EXIF says."""

    jpeg: bytes
    height_px: int
    width_px: int
    cutouts: list[Cutout]


def draw_picture(seed: int, name: str, kind: Kind = "plain") -> Picture:
    """Draw one picture of two to four things.

    Args:
        seed: of the world.
        name: the picture's id, e.g. ``coco/000000000017``.
        kind: ``grey`` and ``cmyk`` choose the JPEG's colours, ``exif`` asks viewers for a quarter
            turn, ``rare`` adds the rare category.
    """
    rng = generator(seed, "picture", name)
    height, width = (int(side) for side in rng.integers(80, 129, 2) * 2)
    shown = rng.choice(PICTURED, int(rng.integers(2, 5)), replace=False).tolist()
    if rng.uniform() < 0.08:
        shown.append(shown[0])  # two of a kind
    if rng.uniform() < 0.15:
        shown.append("banana")
    if kind == "rare":
        shown[-1] = "snake"
    pixels, cutouts = paint(stage(tuple(shown), height, width, "drawn", rng), rng)
    visible = [cutout for cutout in cutouts if cutout.mask.any()]
    return Picture(_encode(Image.fromarray(pixels), kind), height, width, visible)


def _encode(image: Image.Image, kind: Kind) -> bytes:
    exif = Image.Exif()
    if kind == "grey":
        image = image.convert("L")
    elif kind == "cmyk":
        image = image.convert("CMYK")
    elif kind == "exif":
        exif[_ORIENTATION] = _QUARTER_TURN
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, exif=exif)
    return buffer.getvalue()


def polygons_of(cutout: Cutout) -> list[list[float]]:
    """Return the outline as COCO polygons ``[x0, y0, x1, y1, ...]`` in pixels."""
    return [points.ravel().tolist() for points in cutout.polygons]


def rle_of(mask: Mask, *, compressed: bool) -> dict[str, object]:
    """Return COCO run lengths: counts as ASCII text, or as a list of numbers."""
    height, width = mask.shape
    if compressed:
        runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {"size": [height, width], "counts": runs["counts"].decode("ascii")}
    flat = np.concatenate([[0], mask.ravel(order="F").astype(np.int8), [1]])
    edges = np.flatnonzero(np.diff(flat))
    if len(edges) and edges[-1] < mask.size:
        edges = np.append(edges, mask.size)
    return {"size": [height, width], "counts": np.diff(np.concatenate([[0], edges])).tolist()}


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """Return the tight box as x, y, width, height in pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y
