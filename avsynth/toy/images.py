"""`ToyImage`: an image with object masks, for LVIS, COCO and Open Images.

An image depends only on the seed and its id. Therefore LVIS and COCO, which share ids, contain the
same bytes.
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from avsynth.core.hashing import generator
from avsynth.toy.categories import IMAGE_CATEGORIES
from avsynth.toy.scenes import Mask, ObjectMask, place_objects, render_scene

Kind = Literal["plain", "grey", "exif", "cmyk", "rare"]
_QUALITY = 82
_ORIENTATION = 0x0112  # EXIF tag
_QUARTER_TURN = 6


@dataclass(frozen=True, slots=True)
class ToyImage:
    """A JPEG and its object masks; masks refer to the stored pixels, before EXIF rotation."""

    jpeg: bytes
    height_px: int
    width_px: int
    object_masks: list[ObjectMask]


def draw_image(seed: int, name: str, kind: Kind = "plain") -> ToyImage:
    """Draw one image of two to four objects.

    Args:
        seed: seed of the world.
        name: the image's id, e.g. ``coco/000000000017``.
        kind: ``grey`` and ``cmyk`` set the JPEG's colour mode, ``exif`` sets a rotation by 90
            degrees, ``rare`` adds the rare category.
    """
    rng = generator(seed, "picture", name)
    height, width = (int(side) for side in rng.integers(80, 129, 2) * 2)
    names = rng.choice(IMAGE_CATEGORIES, int(rng.integers(2, 5)), replace=False).tolist()
    if rng.uniform() < 0.08:
        names.append(names[0])  # two objects of one category
    if rng.uniform() < 0.15:
        names.append("banana")
    if kind == "rare":
        names[-1] = "snake"
    pixels, object_masks = render_scene(
        place_objects(tuple(names), height, width, "drawn", rng), rng
    )
    visible = [object_mask for object_mask in object_masks if object_mask.mask.any()]
    return ToyImage(_encode(Image.fromarray(pixels), kind), height, width, visible)


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


def polygons_of(object_mask: ObjectMask) -> list[list[float]]:
    """Return the outline as COCO polygons ``[x0, y0, x1, y1, ...]`` in pixels."""
    return [points.ravel().tolist() for points in object_mask.polygons]


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
    """Return the tight bounding box as x, y, width, height in pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y
