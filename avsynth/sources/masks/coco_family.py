"""From an annotation index to mask records: what LVIS and COCO have in common."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avsynth.core.params.building import MaskFilters
from avsynth.core.records import MaskRecord
from avsynth.formats.mask_rle import rle_box_area, segmentation_to_rle
from avsynth.runtime.errors import ConfigError, DataError, suggest
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track
from avsynth.sources.masks.annotation_index import InstanceIndex
from avsynth.sources.masks.coco_json import Image, SourceCategory
from avsynth.sources.masks.filters import refuse_labelling, refuse_shape

_PICTURE = re.compile(r"(?:^|/)((?:train|val|test|unlabeled)\d{4})/(\d{12})\.jpg$", re.ASCII)
_SPLIT = re.compile(r"(train|val|test)(?!.*(?:train|val|test))", re.ASCII)

# The eight licences of COCO's pictures, for files that give the number without the list.
_COCO_LICENCES = {
    1: "http://creativecommons.org/licenses/by-nc-sa/2.0/",
    2: "http://creativecommons.org/licenses/by-nc/2.0/",
    3: "http://creativecommons.org/licenses/by-nc-nd/2.0/",
    4: "http://creativecommons.org/licenses/by/2.0/",
    5: "http://creativecommons.org/licenses/by-sa/2.0/",
    6: "http://creativecommons.org/licenses/by-nd/2.0/",
    7: "http://flickr.com/commons/usage/",
    8: "http://www.usa.gov/copyright.shtml",
}


@dataclass(frozen=True)
class AnnotationFile:
    """One annotation file of a source, and where its pictures lie.

    ``categories`` maps the file's category ids to our names; ``images`` is the folder that holds
    ``train2017/`` and ``val2017/``.
    """

    source: str
    path: Path
    images: Path
    categories: Mapping[int, str]
    filters: MaskFilters
    folders: dict[str, frozenset[str]] = field(default_factory=dict)

    def has_picture(self, name: str) -> bool:
        """Say whether a picture exists; each folder is listed once.

        Raises:
            DataError: the folder itself is absent.
        """
        folder, _, file = name.partition("/")
        if folder not in self.folders:
            self.folders[folder] = _listing(self.images / folder, f"masks/{self.source}")
        return file in self.folders[folder]


def _listing(folder: Path, where: str) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise DataError(
            where,
            f"the picture folder {folder}",
            error.strerror or str(error),
            "Unpack the pictures there, or mend the source's images in params.yaml.",
        ) from None


def picture_name(image: Image, default_folder: str = "") -> str:
    """Name a picture by the tail of its ``coco_url``, e.g. ``train2017/000000000034.jpg``.

    Args:
        image: the file's entry.
        default_folder: goes before ``file_name`` where the entry has no ``coco_url``.

    Returns:
        Empty when the name is not of that form or does not carry the picture's id.
    """
    text = image.coco_url or f"{default_folder}/{image.file_name}"
    match = _PICTURE.search(text)
    if match is None or int(match[2]) != image.id:
        return ""
    return f"{match[1]}/{match[2]}.jpg"


def split_of(path: Path) -> str:
    """Read the split off a file name such as ``lvis_v1_train.json``; empty if it has none."""
    match = _SPLIT.search(path.stem)
    return match[1] if match else ""


def match_names(
    source: str,
    categories: Sequence[SourceCategory],
    label_to_category: Mapping[str, str],
    full: int,
) -> dict[int, str]:
    """Map a file's category ids to ours, by name, else by a synonym that only one of them has.

    Args:
        source: the source's name, which is its column in the category table.
        categories: of the file.
        label_to_category: the source's labels and our names.
        full: how many categories the whole dataset has; a file with fewer may lack a label.

    Raises:
        ConfigError: the file has all of the dataset's categories and still lacks a label.
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
        elif len(categories) == full:
            raise ConfigError(
                f"masks/{source}",
                f"names that the dataset has in the category table's column {source}",
                f"{label!r} (category {ours!r})",
                suggest(label, by_name),
            )
    return chosen


def iter_indexed(
    file: AnnotationFile,
    index: InstanceIndex,
    name_of: Callable[[Image], str],
    runtime: Runtime,
) -> Iterator[MaskRecord]:
    """Yield a record for every annotation of the file's chosen categories.

    Args:
        file: the file and its pictures.
        index: its index.
        name_of: gives a picture's path below the picture folder, or empty; see `picture_name`.
        runtime: says whether to show progress.
    """
    pictures = index.images(index.extents_of(file.categories))
    licences = _COCO_LICENCES | {one.id: one.url or one.name for one in index.licences}
    split = split_of(file.path)
    prefix = re.sub(r"[^\w.-]", "_", file.path.stem)
    wanted = index.extents_of(file.categories)
    extents = track(index.read(wanted), f"masks of {file.path.name}", len(wanted), runtime)
    for rows, texts in extents:
        columns = (rows[name].tolist() for name in ("id", "image_id", "category_id", "crowd"))
        for id_, image_id, category_id, crowd, text in zip(*columns, texts, strict=True):
            image = pictures.get(image_id) or Image(image_id, 0, 0)
            name = name_of(image)
            reason = refuse_labelling(
                bool(crowd), category_id not in image.not_exhaustive_category_ids, file.filters
            )
            if not name or not file.has_picture(name):
                reason = "missing_image"
            rle, box, area_frac, reason = _shape(text, image, file.filters, reason)
            yield MaskRecord(
                mask_id=f"{prefix}-{id_}",
                source=file.source,
                category=file.categories[category_id],
                image_id=f"coco/{image_id:012d}",
                image_path=name,
                height_px=image.height,
                width_px=image.width,
                rle=rle,
                x0_px=box[0],
                y0_px=box[1],
                x1_px=box[2],
                y1_px=box[3],
                area_frac=area_frac,
                split_hint=split,
                licence=licences.get(image.license, ""),
                url=image.coco_url or image.flickr_url,
                status="dropped" if reason else "ok",
                reason=reason,
            )


def _shape(
    text: bytes, image: Image, filters: MaskFilters, reason: str
) -> tuple[str, tuple[int, int, int, int], float, str]:
    """Rasterise one segmentation unless it is refused already."""
    nothing = ("", (0, 0, 0, 0), 0.0)
    if reason:
        return *nothing, reason
    try:
        rle = segmentation_to_rle(text, image.height, image.width)
    except ValueError:
        return *nothing, "bad_mask"
    box, area = rle_box_area(rle, image.height, image.width)
    reason = refuse_shape(box, area, image.height, image.width, filters)
    return rle, box, area / (image.height * image.width), reason
