"""COCO 2017 instances: masks of 80 categories.

Where to get it: https://cocodataset.org. Licence: annotations CC BY 4.0; every image has its own
Flickr licence. Layout: ``annotations/instances_{train,val}2017.json``, ``train2017/``,
``val2017/``. Quirks: crowd regions are uncompressed run lengths with ``iscrowd`` 1.
"""

from collections.abc import Iterator
from functools import partial
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
    split_of,
)

if TYPE_CHECKING:  # pandas would cost 40 MB and 0.3 s in every worker
    from avsynth.sources.categories import Vocabulary

CATEGORIES = 80


def iter_masks(
    layout: Layout, params: MasksParams, vocabulary: "Vocabulary", runtime: Runtime
) -> Iterator[MaskRecord]:
    """Yield every COCO mask of the vocabulary, usable or not.

    Raises:
        DataError: a file is absent, damaged or not COCO; an image folder is absent;
            no file has a category of the vocabulary.
        ConfigError: the vocabulary has a COCO name that is not in COCO.
    """
    root, images = layout.resolve(params.coco.root), layout.resolve(params.coco.images)
    labels = vocabulary.label_to_category("coco")
    prefixes = file_prefixes("coco", params.coco.files)
    image_ids: dict[int, str] = {}
    paths, found, matched = [root / name for name in params.coco.files], set[str](), False
    for name, prefix in zip(params.coco.files, prefixes, strict=True):
        index = open_index(root / name, runtime)
        if any(c.synset for c in index.categories):
            raise DataError(
                str(root / name),
                "COCO instances",
                f"{len(index.categories)} categories with synsets, as in LVIS",
                "Move it to masks.sources.lvis, or set instances_train2017.json here.",
            )
        categories = match_names("coco", index.categories, labels, CATEGORIES)
        file = AnnotationFile(
            "coco", root / name, images, categories, params.filters, prefix, image_ids
        )
        found.update(category.name for category in index.categories)
        matched = matched or bool(categories)
        folder = f"{split_of(root / name)}2017"
        name_of = partial(image_name, default_folder=folder)
        yield from iter_indexed(file, index, name_of, runtime)
    check_matched(paths, found, matched, labels)
