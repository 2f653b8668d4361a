"""LVIS v1: instance masks of 1,203 categories on COCO 2017's pictures.

Where to get it: https://www.lvisdataset.org (annotations), https://cocodataset.org (pictures).
Licence: annotations CC BY 4.0; every picture has its own Flickr licence.
Layout: ``lvis_v1_train.json``, ``lvis_v1_val.json``, ``train2017/``, ``val2017/``.
Quirks: the val file uses pictures of both folders; a picture is named by ``coco_url`` only; a
category may be marked incompletely in a picture (``not_exhaustive_category_ids``). LVIS v0.5 has
other category ids under the same layout, so categories are matched by name, never by id.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from avsynth.config import MasksParams, Runtime
from avsynth.errors import ConfigError, DataError, suggest
from avsynth.masks.index import open_index
from avsynth.masks.indexed import AnnotationFile, iter_indexed, picture_name
from avsynth.masks.instances import SourceCategory
from avsynth.paths import Layout
from avsynth.records import MaskRecord

if TYPE_CHECKING:  # it brings pandas: 40 MB and 0.3 s in every worker
    from avsynth.categories import Vocabulary

V1_CATEGORIES = 1203
# Ids that v0.5 gives to names that v1 has under another id, or no longer.
_V05_IDS = {"acorn": 1, "airplane": 4, "alarm_clock": 5, "bus_(vehicle)": 181, "zucchini": 1230}


def iter_masks(
    layout: Layout, params: MasksParams, vocabulary: "Vocabulary", runtime: Runtime
) -> Iterator[MaskRecord]:
    """Yield every LVIS mask of the vocabulary, usable or not.

    Raises:
        DataError: a file is absent, damaged, LVIS v0.5 or not LVIS; a picture folder is absent.
        ConfigError: the vocabulary has an LVIS name that LVIS v1 has not.
    """
    root, images = layout.resolve(params.lvis.root), layout.resolve(params.lvis.images)
    for name in params.lvis.files:
        index = open_index(root / name, runtime)
        _check_version(str(root / name), index.categories)
        categories = match_names(index.categories, vocabulary.label_to_category("lvis"))
        file = AnnotationFile("lvis", root / name, images, categories, params.filters)
        yield from iter_indexed(file, index, picture_name)


def match_names(
    categories: Sequence[SourceCategory], label_to_category: dict[str, str]
) -> dict[int, str]:
    """Map the file's category ids to ours, by name, else by a synonym that only one of them has.

    Raises:
        ConfigError: the file has all of LVIS v1 and still lacks a name.
    """
    by_name = {c.name: c.id for c in categories}
    by_synonym: dict[str, list[int]] = {}
    for category in categories:
        for synonym in category.synonyms:
            by_synonym.setdefault(synonym, []).append(category.id)
    chosen: dict[int, str] = {}
    for label, ours in label_to_category.items():
        ids = [by_name[label]] if label in by_name else by_synonym.get(label, [])
        if len(ids) == 1:
            chosen[ids[0]] = ours
        elif len(categories) == V1_CATEGORIES:
            raise ConfigError(
                "masks/lvis",
                "names of LVIS v1 in the category table's column lvis",
                f"{label!r} (category {ours!r})",
                suggest(label, by_name),
            )
    return chosen


def _check_version(where: str, categories: Sequence[SourceCategory]) -> None:
    if not any(c.synset for c in categories):
        raise DataError(
            where,
            "LVIS v1 annotations",
            f"{len(categories)} categories without synsets, as in COCO",
            "Name it under masks.coco, or name lvis_v1_train.json here.",
        )
    if any(c.id > V1_CATEGORIES or _V05_IDS.get(c.name) == c.id for c in categories):
        raise DataError(
            where,
            f"LVIS v1 ({V1_CATEGORIES} categories)",
            f"LVIS v0.5 ({len(categories)} categories under other ids)",
            "Fetch lvis_v1_train.json and lvis_v1_val.json from https://www.lvisdataset.org.",
        )
