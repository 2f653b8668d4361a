"""Mask records from an annotation index: the code shared by LVIS and COCO."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath

from avsynth.core.params.building import MaskFilters
from avsynth.core.records import MaskRecord
from avsynth.formats.mask_rle import rle_box_area, segmentation_to_rle
from avsynth.runtime.errors import ConfigError, DataError, suggest
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track
from avsynth.sources.masks.annotation_index import InstanceIndex
from avsynth.sources.masks.coco_json import NO_CATEGORY, Image, SourceCategory
from avsynth.sources.masks.filters import refuse_labelling, refuse_shape

_IMAGE_NAME = re.compile(r"(?:^|/)((?:train|val|test|unlabeled)\d{4})/(\d{12})\.jpg$", re.ASCII)
_SPLIT = re.compile(r"(train|val|test)(?!.*(?:train|val|test))", re.ASCII)

# The eight licences of COCO's images, for files that have licence numbers but no list.
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
    """One annotation file of a source, and the folder of its images.

    ``categories`` maps the file's category ids to our names; ``images`` is the folder that contains
    ``train2017/`` and ``val2017/``, or other images by their ``file_name``. ``prefix`` begins the
    mask ids. All files of a source share ``image_ids``: image number -> path of the first image
    with that number.
    """

    source: str
    path: Path
    images: Path
    categories: Mapping[int, str]
    filters: MaskFilters
    prefix: str
    image_ids: dict[int, str]
    folders: dict[str, frozenset[str]] = field(default_factory=dict)

    def has_image(self, name: str) -> bool:
        """Check that an image file exists; each folder is listed once.

        Raises:
            DataError: the folder is absent.
        """
        folder, _, file = name.partition("/")
        if folder not in self.folders:
            self.folders[folder] = _listing(self.images / folder, f"masks/{self.source}")
        return file in self.folders[folder]

    def find_image(self, official: str, file_name: str) -> str:
        """Return the path of an image below the image folder; empty if there is no such file.

        The official path is tried first, then ``file_name`` in the folder of the annotation file,
        in the folder of its split, and as it is.

        Raises:
            DataError: the official folder is absent, and the image is nowhere else.
        """
        folder = official.partition("/")[0]
        listed = bool(official) and (folder in self.folders or (self.images / folder).is_dir())
        if listed and self.has_image(official):
            return official
        found = self._find_named(file_name)
        if official and not found:
            self.has_image(official)  # raises if the folder is absent
        return found

    def _find_named(self, file_name: str) -> str:
        name = PurePosixPath(file_name)
        if not name.parts or name.is_absolute() or ".." in name.parts or "\\" in file_name:
            return ""
        beside, split = self.path.parent, split_of(self.path)
        near = beside.relative_to(self.images) if beside.is_relative_to(self.images) else ""
        folders = dict.fromkeys((str(near), beside.name, f"{split}2017", split, ""))
        paths = (str(PurePosixPath(folder, name)) for folder in folders)
        return next((path for path in paths if _is_file(self.images / path)), "")

    def identify(self, number: int, path: str, official: str) -> str:
        """Return an image's id: ``coco/<12 digits>``, the same in LVIS and COCO.

        It is ``coco/<path>`` where the number alone does not identify the image: the path is not an
        official one, or another file of the source has the number for another image.
        """
        shared = path == official and self.image_ids.setdefault(number, path) == path
        return f"coco/{number:012d}" if shared or not path else f"coco/{path}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # e.g. a name that is too long
        return False


def _listing(folder: Path, where: str) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise DataError(
            where,
            f"the image folder {folder}",
            error.strerror or str(error),
            "Unpack the images there, or correct the source's images in params.yaml.",
        ) from None


def image_name(image: Image, default_folder: str = "") -> str:
    """Return the end of an image's ``coco_url``, e.g. ``train2017/000000000034.jpg``.

    Args:
        image: the image's entry in the annotation file.
        default_folder: the folder of ``file_name`` if the entry has no ``coco_url``.

    Returns:
        Folder and file name; empty if they have another form or contain another image's id.
    """
    text = image.coco_url or f"{default_folder}/{image.file_name}"
    match = _IMAGE_NAME.search(text)
    if match is None or int(match[2]) != image.id:
        return ""
    return f"{match[1]}/{match[2]}.jpg"


def split_of(path: Path) -> str:
    """Return the split in a file name such as ``lvis_v1_train.json``, or else in its folder's name.

    Empty if neither contains one.
    """
    match = _SPLIT.search(path.stem) or _SPLIT.search(path.parent.name)
    return match[1] if match else ""


def file_prefixes(source: str, names: Sequence[str]) -> list[str]:
    """Return what the mask ids of each annotation file begin with: its stem.

    Where files of a source have the same stem, it is their path as listed.

    Raises:
        ConfigError: a file is listed twice.
    """
    if len({PurePosixPath(name) for name in names}) < len(names):
        where, fix = f"masks.sources.{source}.files", "Remove the second one."
        raise ConfigError(where, "every file once", ", ".join(names), fix)
    stems = [_plain(PurePosixPath(name).stem) for name in names]
    paths = [_plain(str(PurePosixPath(name).with_suffix(""))) for name in names]
    chosen = [
        path if stems.count(stem) > 1 else stem for stem, path in zip(stems, paths, strict=True)
    ]
    return [
        f"{one}-{at}" if chosen.count(one) > 1 else one for at, one in enumerate(chosen, start=1)
    ]


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]", "_", text)


def match_names(
    source: str,
    categories: Sequence[SourceCategory],
    label_to_category: Mapping[str, str],
    full: int,
) -> dict[int, str]:
    """Map a file's category ids to our names, by name or else by a synonym of one category only.

    Args:
        source: the source's name, which is its column in the category table.
        categories: the file's categories.
        label_to_category: the source's label -> our name.
        full: number of categories of the complete dataset; a smaller file may lack a label.

    Raises:
        ConfigError: the file has all categories of the dataset but lacks a label.
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
                f"names of the dataset in the category table's column {source}",
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
        file: the annotation file and its images.
        index: the file's index.
        name_of: image entry -> path below the image folder, or empty; see `image_name`.
        runtime: whether to show progress.
    """
    wanted = index.extents_of([*file.categories, NO_CATEGORY])
    images = index.images(wanted)
    licences: dict[int | str | None, str] = dict(_COCO_LICENCES.items())
    licences.update((one.id, one.url or one.name or "") for one in index.licences)
    extents = track(index.read(wanted), f"masks of {file.path.name}", len(wanted), runtime)
    seen: set[int] = set()
    repeats = count(1)
    for rows, texts in extents:
        columns = (rows[name].tolist() for name in ("id", "image_id", "category_id", "crowd"))
        for id_, image_id, category_id, crowd, text in zip(*columns, texts, strict=True):
            if id_ < 0 or id_ in seen:
                yield _bad_row(file, id_, category_id, next(repeats))
                continue
            seen.add(id_)
            image = images.get(image_id) or Image(image_id, 0, 0)
            reason = refuse_labelling(
                bool(crowd),
                category_id not in (image.not_exhaustive_category_ids or ()),
                file.filters,
            )
            licence = licences.get(image.license, "")
            row = (f"{file.prefix}-{id_}", file.categories[category_id], licence, reason)
            yield _record(file, row, image, name_of(image), text)


def _bad_row(file: AnnotationFile, id_: int, category_id: int, number: int) -> MaskRecord:
    """Return the record of an annotation that is invalid, or that has the id of an earlier one."""
    name = f"row{-1 - id_}" if id_ < 0 else f"{id_}-again{number}"
    return MaskRecord(
        mask_id=f"{file.prefix}-{name}",
        source=file.source,
        category=file.categories.get(category_id, ""),
        image_id="",
        image_path="",
        height_px=0,
        width_px=0,
        rle="",
        x0_px=0,
        y0_px=0,
        x1_px=0,
        y1_px=0,
        area_frac=0.0,
        status="dropped",
        reason="bad_row" if id_ < 0 else "duplicate_id",
    )


def _record(
    file: AnnotationFile, row: tuple[str, str, str, str], image: Image, official: str, text: bytes
) -> MaskRecord:
    """Return the record of one annotation; ``row`` is mask id, category, licence and reason."""
    mask_id, category, licence, reason = row
    path = file.find_image(official, image.file_name or "")
    reason = reason if path else "missing_image"
    path = path or official
    rle, box, area_frac, reason = _shape(text, image, file.filters, reason)
    return MaskRecord(
        mask_id=mask_id,
        source=file.source,
        category=category,
        image_id=file.identify(image.id, path, official),
        image_path=path,
        height_px=image.height,
        width_px=image.width,
        rle=rle,
        x0_px=box[0],
        y0_px=box[1],
        x1_px=box[2],
        y1_px=box[3],
        area_frac=area_frac,
        split_hint=split_of(file.path),
        licence=licence,
        url=image.coco_url or image.flickr_url or "",
        status="dropped" if reason else "ok",
        reason=reason,
    )


def _shape(
    text: bytes, image: Image, filters: MaskFilters, reason: str
) -> tuple[str, tuple[int, int, int, int], float, str]:
    """Rasterise one segmentation, unless it already has a reason to be dropped."""
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
