"""Rough counts for planning before any list is on disk; every figure made of them says so."""

import csv
from collections.abc import Iterable
from importlib import resources

from avsynth.download.catalog import known
from avsynth.download.requirements import Wish

OPENIMAGES_CATEGORIES = 350
MASKS_PER_PICTURE = 2
"""Masks of one category in one picture of Open Images, a guess."""


def estimate(source: str, kind: str, wish: Wish) -> int:
    """Guess how many items of a kind the chosen categories need.

    Args:
        source: lvis, coco, openimages or vggsound.
        kind: pictures, masks or clips.
        wish: the categories and the sample.
    """
    return sum(min(count, wish.sample or count) for count in _per_category(source, kind, wish))


def _per_category(source: str, kind: str, wish: Wish) -> Iterable[int]:
    if source in {"lvis", "vggsound"}:
        column = "lvis_train_pictures" if source == "lvis" else "vggsound_clips"
        text = resources.files("avsynth.resources").joinpath("source_counts.csv").read_text("utf-8")
        chosen = set(wish.vocabulary.names)
        return [
            int(row[column])
            for row in csv.DictReader(text.splitlines())
            if row["category"] in chosen
        ]
    if source == "openimages":
        masks = known(source).counts["train-annotations-object-segmentation.csv"]["masks"]
        each = masks // OPENIMAGES_CATEGORIES
        per_category = each if kind == "masks" else each // MASKS_PER_PICTURE
        return [per_category for c in wish.vocabulary.categories for _ in c.openimages]
    pictures = sum(archive.count for archive in known("coco").archives.values())
    return [pictures // 80 for c in wish.vocabulary.categories for _ in c.coco]
