"""Random annotation files with the layout of LVIS v1: its counts, keys and polygon lengths."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IMAGES, ANNOTATIONS, CATEGORIES = 100_170, 1_270_141, 1_203
HEIGHT, WIDTH = 480, 640
_BANK = 30_000
_BLOCK = 10_000


def write_lvis_json(path: Path, scale: float, seed: int = 0) -> tuple[int, int]:
    """Write the file.

    Args:
        path: where to.
        scale: 1 is LVIS v1 train: 100,170 images, 1,270,141 masks, 1.1 GB.
        seed: of the polygons.

    Returns:
        The numbers of images and of masks.
    """
    rng = np.random.default_rng(seed)
    images, annotations = round(IMAGES * scale), round(ANNOTATIONS * scale)
    with path.open("w", encoding="ascii") as file:
        file.write('{"info": {"version": "v1", "year": 2020}, "annotations": [')
        for number, block in enumerate(_annotations(annotations, images, rng)):
            file.write((", " if number else "") + ", ".join(block))
        file.write('], "images": [' + ", ".join(_image(i) for i in range(1, images + 1)))
        file.write('], "licenses": [{"id": 1, "name": "A", "url": "http://a"}], "categories": ')
        json.dump([_category(i) for i in range(1, CATEGORIES + 1)], file)
        file.write("}")
    return images, annotations


def blobs(count: int, rng: np.random.Generator) -> list[list[list[float]]]:
    """Sample segmentations with LVIS's distributions of sizes, parts and points."""
    drawn = []
    for _ in range(count):
        radius = float(np.clip(rng.lognormal(2.95, 1.1), 2, 400))
        centre = rng.uniform((0, 0), (WIDTH, HEIGHT))
        parts = int(rng.choice([1, 2, 3], p=[0.88, 0.08, 0.04]))
        drawn.append([_blob(centre + rng.normal(0, radius, 2), radius, rng) for _ in range(parts)])
    return drawn


def _blob(centre: NDArray[np.float64], radius: float, rng: np.random.Generator) -> list[float]:
    points = int(np.clip(rng.lognormal(3.36, 0.75), 4, 400))
    angles = np.sort(rng.uniform(0, 2 * np.pi, points))
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outline = centre + radius * rng.uniform(0.7, 1.1, (points, 1)) * rim
    return [float(v) for v in outline.clip(0, (WIDTH, HEIGHT)).round(2).ravel()]


def _annotations(count: int, images: int, rng: np.random.Generator) -> Iterator[list[str]]:
    bank = [json.dumps(one) for one in blobs(min(_BANK, max(count, 1)), rng)]
    # A few categories have most of the masks, as in LVIS.
    weights = 1 / np.arange(1, CATEGORIES + 1) ** 0.9
    weights = rng.permutation(weights / weights.sum())
    for start in range(0, count, _BLOCK):
        size = min(_BLOCK, count - start)
        shapes = rng.integers(len(bank), size=size).tolist()
        image_ids = rng.integers(1, images + 1, size=size).tolist()
        category_ids = (rng.choice(CATEGORIES, size=size, p=weights) + 1).tolist()
        yield [
            f'{{"area": {area}.5, "id": {start + i + 1}, "segmentation": {bank[shape]}, '
            f'"image_id": {image_id}, "bbox": [{area % 600}.01, {area % 400}.2, 41.13, 37.45], '
            f'"category_id": {category_id}}}'
            for i, (shape, image_id, category_id, area) in enumerate(
                zip(shapes, image_ids, category_ids, range(start, start + size), strict=True)
            )
        ]


def _image(number: int) -> str:
    tail = f"{number:012d}"
    return json.dumps(
        {
            "date_captured": "2013-11-18 16:32:48",
            "neg_category_ids": [5, 900, 1100, 33],
            "id": number,
            "license": 1,
            "height": HEIGHT,
            "width": WIDTH,
            "flickr_url": f"http://farm5.staticflickr.com/4024/{tail}_z.jpg",
            "coco_url": f"http://images.cocodataset.org/train2017/{tail}.jpg",
            "not_exhaustive_category_ids": [number % 1203 + 1],
        }
    )


def _category(number: int) -> dict[str, object]:
    name = f"category_{number}"
    return {
        "name": name,
        "instance_count": 1000,
        "def": "a thing that is drawn by program",
        "synonyms": [name],
        "image_count": 800,
        "id": number,
        "frequency": "f",
        "synset": f"{name}.n.01",
    }
