"""Open Images V5 to V7: instance masks of 350 categories.

Where to get it: https://storage.googleapis.com/openimages/web/download_v7.html.
Licence: annotations CC BY 4.0; pictures are listed as CC BY 2.0.
Layout: ``<split>-annotations-object-segmentation.csv``; masks in ``<split>-masks/``, or as the
sixteen zips unpack, ``<split>-masks-<0..f>/``, either beside the csv or in ``<split>-masks/``;
pictures ``<split>/<ImageID>.jpg`` or ``<split>_<0..f>/<ImageID>.jpg``.
Quirks: a mask PNG has another size than its picture and is resized to it by nearest neighbour;
rows name masks that are in none of the zips; labels are MIDs such as ``/m/0bt9lr``.
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

from avsynth.core.params.building import MaskFilters, MasksParams
from avsynth.core.paths import Layout
from avsynth.core.records import MaskRecord
from avsynth.formats.images import ImageError, open_image
from avsynth.formats.mask_rle import Mask, mask_to_rle, png_to_mask, rle_box_area
from avsynth.runtime.errors import DataError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track
from avsynth.sources.masks.filters import refuse_shape

if TYPE_CHECKING:  # it brings pandas: 40 MB and 0.3 s in every worker
    from avsynth.sources.categories import Vocabulary

_PICTURES_URL = "https://open-images-dataset.s3.amazonaws.com"
PICTURE_LICENCE = "https://creativecommons.org/licenses/by/2.0/"
_COLUMNS = ("MaskPath", "ImageID", "LabelName")
_IMAGE_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_MASK_PATH = re.compile(r"[0-9a-f]{16}_m[0-9a-z_]+_[0-9a-f]{8}\.png", re.ASCII)
_SPLIT_HINT = {"train": "train", "validation": "val", "test": "test"}
_RATIO_SLACK = 0.01
_BATCH = 256


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the csv whose label is in the vocabulary."""

    mask_path: str
    image_id: str
    category: str


def iter_masks(
    layout: Layout, params: MasksParams, vocabulary: "Vocabulary", runtime: Runtime
) -> Iterator[MaskRecord]:
    """Yield every Open Images mask of the vocabulary, usable or not, in the order of the csvs.

    Raises:
        DataError: a csv is absent, damaged or of another kind; a split has no picture folder.
    """
    root = layout.resolve(params.openimages.root)
    categories = vocabulary.label_to_category("openimages")
    for split in params.openimages.splits:
        _check_folders(root, split)
        rows = _read_rows(root / f"{split}-annotations-object-segmentation.csv", categories)
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
                "Unpack it there, or take the split out of params.yaml.",
            )


def _read_rows(path: Path, categories: dict[str, str]) -> Iterator[list[_Row]]:
    """Stream a csv and yield batches of the lines whose label is wanted."""
    import pyarrow as pa  # here: the workers that read masks do without its 50 MB
    import pyarrow.compute as pc
    import pyarrow.csv as pa_csv

    wanted = pa.array(list(categories), pa.string())
    options = pa_csv.ConvertOptions(
        include_columns=_COLUMNS, column_types={name: pa.string() for name in _COLUMNS}
    )
    try:
        with pa_csv.open_csv(path, convert_options=options) as reader:
            for batch in reader:
                kept = batch.filter(pc.is_in(batch["LabelName"], wanted))
                rows = [
                    _Row(mask_path, image_id, categories[label])
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
            "Fetch it again, or name the right root under masks.sources.openimages.",
        ) from None


def _read_masks(root: Path, split: str, filters: MaskFilters, rows: list[_Row]) -> list[MaskRecord]:
    """Read a batch of masks; runs in a worker."""
    return [_read_mask(root, split, filters, row) for row in rows]


def _read_mask(root: Path, split: str, filters: MaskFilters, row: _Row) -> MaskRecord:
    picture, size, mask, reason = "", (0, 0), None, ""
    if not (_IMAGE_ID.fullmatch(row.image_id) and _MASK_PATH.fullmatch(row.mask_path)):
        reason = "bad_id"
    elif not row.mask_path.startswith(row.image_id):
        reason = "wrong_mask"
    else:
        picture = _find_picture(root, split, row.image_id)
        size, reason = _picture_size(root / picture) if picture else ((0, 0), "missing_image")
    if not reason:
        mask, reason = _find_mask(root, split, row.mask_path, size)
    return _record(row, split, picture, size, filters, mask, reason)


def _find(root: Path, candidates: tuple[str, ...]) -> str:
    """Return the first path below ``root`` that is a file; empty if none is."""
    return next((path for path in candidates if (root / path).is_file()), "")


def _find_picture(root: Path, split: str, image_id: str) -> str:
    return _find(root, (f"{split}/{image_id}.jpg", f"{split}_{image_id[0]}/{image_id}.jpg"))


def _picture_size(path: Path) -> tuple[tuple[int, int], str]:
    """Read ``(height, width)`` off a picture's header."""
    try:
        with open_image(path) as picture:
            return (picture.height, picture.width), ""
    except (OSError, ImageError):
        return (0, 0), "bad_image"


def _find_mask(root: Path, split: str, name: str, size: tuple[int, int]) -> tuple[Mask | None, str]:
    """Read a mask and resize it to the picture's ``(height, width)``."""
    zipped = f"{split}-masks-{name[0]}"
    path = _find(
        root, (f"{split}-masks/{name}", f"{split}-masks/{zipped}/{name}", f"{zipped}/{name}")
    )
    if not path:
        return None, "missing_mask"
    try:
        mask = png_to_mask((root / path).read_bytes())
    except (OSError, ValueError):
        return None, "bad_mask"
    if not _same_shape(mask.shape, size):
        return None, "size_mismatch"
    if mask.shape != size:
        picture = Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST)
        mask = np.asarray(picture)
    return mask, ""


def _same_shape(mask: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Say whether two sizes have one aspect ratio, up to the rounding of either to whole pixels."""
    height, width = mask
    slack = _RATIO_SLACK + 1 / min(height, width, *size)
    return abs(height * size[1] / (width * size[0]) - 1) <= slack


def _record(
    row: _Row,
    split: str,
    picture: str,
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
        image_path=picture,
        height_px=height,
        width_px=width,
        rle=rle,
        x0_px=box[0],
        y0_px=box[1],
        x1_px=box[2],
        y1_px=box[3],
        area_frac=area / (height * width) if area else 0.0,
        split_hint=_SPLIT_HINT[split],
        licence=PICTURE_LICENCE,
        url=f"{_PICTURES_URL}/{split}/{row.image_id}.jpg",
        status="dropped" if reason else "ok",
        reason=reason,
    )
