"""Mask sources: each yields `MaskRecord`s of the chosen categories from one dataset's files."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from avsynth.core.params.building import MasksParams
from avsynth.core.paths import Layout
from avsynth.core.records import MaskRecord
from avsynth.runtime.options import Runtime
from avsynth.sources.masks import coco, lvis, openimages

if TYPE_CHECKING:  # pandas would cost 40 MB and 0.3 s in every worker
    from avsynth.sources.categories import Vocabulary

IterMasks = Callable[[Layout, MasksParams, "Vocabulary", Runtime], Iterator[MaskRecord]]

MASK_SOURCES: dict[str, IterMasks] = {
    "lvis": lvis.iter_masks,
    "openimages": openimages.iter_masks,
    "coco": coco.iter_masks,
}
