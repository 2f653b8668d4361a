"""Export shards as COCO's instances JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from avsynth.core.files import whole_file
from avsynth.exports.instances import Instance, iter_instances
from avsynth.formats.mask_rle import mask_to_rle, png_to_mask, rle_box_area
from avsynth.formats.shards import ShardReader


def export_coco(shards: Path, path: Path) -> int:
    """Write the masks of a build as one COCO instances json.

    Picture files are called ``<img_id>.jpg``, as in `export_avs_synthetic`; ``split`` stands at
    each image, the sample's key, clip and second at each annotation.

    Args:
        shards: folder of tars and index.json.
        path: the json; it appears whole or not at all.

    Returns:
        Number of annotations written.

    Raises:
        DataError: no shards there.
        SpaceError: no room.
    """
    reader = ShardReader(shards)
    images: dict[str, dict[str, Any]] = {}
    licences: dict[str, int] = {}
    annotations = []
    for number, one in enumerate(iter_instances(reader), start=1):
        mask = png_to_mask(one.parts["mask.png"])
        licence = str(one.meta.get("image_licence", one.meta.get("licence", "")))
        image = {
            "id": len(images) + 1,
            "file_name": f"{one.img_id}.jpg",
            "height": mask.shape[0],
            "width": mask.shape[1],
            "license": licences.setdefault(licence, len(licences) + 1),
            "coco_url": one.meta.get("image_url", ""),
            "split": one.meta["split"],
        }
        image_id = images.setdefault(one.img_id, image)["id"]
        annotations.append({"id": number, "image_id": image_id, **_annotation(one, mask)})
    names = {one["category_id"]: one.pop("category") for one in annotations}
    content = {
        "info": {"description": "avs-synthetic masks", "version": "1"},
        "licenses": [{"id": i, "name": name, "url": ""} for name, i in licences.items()],
        "categories": [{"id": i, "name": names[i], "supercategory": ""} for i in sorted(names)],
        "images": list(images.values()),
        "annotations": annotations,
    }
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
    return len(annotations)


def _annotation(one: Instance, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Any]:
    height, width = mask.shape
    rle = mask_to_rle(mask)
    (x0, y0, x1, y1), area = rle_box_area(rle, height, width)
    return {
        "category_id": one.cls_id,
        "category": one.meta["category"],
        "segmentation": {"size": [height, width], "counts": rle},
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": area,
        "iscrowd": 0,
        "sample": one.key,
        "clip_id": one.meta.get("clip_id", ""),
        "second": one.second,
    }
