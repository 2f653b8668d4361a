"""Small worlds of a few images in the layouts of LVIS, COCO and Open Images."""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

from avsynth.core.params.building import MasksParams
from avsynth.sources.categories import Vocabulary, load_vocabulary

HEIGHT, WIDTH = 40, 60
SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]
EDGE = [[0, 5, 20, 5, 20, 25, 0, 25]]
CROWD = {"counts": [0, 40 * 20, 40 * 40], "size": [HEIGHT, WIDTH]}

LVIS_CATEGORIES = [
    {"id": 3, "name": "airplane", "synset": "airplane.n.01", "synonyms": ["airplane"]},
    {"id": 225, "name": "cat", "synset": "cat.n.01", "synonyms": ["cat", "house_cat"]},
    {"id": 378, "name": "dog", "synset": "dog.n.01", "synonyms": ["dog"]},
]
COCO_CATEGORIES = [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]


def vocabulary(*names: str) -> Vocabulary:
    return load_vocabulary().choose(names or ("cat", "dog"))


def masks_params(filters: dict[str, object] | None = None, **sources: object) -> MasksParams:
    limits = {
        "min_area_frac": 0.0,
        "max_area_frac": 1.0,
        "drop_crowd": True,
        "drop_border": False,
        "drop_not_exhaustive": False,
    }
    return MasksParams.model_validate(
        {"sources": sources, "filters": limits | (filters or {}), "max_drop_frac": 0.5}
    )


def params_of(source: str, filters: dict[str, object] | None = None) -> MasksParams:
    """Return the parameters that read the small world of a source from the project's folder."""
    settings: dict[str, dict[str, object]] = {
        "lvis": {"root": ".", "files": ["lvis_v1_train.json"], "images": "."},
        "coco": {"root": ".", "files": ["instances_val2017.json"], "images": "."},
        "openimages": {"root": ".", "splits": ["validation"]},
    }
    return masks_params(filters, **{source: settings[source]})


def write_image(path: Path, height: int = HEIGHT, width: int = WIDTH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (120, 90, 60)).save(path)


def image_entry(number: int, folder: str, **more: object) -> dict[str, object]:
    return {
        "id": number,
        "height": HEIGHT,
        "width": WIDTH,
        "license": 4,
        "coco_url": f"http://images.cocodataset.org/{folder}/{number:012d}.jpg",
        **more,
    }


def annotation(
    number: int, image: int, category: int, shape: object, **more: object
) -> dict[str, object]:
    return {"id": number, "image_id": image, "category_id": category, "segmentation": shape, **more}


def write_lvis(root: Path, name: str = "lvis_v1_train.json", **changes: object) -> Path:
    """Write 2 images of 3 listed ones, with 7 masks, one of another category."""
    content = {
        "annotations": [
            annotation(1, 34, 378, SQUARE),
            annotation(2, 34, 225, EDGE),
            annotation(3, 49, 378, []),
            annotation(4, 49, 3, SQUARE),
            annotation(5, 61, 225, SQUARE),
            annotation(6, 99, 225, SQUARE),
            annotation(7, 49, 225, {"counts": [1, 2], "size": [HEIGHT, WIDTH]}),
        ],
        "images": [
            image_entry(34, "train2017", not_exhaustive_category_ids=[225]),
            image_entry(49, "val2017"),
            image_entry(61, "train2017"),
        ],
        "licenses": [{"id": 4, "name": "by", "url": "http://example.org/by"}],
        "categories": LVIS_CATEGORIES,
    } | changes
    write_image(root / "train2017" / f"{34:012d}.jpg")
    write_image(root / "val2017" / f"{49:012d}.jpg")
    path = root / name
    path.write_text(json.dumps(content))
    return path


def write_coco(root: Path) -> Path:
    """Write 2 images with 3 masks, one of them a crowd."""
    content = {
        "images": [
            image_entry(34, "val2017"),
            {"id": 49, "file_name": f"{49:012d}.jpg", "height": HEIGHT, "width": WIDTH},
        ],
        "annotations": [
            annotation(1, 34, 18, SQUARE, iscrowd=0),
            annotation(900100000034, 34, 17, CROWD, iscrowd=1),
            annotation(2, 49, 17, SQUARE),
        ],
        "categories": COCO_CATEGORIES,
    }
    for number in (34, 49):
        write_image(root / "val2017" / f"{number:012d}.jpg")
    path = root / "instances_val2017.json"
    path.write_text(json.dumps(content))
    return path


OPEN_IMAGE = "0123456789abcdef"
DOG_MASK = f"{OPEN_IMAGE}_m0bt9lr_00000001.png"


def write_openimages(root: Path, rows: list[tuple[str, str, str]] | None = None) -> Path:
    """Write one image and one dog mask of twice its size."""
    write_image(root / "validation" / f"{OPEN_IMAGE}.jpg")
    mask = np.zeros((2 * HEIGHT, 2 * WIDTH), bool)
    mask[20:60, 20:60] = True
    (root / "validation-masks").mkdir(exist_ok=True)
    Image.fromarray(mask).save(root / "validation-masks" / DOG_MASK)
    path = root / "validation-annotations-object-segmentation.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "MaskPath",
                "ImageID",
                "LabelName",
                "BoxID",
                "BoxXMin",
                "BoxXMax",
                "BoxYMin",
                "BoxYMax",
                "PredictedIoU",
                "Clicks",
            ]
        )
        for row in rows or [(DOG_MASK, OPEN_IMAGE, "/m/0bt9lr")]:
            writer.writerow([*row, "00000001", 0.1, 0.5, 0.1, 0.5, "", ""])
    return path
