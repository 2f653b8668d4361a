"""Estimated item counts, for planning before the annotations are on disk."""

import csv
from collections.abc import Iterable
from importlib import resources

from avsynth.download.catalog import catalog_entry
from avsynth.download.requirements import Request

OPENIMAGES_CATEGORIES = 350
MASKS_PER_IMAGE = 2
"""Assumed number of masks of one category in one image of Open Images."""


def estimate(source: str, kind: str, request: Request) -> int:
    """Estimate how many items of a kind the chosen categories need.

    Args:
        source: lvis, coco, openimages or vggsound.
        kind: images, masks or clips.
        request: gives the categories and the sample size.
    """
    return sum(
        min(count, request.sample or count) for count in _per_category(source, kind, request)
    )


def _per_category(source: str, kind: str, request: Request) -> Iterable[int]:
    if source in {"lvis", "vggsound"}:
        column = "lvis_train_images" if source == "lvis" else "vggsound_clips"
        text = resources.files("avsynth.resources").joinpath("source_counts.csv").read_text("utf-8")
        chosen = set(request.vocabulary.names)
        return [
            int(row[column])
            for row in csv.DictReader(text.splitlines())
            if row["category"] in chosen
        ]
    if source == "openimages":
        masks = catalog_entry(source).counts["train-annotations-object-segmentation.csv"]["masks"]
        masks_each = masks // OPENIMAGES_CATEGORIES
        per_category = masks_each if kind == "masks" else masks_each // MASKS_PER_IMAGE
        return [per_category for c in request.vocabulary.categories for _ in c.openimages]
    images = sum(archive.count for archive in catalog_entry("coco").archives.values())
    return [images // 80 for c in request.vocabulary.categories for _ in c.coco]
