"""Open Images V5+ segmentation in its official layout.

``{train,validation}-annotations-object-segmentation.csv``, ``{train,validation}-masks/`` with 1-bit
PNGs, ``{train,validation}/`` with the images, and the class lists. As in the real dataset, a mask's
size differs from its image's, an image can have several masks or none, and ``PredictedIoU`` and
``Clicks`` can be empty.
"""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from avsynth.core.hashing import generator
from avsynth.toy.categories import CATEGORIES, CATEGORY_BY_NAME
from avsynth.toy.images import box_of, draw_image
from avsynth.toy.plan import Plan
from avsynth.toy.scenes import ObjectMask
from avsynth.toy.seeding import hex_id

_COLUMNS = (
    "MaskPath", "ImageID", "LabelName", "BoxID", "BoxXMin", "BoxXMax", "BoxYMin", "BoxYMax",
    "PredictedIoU", "Clicks",
)  # fmt: skip
_MASK_SIZES = (1.25, 0.8, 1.5)


def write_openimages(folder: Path, plan: Plan) -> dict[str, int]:
    """Write both splits; return the number of images and masks of each."""
    found: dict[str, int] = {}
    for split, count in (("train", plan.count(150, 16)), ("validation", plan.count(24, 4))):
        for name in (split, f"{split}-masks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        rows = [
            row for number in range(count) for row in _draw_one(split, number, folder, plan.seed)
        ]
        path = folder / f"{split}-annotations-object-segmentation.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows(sorted(rows))
        found |= {f"{split}_images": count, f"{split}_masks": len(rows)}
    _write_class_lists(folder)
    return found


def _draw_one(split: str, number: int, folder: Path, seed: int) -> list[tuple[str, ...]]:
    image_id = hex_id(seed, split, number)
    image = draw_image(seed, f"openimages/{image_id}", "rare" if number == 1 else "plain")
    (folder / split / f"{image_id}.jpg").write_bytes(image.jpeg)
    if number % 15 == 7:
        return []  # an image without masks
    rng = generator(seed, "openimages masks", image_id)
    rows = []
    for object_mask in image.object_masks:
        if CATEGORY_BY_NAME[object_mask.name].mid:
            box_id = f"{rng.integers(2**32):08x}"
            rows.append(_write_mask(object_mask, image_id, box_id, folder / f"{split}-masks", rng))
    return rows


def _write_mask(
    object_mask: ObjectMask, image_id: str, box_id: str, folder: Path, rng: np.random.Generator
) -> tuple[str, ...]:
    category = CATEGORY_BY_NAME[object_mask.name]
    height, width = object_mask.mask.shape
    factor = float(rng.choice(_MASK_SIZES))
    mask = Image.fromarray(object_mask.mask.astype(np.uint8) * 255).convert("1")
    mask = mask.resize((round(width * factor), round(height * factor)), Image.Resampling.NEAREST)
    name = f"{image_id}_{category.mid.strip('/').replace('/', '')}_{box_id}.png"
    mask.save(folder / name, optimize=False)
    x, y, across, down = box_of(object_mask.mask)
    sides = (x / width, (x + across) / width, y / height, (y + down) / height)
    quality = f"{rng.uniform(0.7, 0.95):.5f}" if rng.integers(2) else ""
    clicks = "0.500000 0.500000 0" if quality else ""
    return (
        name,
        image_id,
        category.mid,
        box_id,
        *(f"{side:.6f}" for side in sides),
        quality,
        clicks,
    )


def _write_class_lists(folder: Path) -> None:
    categories = sorted(
        (category for category in CATEGORIES if category.mid), key=lambda category: category.mid
    )
    with (folder / "class-descriptions-boxable.csv").open(
        "w", newline="", encoding="utf-8"
    ) as file:
        csv.writer(file, lineterminator="\n").writerows((r.mid, r.mid_name) for r in categories)
    (folder / "classes-segmentation.txt").write_text("".join(f"{r.mid}\n" for r in categories))
