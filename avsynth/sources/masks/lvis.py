"""LVIS v1: instance masks of 1,203 categories on COCO 2017's images.

Where to get it: https://www.lvisdataset.org (annotations), https://cocodataset.org (images).
Licence: annotations CC BY 4.0; every image has its own Flickr licence.
Layout: ``lvis_v1_train.json``, ``lvis_v1_val.json``, ``train2017/``, ``val2017/``.
Quirks: the val file uses images of both folders; an image's file name is in ``coco_url`` only; the
masks of a category may be incomplete in an image (``not_exhaustive_category_ids``). LVIS v0.5 has
other category ids in the same layout, so categories are matched by name, never by id.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from avsynth.core.params.building import MasksParams
from avsynth.core.paths import Layout
from avsynth.core.records import MaskRecord
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.masks.annotation_index import open_index
from avsynth.sources.masks.coco_family import (
    AnnotationFile,
    check_matched,
    file_prefixes,
    image_name,
    iter_indexed,
    match_names,
)
from avsynth.sources.masks.coco_json import SourceCategory

if TYPE_CHECKING:  # pandas would cost 40 MB and 0.3 s in every worker
    from avsynth.sources.categories import Vocabulary

V1_CATEGORIES = 1203
# Ids in v0.5 of names that have another id in v1, or none.
_V05_IDS = {"acorn": 1, "airplane": 4, "alarm_clock": 5, "bus_(vehicle)": 181, "zucchini": 1230}


def iter_masks(
    layout: Layout, params: MasksParams, vocabulary: "Vocabulary", runtime: Runtime
) -> Iterator[MaskRecord]:
    """Yield every LVIS mask of the vocabulary, usable or not.

    Raises:
        DataError: a file is absent, damaged, LVIS v0.5 or not LVIS; an image folder is
            absent; no file has a category of the vocabulary.
        ConfigError: the vocabulary has an LVIS name that is not in LVIS v1.
    """
    root, images = layout.resolve(params.lvis.root), layout.resolve(params.lvis.images)
    labels = vocabulary.label_to_category("lvis")
    prefixes = file_prefixes("lvis", params.lvis.files)
    image_ids: dict[int, str] = {}
    paths, found, matched = [root / name for name in params.lvis.files], set[str](), False
    for name, prefix in zip(params.lvis.files, prefixes, strict=True):
        index = open_index(root / name, runtime)
        _check_version(str(root / name), index.categories)
        categories = match_names("lvis", index.categories, labels, V1_CATEGORIES)
        file = AnnotationFile(
            "lvis", root / name, images, categories, params.filters, prefix, image_ids
        )
        found.update(category.name for category in index.categories)
        synonyms = {one for category in index.categories for one in category.synonyms}
        matched = matched or bool(categories) or not synonyms.isdisjoint(labels)
        yield from iter_indexed(file, index, image_name, runtime)
    check_matched(paths, found, matched, labels)


def _check_version(where: str, categories: Sequence[SourceCategory]) -> None:
    if not any(c.synset for c in categories):
        raise DataError(
            where,
            "LVIS v1 annotations",
            f"{len(categories)} categories without synsets, as in COCO",
            "Move it to masks.sources.coco, or set lvis_v1_train.json here.",
        )
    if any(c.id > V1_CATEGORIES or _V05_IDS.get(c.name) == c.id for c in categories):
        raise DataError(
            where,
            f"LVIS v1 ({V1_CATEGORIES} categories)",
            f"LVIS v0.5 ({len(categories)} categories under other ids)",
            "Get lvis_v1_train.json and lvis_v1_val.json from https://www.lvisdataset.org.",
        )
