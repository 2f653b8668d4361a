"""LVIS, COCO and Open Images of the toy world, read by their official libraries, with quirks."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lvis import LVIS
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from avsynth.toy.categories import CATEGORIES, CATEGORY_BY_NAME, IMAGE_CATEGORIES
from avsynth.toy.images import draw_image


@pytest.fixture(scope="module")
def train(world: Path) -> dict[str, Any]:
    return json.loads((world / "lvis" / "lvis_v1_train.json").read_text())


def decode(outline: Any, height: int, width: int) -> np.ndarray:
    if isinstance(outline, list):
        return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outline, height, width)))
    if isinstance(outline["counts"], list):
        outline = coco_mask.frPyObjects(outline, height, width)
    return coco_mask.decode(outline)


@pytest.mark.parametrize("split", ["train", "val"])
def test_lvis_api_reads_the_json_and_the_drawn_masks(world: Path, split: str) -> None:
    lvis = LVIS(str(world / "lvis" / f"lvis_v1_{split}.json"))
    names = {category.lvis_id: category.name for category in CATEGORIES}
    checked = 0
    for image in lvis.dataset["images"]:
        subset, file_name = image["coco_url"].split("/")[-2:]
        with Image.open(world / "lvis" / subset / file_name) as jpeg:
            assert (jpeg.height, jpeg.width) == (image["height"], image["width"])
        drawn = {
            tuple(np.argwhere(cut.mask).mean(0).round(3)): cut
            for cut in draw_image(0, f"coco/{file_name}", kind_of(image["id"])).object_masks
        }
        for annotation in lvis.img_ann_map[image["id"]]:
            if annotation["area"] < 1 or annotation.get("iscrowd"):
                continue
            mask = lvis.ann_to_mask(annotation)
            object_mask = drawn[tuple(np.argwhere(mask).mean(0).round(3))]
            assert object_mask.name == names[annotation["category_id"]]
            assert np.array_equal(mask, object_mask.mask)
            assert mask.sum() == annotation["area"]
            checked += 1
    assert checked > (100 if split == "train" else 20)


def kind_of(image_id: int) -> Any:
    return {3: "grey", 5: "exif", 7: "cmyk", 9: "rare", 11: "rare", 14: "rare"}.get(
        image_id // 3, "plain"
    )


def test_lvis_val_uses_images_of_both_folders(world: Path) -> None:
    val = json.loads((world / "lvis" / "lvis_v1_val.json").read_text())
    assert {image["coco_url"].split("/")[-2] for image in val["images"]} == {
        "train2017",
        "val2017",
    }
    assert all("file_name" not in image for image in val["images"])


def test_lvis_contains_every_kind_of_outline(train: dict[str, Any]) -> None:
    kinds = Counter()
    for annotation in train["annotations"]:
        outline = annotation["segmentation"]
        kinds["crowd"] += annotation.get("iscrowd", 0)
        if isinstance(outline, list):
            kinds["empty" if not outline else "parts" if len(outline) > 1 else "polygon"] += 1
        else:
            kinds["list" if isinstance(outline["counts"], list) else "text"] += 1
    assert kinds["crowd"] == 1
    assert kinds["empty"] == 1
    assert min(kinds["list"], kinds["text"], kinds["parts"]) > 5
    pixels = [
        decode(a["segmentation"], 200, 200).sum()
        for a in train["annotations"]
        if a["segmentation"] and a["area"] < 1
    ]
    assert pixels == [0]


def test_lvis_lists_absent_and_partly_annotated_categories(train: dict[str, Any]) -> None:
    present: dict[int, set[int]] = {}
    for annotation in train["annotations"]:
        present.setdefault(annotation["image_id"], set()).add(annotation["category_id"])
    for image in train["images"]:
        assert not present[image["id"]] & set(image["neg_category_ids"])
        assert set(image["not_exhaustive_category_ids"]) <= present[image["id"]]
    assert any(image["not_exhaustive_category_ids"] for image in train["images"])


def test_images_show_several_categories(train: dict[str, Any]) -> None:
    visible: dict[int, set[int]] = {}
    for annotation in train["annotations"]:
        visible.setdefault(annotation["image_id"], set()).add(annotation["category_id"])
    assert min(len(categories) for categories in visible.values()) >= 1
    assert sum(len(categories) >= 2 for categories in visible.values()) >= 0.95 * len(visible)
    counts = Counter(a["category_id"] for a in train["annotations"])
    assert all(counts[CATEGORY_BY_NAME[name].lvis_id] >= 3 for name in IMAGE_CATEGORIES)
    assert 1 <= counts[CATEGORY_BY_NAME["snake"].lvis_id] <= 3


def test_special_jpegs_have_their_mode_and_rotation(world: Path) -> None:
    modes, turned = Counter(), []
    for path in sorted((world / "lvis" / "train2017").glob("*.jpg")):
        with Image.open(path) as image:
            modes[image.mode] += 1
            if image.getexif().get(0x0112, 1) != 1:
                turned.append((path.name, image.size))
    assert modes["L"] == modes["CMYK"] == 1
    assert [name for name, _ in turned] == ["000000000016.jpg"]


def test_coco_api_reads_the_json_and_shares_images_with_lvis(world: Path) -> None:
    coco = COCO(str(world / "coco" / "annotations" / "instances_train2017.json"))
    crowds = [a for a in coco.dataset["annotations"] if a["iscrowd"]]
    assert len(crowds) == 1
    for annotation in coco.dataset["annotations"]:
        assert coco.annToMask(annotation).sum() == annotation["area"]
    assert {c["name"] for c in coco.dataset["categories"]} >= {"cat", "dog", "keyboard", "banana"}
    shared = 0
    for image in coco.dataset["images"]:
        own = (world / "coco" / "train2017" / image["file_name"]).read_bytes()
        twin = world / "lvis" / "train2017" / image["file_name"]
        if twin.exists():
            assert twin.read_bytes() == own
            shared += 1
    assert 0 < shared < len(coco.dataset["images"])


def test_openimages_masks_are_one_bit_with_another_size(world: Path) -> None:
    folder = world / "openimages"
    with (folder / "train-annotations-object-segmentation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    mids = {category.mid: category.name for category in CATEGORIES if category.mid}
    rare = next(row["ImageID"] for row in rows if row["LabelName"] == CATEGORY_BY_NAME["snake"].mid)
    other_size = 0
    for row in rows:
        with (
            Image.open(folder / "train-masks" / row["MaskPath"]) as mask,
            Image.open(folder / "train" / f"{row['ImageID']}.jpg") as image,
        ):
            assert mask.mode == "1"
            other_size += mask.size != image.size
            pixels = np.asarray(mask.resize(image.size, Image.Resampling.NEAREST))
        kind = "rare" if row["ImageID"] == rare else "plain"
        overlaps = [
            (pixels & object_mask.mask).sum() / (pixels | object_mask.mask).sum()
            for object_mask in draw_image(0, f"openimages/{row['ImageID']}", kind).object_masks
            if object_mask.name == mids[row["LabelName"]]
        ]
        assert max(overlaps) > 0.7
    assert other_size == len(rows) > 30
    images = {path.stem for path in (folder / "train").iterdir()}
    assert images > {row["ImageID"] for row in rows}  # some have none
    assert any(row["PredictedIoU"] == "" for row in rows)
