"""Open Images V5 to V7: instance masks of 350 categories.

Where to get it: https://storage.googleapis.com/openimages/web/download_v7.html.
Licence: annotations CC BY 4.0; images are listed as CC BY 2.0.
Layout: ``<split>-annotations-object-segmentation.csv``; masks in ``<split>-masks/``, or in
the folders of the sixteen zips, ``<split>-masks-<0..f>/``, beside the csv or in ``<split>-masks/``;
images ``<split>/<ImageID>.jpg`` or ``<split>_<0..f>/<ImageID>.jpg``.
Quirks: mask and image differ in size, so the mask is resized to the image by nearest neighbour;
some rows name masks that no zip contains; labels are MIDs such as ``/m/0bt9lr``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from avsynth.core.lists import encoding_of, fold
from avsynth.core.params.building import MaskFilters, MasksParams
from avsynth.core.paths import Layout
from avsynth.core.records import MaskRecord
from avsynth.formats.images import ImageError, Mask, decode_mask, open_image
from avsynth.formats.mask_rle import mask_to_rle, rle_box_area
from avsynth.runtime.errors import DataError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track
from avsynth.sources.masks.filters import refuse_shape

if TYPE_CHECKING:  # pandas would cost 40 MB and 0.3 s in every worker
    from avsynth.sources.categories import Vocabulary

_IMAGES_URL = "https://open-images-dataset.s3.amazonaws.com"
IMAGE_LICENCE = "https://creativecommons.org/licenses/by/2.0/"
_COLUMNS = ("MaskPath", "ImageID", "LabelName")
_IMAGE_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_MASK_PATH = re.compile(r"[0-9a-f]{16}_m[0-9a-z_]+_[0-9a-f]{8}\.png", re.ASCII)
_SPLIT_HINT = {"train": "train", "validation": "val", "test": "test"}
_RATIO_SLACK = 0.01
_BATCH = 256
_HEADER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One line of the csv whose label is in the vocabulary."""

    mask_path: str
    image_id: str
    category: str


def iter_masks(
    layout: Layout, params: MasksParams, vocabulary: "Vocabulary", runtime: Runtime
) -> Iterator[MaskRecord]:
    """Yield every Open Images mask of the vocabulary, usable or not, in the order of the csvs.

    Raises:
        DataError: a csv is absent or invalid, or a split has no image folder.
    """
    root = layout.resolve(params.openimages.root)
    categories = vocabulary.label_to_category("openimages")
    for split in params.openimages.splits:
        _check_folders(root, split)
        rows = read_label_rows(root / f"{split}-annotations-object-segmentation.csv", categories)
        read = partial(_read_masks, root, split, params.filters)
        batches = track(map_items(read, rows, runtime), f"masks of {split}", None, runtime)
        yield from chain.from_iterable(batches)


def _check_folders(root: Path, split: str) -> None:
    for folder, pattern in ((f"{split}/", f"{split}_?"), (f"{split}-masks/", f"{split}-masks-?")):
        if not (root / folder).is_dir() and not any(root.glob(pattern)):
            raise DataError(
                "masks/openimages",
                f"the folder {root / folder}",
                "no such folder",
                "Unpack it there, or remove the split from params.yaml.",
            )


def read_label_rows(path: Path, categories: dict[str, str]) -> Iterator[list[LabelRow]]:
    """Stream a csv and yield batches of the lines whose label is in the vocabulary.

    Raises:
        DataError: the csv is absent or damaged, or lacks a column.
    """
    import pyarrow as pa  # imported here: the workers that read masks save its 50 MB
    import pyarrow.compute as pc
    import pyarrow.csv as pa_csv

    wanted = pa.array(list(categories), pa.string())
    try:
        encoding, delimiter, columns = _dialect(path)
        options = pa_csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
        )
        with pa_csv.open_csv(
            path,
            pa_csv.ReadOptions(encoding=encoding),
            pa_csv.ParseOptions(delimiter=delimiter),
            options,
        ) as reader:
            for batch in reader:
                named = pa.RecordBatch.from_arrays(
                    [pc.utf8_trim_whitespace(column) for column in batch.columns], _COLUMNS
                )
                kept = named.filter(pc.is_in(named["LabelName"], wanted))
                rows = [
                    LabelRow(mask_path, image_id, categories[label])
                    for mask_path, image_id, label in zip(
                        *(kept[name].to_pylist() for name in _COLUMNS), strict=True
                    )
                ]
                yield from (rows[at : at + _BATCH] for at in range(0, len(rows), _BATCH))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(
            str(path),
            "an Open Images csv with the columns " + ", ".join(_COLUMNS),
            str(error).splitlines()[0],
            "Get it again, or correct the root in masks.sources.openimages.",
        ) from None


def _dialect(path: Path) -> tuple[str, str, list[str]]:
    """Return a csv's encoding and delimiter, and `_COLUMNS` as its header spells them."""
    with path.open("rb") as file:
        content = file.read(_HEADER_BYTES)
    encoding = encoding_of(content)
    head = content.decode(encoding, "ignore").replace("\r", "\n").partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    names = [name.strip('"') for name in head.split(delimiter)]
    spelled = {fold(name): name for name in names}
    columns = [spelled[fold(name)] for name in _COLUMNS]
    return ("utf16" if encoding == "utf-16" else "utf8"), delimiter, columns


def _read_masks(
    root: Path, split: str, filters: MaskFilters, rows: list[LabelRow]
) -> list[MaskRecord]:
    """Read a batch of masks; runs in a worker process."""
    return [_read_mask(root, split, filters, row) for row in rows]


def _read_mask(root: Path, split: str, filters: MaskFilters, row: LabelRow) -> MaskRecord:
    image_path, size, mask, reason = "", (0, 0), None, ""
    if not (_IMAGE_ID.fullmatch(row.image_id) and _MASK_PATH.fullmatch(row.mask_path)):
        reason = "bad_id"
    elif not row.mask_path.startswith(row.image_id):
        reason = "wrong_mask"
    else:
        image_path = _find_image(root, split, row.image_id)
        size, reason = _image_size(root / image_path) if image_path else ((0, 0), "missing_image")
    if not reason:
        mask, reason = _find_mask(root, split, row.mask_path, size)
    return _record(row, split, image_path, size, filters, mask, reason)


def _find(root: Path, candidates: tuple[str, ...]) -> str:
    """Return the first path below ``root`` that is a file; empty if none is."""
    return next((path for path in candidates if (root / path).is_file()), "")


def _find_image(root: Path, split: str, image_id: str) -> str:
    return _find(root, (f"{split}/{image_id}.jpg", f"{split}_{image_id[0]}/{image_id}.jpg"))


def _image_size(path: Path) -> tuple[tuple[int, int], str]:
    """Read ``(height, width)`` from an image's header; return them with the reason to drop it."""
    try:
        with open_image(path) as image:
            return (image.height, image.width), ""
    except (OSError, ImageError):
        return (0, 0), "bad_image"


def _find_mask(root: Path, split: str, name: str, size: tuple[int, int]) -> tuple[Mask | None, str]:
    """Read a mask and resize it to the image's ``(height, width)``."""
    zipped = f"{split}-masks-{name[0]}"
    path = _find(
        root, (f"{split}-masks/{name}", f"{split}-masks/{zipped}/{name}", f"{zipped}/{name}")
    )
    if not path:
        return None, "missing_mask"
    try:
        mask = decode_mask((root / path).read_bytes())
    except (OSError, DataError):
        return None, "bad_mask"
    if not _same_shape(mask.shape, size):
        return None, "size_mismatch"
    if mask.shape != size:
        mask = np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))
    return mask, ""


def _same_shape(mask: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Check that two sizes have one aspect ratio, up to the rounding of either to whole pixels."""
    height, width = mask
    slack = _RATIO_SLACK + 1 / min(height, width, *size)
    return abs(height * size[1] / (width * size[0]) - 1) <= slack


def _record(
    row: LabelRow,
    split: str,
    image_path: str,
    size: tuple[int, int],
    filters: MaskFilters,
    mask: Mask | None,
    reason: str,
) -> MaskRecord:
    height, width = size
    rle = "" if mask is None else mask_to_rle(mask)
    box, area = rle_box_area(rle, height, width)
    reason = reason or refuse_shape(box, area, height, width, filters)
    return MaskRecord(
        mask_id=row.mask_path.removesuffix(".png"),
        source="openimages",
        category=row.category,
        image_id=f"openimages/{row.image_id}",
        image_path=image_path,
        height_px=height,
        width_px=width,
        rle=rle,
        x0_px=box[0],
        y0_px=box[1],
        x1_px=box[2],
        y1_px=box[3],
        area_frac=area / (height * width) if area else 0.0,
        split_hint=_SPLIT_HINT[split],
        licence=IMAGE_LICENCE,
        url=f"{_IMAGES_URL}/{split}/{row.image_id}.jpg",
        status="dropped" if reason else "ok",
        reason=reason,
    )
