"""Export of shards to COCO's instances json."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from avsynth.core.files import atomic_file
from avsynth.exports.instances import Instance, iter_instances
from avsynth.formats.images import decode_mask
from avsynth.formats.mask_rle import mask_to_rle, rle_box_area
from avsynth.formats.shards import ShardReader


def export_coco(shards: Path, path: Path) -> int:
    """Write the masks of a build as one COCO instances json.

    Image files are named ``<img_id>.jpg``, as in `export_avs_synthetic`. Each image has the extra
    key ``split``. Each annotation has the extra keys ``sample``, ``clip_id`` and ``second``.

    Args:
        shards: folder of tars and index.json.
        path: the json; it is written atomically.

    Returns:
        Number of annotations written.

    Raises:
        DataError: ``shards`` has no index.
        SpaceError: the disk is full, or the folder is not writable.
    """
    reader = ShardReader(shards)
    images: dict[str, dict[str, Any]] = {}
    licences: dict[str, int] = {}
    annotations = []
    for number, instance in enumerate(iter_instances(reader), start=1):
        with reader.naming(instance.key):
            mask = decode_mask(instance.parts["mask.png"])
            annotation = _annotation(instance, mask)
        licence = str(instance.meta.get("image_licence", instance.meta.get("licence", "")))
        image = {
            "id": len(images) + 1,
            "file_name": f"{instance.img_id}.jpg",
            "height": mask.shape[0],
            "width": mask.shape[1],
            "license": licences.setdefault(licence, len(licences) + 1),
            "coco_url": instance.meta.get("image_url", ""),
            "split": instance.meta["split"],
        }
        image_id = images.setdefault(instance.img_id, image)["id"]
        annotations.append({"id": number, "image_id": image_id, **annotation})
    names = {a["category_id"]: a.pop("category") for a in annotations}
    content = {
        "info": {"description": "avs-synthetic masks", "version": "1"},
        "licenses": [{"id": i, "name": name, "url": ""} for name, i in licences.items()],
        "categories": [{"id": i, "name": names[i], "supercategory": ""} for i in sorted(names)],
        "images": list(images.values()),
        "annotations": annotations,
    }
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
    return len(annotations)


def _annotation(instance: Instance, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Any]:
    height, width = mask.shape
    rle = mask_to_rle(mask)
    (x0, y0, x1, y1), area = rle_box_area(rle, height, width)
    return {
        "category_id": instance.cls_id,
        "category": instance.meta["category"],
        "segmentation": {"size": [height, width], "counts": rle},
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": area,
        "iscrowd": 0,
        "sample": instance.key,
        "clip_id": instance.meta.get("clip_id", ""),
        "second": instance.second,
    }
