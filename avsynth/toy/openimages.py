"""Open Images V5+ segmentation in its official layout.

``{train,validation}-annotations-object-segmentation.csv``, ``{train,validation}-masks/`` with 1-bit
PNGs, ``{train,validation}/`` with the pictures, and the class lists. As in reality a mask's size
differs from its picture's, a picture may have several masks or none, and ``PredictedIoU`` and
``Clicks`` may be empty.
"""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from avsynth.core.hashing import generator
from avsynth.toy.categories import CAST, ROLES
from avsynth.toy.images import box_of, draw_picture
from avsynth.toy.plan import Plan
from avsynth.toy.scenes import Cutout
from avsynth.toy.seeding import hex_id

_COLUMNS = (
    "MaskPath", "ImageID", "LabelName", "BoxID", "BoxXMin", "BoxXMax", "BoxYMin", "BoxYMax",
    "PredictedIoU", "Clicks",
)  # fmt: skip
_MASK_SIZES = (1.25, 0.8, 1.5)


def write_openimages(folder: Path, plan: Plan) -> dict[str, int]:
    """Write both splits; return how many pictures and masks each has."""
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
    picture = draw_picture(seed, f"openimages/{image_id}", "rare" if number == 1 else "plain")
    (folder / split / f"{image_id}.jpg").write_bytes(picture.jpeg)
    if number % 15 == 7:
        return []  # a picture that nobody has segmented
    rng = generator(seed, "openimages masks", image_id)
    rows = []
    for cutout in picture.cutouts:
        if ROLES[cutout.name].mid:
            box_id = f"{rng.integers(2**32):08x}"
            rows.append(_write_mask(cutout, image_id, box_id, folder / f"{split}-masks", rng))
    return rows


def _write_mask(
    cutout: Cutout, image_id: str, box_id: str, folder: Path, rng: np.random.Generator
) -> tuple[str, ...]:
    role = ROLES[cutout.name]
    height, width = cutout.mask.shape
    factor = float(rng.choice(_MASK_SIZES))
    mask = Image.fromarray(cutout.mask.astype(np.uint8) * 255).convert("1")
    mask = mask.resize((round(width * factor), round(height * factor)), Image.Resampling.NEAREST)
    name = f"{image_id}_{role.mid.strip('/').replace('/', '')}_{box_id}.png"
    mask.save(folder / name, optimize=False)
    x, y, across, down = box_of(cutout.mask)
    sides = (x / width, (x + across) / width, y / height, (y + down) / height)
    quality = f"{rng.uniform(0.7, 0.95):.5f}" if rng.integers(2) else ""
    clicks = "0.500000 0.500000 0" if quality else ""
    return (name, image_id, role.mid, box_id, *(f"{side:.6f}" for side in sides), quality, clicks)


def _write_class_lists(folder: Path) -> None:
    roles = sorted((role for role in CAST if role.mid), key=lambda role: role.mid)
    with (folder / "class-descriptions-boxable.csv").open(
        "w", newline="", encoding="utf-8"
    ) as file:
        csv.writer(file, lineterminator="\n").writerows((r.mid, r.mid_name) for r in roles)
    (folder / "classes-segmentation.txt").write_text("".join(f"{r.mid}\n" for r in roles))
