"""LVIS v1 and COCO 2017 in their official layout, with shared images.

``lvis/lvis_v1_{train,val}.json`` with ``train2017/`` and ``val2017/``: as in LVIS v1, only the end
of ``coco_url`` gives an image's path, and the val json also uses images of ``train2017``.
``coco/annotations/instances_train2017.json`` with ``train2017/``: half of its images are LVIS's.

Intentional quirks: polygons of several parts; run lengths both compressed and as lists (for objects
that are partly hidden or cut by an edge); a crowd; an empty outline; an outline that covers no
pixel; a grey, a CMYK and an EXIF-rotated JPEG; a category with few masks; one without audio.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsynth.core.hashing import generator
from avsynth.toy.categories import CATEGORIES, CATEGORY_BY_NAME
from avsynth.toy.images import Kind, box_of, draw_image, polygons_of, rle_of
from avsynth.toy.plan import Plan
from avsynth.toy.scenes import ObjectMask

_SPECIAL: dict[int, Kind] = {3: "grey", 5: "exif", 7: "cmyk", 9: "rare", 11: "rare", 14: "rare"}
_VAL_FIRST = 400_000
_CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
_LICENCES = [{"id": 1, "name": "CC0-1.0", "url": _CC0}]


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """One image to draw: its COCO id and its folder."""

    image_id: int
    subset: str

    @property
    def file_name(self) -> str:
        """The official name: 12 digits."""
        return f"{self.image_id:012d}.jpg"


def write_lvis(folder: Path, plan: Plan) -> dict[str, int]:
    """Write LVIS v1; return the number of images and masks of each split."""
    last = 1 + plan.count(400, 36)
    train = _image_specs(range(1, last), "train2017")
    val = _image_specs(range(last, last + plan.count(20, 3)), "train2017")
    val += _image_specs(range(plan.count(40, 5)), "val2017", first=_VAL_FIRST)
    found: dict[str, int] = {}
    for split, specs in (("train", train), ("val", val)):
        images, annotations = _draw_all(folder, specs, plan.seed, lvis=True)
        _add_lvis_image_facts(images, annotations, plan.seed)
        if split == "train":
            _add_lvis_quirks(annotations)
        document = {
            "info": {"description": "avsynth toy world, LVIS v1 layout", "version": "v1.0"},
            "images": images,
            "annotations": annotations,
            "categories": _lvis_categories(annotations),
            "licenses": _LICENCES,
        }
        _write_json(folder / f"lvis_v1_{split}.json", document)
        found |= {f"{split}_images": len(images), f"{split}_masks": len(annotations)}
    return found


def write_coco(folder: Path, plan: Plan) -> dict[str, int]:
    """Write COCO instances; return the number of images and masks."""
    half = plan.count(15, 8)
    shared = _image_specs(range(1, 1 + half), "train2017")
    own = _image_specs(range(half), "train2017", first=_VAL_FIRST // 2)
    images, annotations = _draw_all(folder, shared + own, plan.seed, lvis=False)
    _make_crowd(annotations[-1], images)
    document = {
        "info": {"description": "avsynth toy world, COCO 2017 layout", "year": 2017},
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": r.coco_id, "name": r.coco, "supercategory": "toy"}
            for r in sorted(CATEGORIES, key=lambda r: r.coco_id)
            if r.coco_id
        ],
        "licenses": _LICENCES,
    }
    _write_json(folder / "annotations" / "instances_train2017.json", document)
    return {"train_images": len(images), "train_masks": len(annotations)}


def _make_crowd(annotation: dict[str, Any], images: list[dict[str, Any]]) -> None:
    """Change an annotation into a crowd: run lengths over all but the left third of its image."""
    image = next(image for image in images if image["id"] == annotation["image_id"])
    height, width = image["height"], image["width"]
    left = width // 3
    annotation["iscrowd"] = 1
    annotation["segmentation"] = {
        "size": [height, width],
        "counts": [left * height, (width - left) * height],
    }
    annotation["area"] = float((width - left) * height)
    annotation["bbox"] = [float(left), 0.0, float(width - left), float(height)]


def _image_specs(numbers: range, subset: str, first: int = 0) -> list[ImageSpec]:
    return [ImageSpec(first + 3 * number + 1, subset) for number in numbers]


def _draw_all(
    folder: Path, specs: list[ImageSpec], seed: int, *, lvis: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Draw every image and number its annotations in order."""
    for subset in {spec.subset for spec in specs}:
        (folder / subset).mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for spec in specs:
        image, found = _draw_one(spec, folder, seed, lvis=lvis)
        images.append(image)
        for annotation in found:
            annotations.append({"id": len(annotations) + 1, **annotation})
    return images, annotations


def _draw_one(
    spec: ImageSpec, folder: Path, seed: int, *, lvis: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    kind = _SPECIAL.get(spec.image_id // 3, "plain")
    drawn = draw_image(seed, f"coco/{spec.file_name}", kind)
    (folder / spec.subset / spec.file_name).write_bytes(drawn.jpeg)
    image: dict[str, Any] = {
        "id": spec.image_id,
        "height": drawn.height_px,
        "width": drawn.width_px,
        "license": 1,
        "flickr_url": "",
        "coco_url": f"http://images.cocodataset.org/{spec.subset}/{spec.file_name}",
        "date_captured": "2013-11-18 16:32:48",
    }
    if not lvis:
        image["file_name"] = spec.file_name
    annotations = []
    for object_mask in drawn.object_masks:
        category = CATEGORY_BY_NAME[object_mask.name]
        category_id = category.lvis_id if lvis else category.coco_id
        if category_id:
            annotations.append(_annotation(object_mask, spec.image_id, category_id, lvis=lvis))
    return image, annotations


def _annotation(
    object_mask: ObjectMask, image_id: int, category_id: int, *, lvis: bool
) -> dict[str, Any]:
    outline: object = polygons_of(object_mask)
    if not object_mask.fully_visible:
        outline = rle_of(object_mask.mask, compressed=image_id % 2 == 0)
    annotation: dict[str, Any] = {
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": outline,
        "area": float(object_mask.mask.sum()),
        "bbox": [float(v) for v in box_of(object_mask.mask)],
    }
    if not lvis:
        annotation["iscrowd"] = 0
    return annotation


def _add_lvis_image_facts(
    images: list[dict[str, Any]], annotations: list[dict[str, Any]], seed: int
) -> None:
    """Set the verified absent categories of each image, and those not exhaustively annotated."""
    present: dict[int, set[int]] = {image["id"]: set() for image in images}
    for annotation in annotations:
        present[annotation["image_id"]].add(annotation["category_id"])
    every = sorted(category.lvis_id for category in CATEGORIES if category.lvis_id)
    for image in images:
        rng = generator(seed, "lvis facts", image["id"])
        here = sorted(present[image["id"]])
        absent = [i for i in every if i not in here]
        image["neg_category_ids"] = sorted(rng.choice(absent, 3, replace=False).tolist())
        partly = here and rng.uniform() < 0.1
        image["not_exhaustive_category_ids"] = [int(rng.choice(here))] if partly else []


def _add_lvis_quirks(annotations: list[dict[str, Any]]) -> None:
    """Append a crowd, an empty outline and one that covers no pixel, on existing images."""
    quirks: list[dict[str, Any]] = [
        {"iscrowd": 1},
        {"segmentation": [], "area": 0.0, "bbox": [0.0, 0.0, 0.0, 0.0]},
        {
            "segmentation": [[10.1, 10.1, 10.2, 10.1, 10.2, 10.2]],
            "area": 0.005,
            "bbox": [10.1, 10.1, 0.1, 0.1],
        },
    ]
    for number, quirk in enumerate(quirks):
        original = annotations[4 * number]
        annotations.append({**original, "id": len(annotations) + 1, **quirk})


def _lvis_categories(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    categories = []
    for category in sorted(CATEGORIES, key=lambda r: r.lvis_id):
        if not category.lvis_id:
            continue
        own = [a for a in annotations if a["category_id"] == category.lvis_id]
        categories.append(
            {
                "id": category.lvis_id,
                "name": category.lvis,
                "synset": category.synset,
                "synonyms": [category.lvis],
                "def": f"a toy {category.name.replace('_', ' ')}",
                "frequency": category.frequency,
                "image_count": len({a["image_id"] for a in own}),
                "instance_count": len(own),
            }
        )
    return categories


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, sort_keys=True), encoding="utf-8")
