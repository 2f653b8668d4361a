"""FiftyOne datasets of shards: one group per sample, with image, spectrogram and preview.

A dataset grows with each inspection. Samples that it contains already are kept with their tags.
Samples of rewritten shards are replaced, and their tags are carried over.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from avsynth.inspection.fiftyone_app.media import (
    FRAMES_PER_S,
    MASK,
    PREVIEW,
    SPECTROGRAM,
    SPECTROGRAM_PX,
    preview_size,
)
from avsynth.inspection.fiftyone_app.samples import COLUMNS

if TYPE_CHECKING:
    import fiftyone

GROUP = "group"
SLICES = ("image", "spectrogram", "preview")
GROUND_TRUTH_FIELD = "truth"
_COMMON_FIELDS = ("key", "split", "category")
_HIDDEN_COLUMNS = ("key", "image", "x0_px", "y0_px", "x1_px", "y1_px", "height_px", "width_px")
FIELDS = tuple(name for name in COLUMNS if name not in _HIDDEN_COLUMNS)
_BATCH = 2_000


def sync_dataset(name: str, rows: pd.DataFrame, media: Path) -> "fiftyone.Dataset":
    """Add these samples to a dataset, unless it contains them already.

    Args:
        name: the dataset's name; the dataset is created if absent.
        rows: `avsynth.inspection.fiftyone_app.samples.COLUMNS`, one row per sample.
        media: folder of the samples' files.
    """
    dataset = _open_dataset(name)
    present = dict(zip(*_image_slice(dataset).values(["key", "tar"]), strict=True))
    wanted = dict(zip(rows["key"], rows["tar"], strict=True))
    stale = [key for key, tar in wanted.items() if present.get(key, tar) != tar]
    tags = tags_by_key(dataset, stale) if stale else {}
    if stale:
        dataset.delete_samples(_all_slices(dataset).match(_field("key").is_in(stale)))
    missing = rows[[key not in present or key in tags for key in rows["key"]]]
    if len(missing):
        _insert(dataset, missing, media, tags)
    return dataset


def tags_by_key(
    dataset: "fiftyone.Dataset", keys: list[str] | None = None
) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Read the reviewers' work: key -> (tags of the sample, tags of its mask, its labels).

    A tag on the spectrogram or the preview counts as a tag on the sample.
    """
    found: dict[str, tuple[list[str], list[str], list[str]]] = {}
    view = _all_slices(dataset)
    if keys is not None:
        view = view.match(_field("key").is_in(keys))
    part = f"{GROUND_TRUTH_FIELD}.detections"
    fields = ["key", "tags", f"{part}.tags", f"{part}.label"]
    for key, tags, mask_tags, labels in zip(*view.values(fields), strict=True):
        sample, mask, names = found.setdefault(key, ([], [], []))
        sample += [tag for tag in tags or [] if tag not in sample]
        mask += [tag for one in mask_tags or [] for tag in one or [] if tag not in mask]
        names += labels or []
    return found


def _field(name: str) -> Any:
    from fiftyone import ViewField

    return ViewField(name)


def _image_slice(dataset: "fiftyone.Dataset") -> "fiftyone.DatasetView":
    return dataset.select_group_slices("image")


def _all_slices(dataset: "fiftyone.Dataset") -> "fiftyone.DatasetView":
    return dataset.select_group_slices(_allow_mixed=True)


def _open_dataset(name: str) -> "fiftyone.Dataset":
    import fiftyone

    if fiftyone.dataset_exists(name):
        return fiftyone.load_dataset(name)
    dataset = fiftyone.Dataset(name, persistent=True)
    dataset.add_group_field(GROUP, default="image")
    for part, media_type in zip(SLICES, ("image", "image", "video"), strict=True):
        dataset.add_group_slice(part, media_type)
    kinds = {"second": fiftyone.IntField, "area_frac": fiftyone.FloatField,
             "loudness_db": fiftyone.FloatField}  # fmt: skip
    for field in ("key", *FIELDS):
        dataset.add_sample_field(field, kinds.get(field, fiftyone.StringField))
    detections = fiftyone.EmbeddedDocumentField
    dataset.add_sample_field(GROUND_TRUTH_FIELD, detections, embedded_doc_type=fiftyone.Detections)
    # The server reads declared fields only; without these it runs ffprobe on each file.
    for field in ("width", "height", "frame_width", "frame_height"):
        dataset.add_sample_field(f"metadata.{field}", fiftyone.IntField)
    dataset.add_sample_field("metadata.frame_rate", fiftyone.FloatField)
    return dataset


def _insert(
    dataset: "fiftyone.Dataset", rows: pd.DataFrame, media: Path, tags: dict[str, Any]
) -> None:
    """Insert documents in bulk.

    `Dataset.add_samples` builds three Python objects per document and takes milliseconds for each.
    A test compares its documents with these.
    """
    batch: list[dict[str, Any]] = []
    for values in rows.itertuples(index=False, name=None):
        row = dict(zip(COLUMNS, values, strict=True))
        sample, mask, _ = tags.get(row["key"], ([], [], []))
        batch += documents(dataset._doc.id, row, media / row["tar"], sample, mask)
        if len(batch) >= _BATCH:
            dataset._sample_collection.insert_many(batch, ordered=False)
            batch = []
    if batch:
        dataset._sample_collection.insert_many(batch, ordered=False)
    dataset.reload()


def documents(
    dataset_id: Any, row: dict[str, Any], media: Path, tags: list[str], mask_tags: list[str]
) -> Iterator[dict[str, Any]]:
    """Yield the three documents of a sample's group."""
    from bson import ObjectId

    group = ObjectId()
    now = datetime.now(UTC)
    folder = media / row["key"]
    height, width = int(row["height_px"]), int(row["width_px"])
    preview_height, preview_width = preview_size(height, width)
    video = {
        "_cls": "VideoMetadata",
        "frame_width": preview_width,
        "frame_height": preview_height,
        "frame_rate": float(FRAMES_PER_S),
    }
    slices: dict[str, tuple[str, str, dict[str, Any]]] = {
        "image": (row["image"], "image", _size(width, height)),
        "spectrogram": (SPECTROGRAM, "image", _size(*SPECTROGRAM_PX[::-1])),
        "preview": (PREVIEW, "video", video),
    }
    for part, (name, media_type, metadata) in slices.items():
        facts = FIELDS if part == "image" else _COMMON_FIELDS
        document = {
            "_id": ObjectId(),
            "_dataset_id": dataset_id,
            "_media_type": media_type,
            "_rand": int.from_bytes(group.binary[-4:]) / 2**32,
            "filepath": str(folder / name),
            "tags": list(tags) if part == "image" else [],
            "metadata": metadata,
            "created_at": now,
            "last_modified_at": now,
            GROUP: {"_cls": "Group", "_id": group, "name": part},
            "key": row["key"],
            **{field: row[field] for field in facts},
        }
        if part == "image":
            document[GROUND_TRUTH_FIELD] = _ground_truth(row, folder, mask_tags)
        yield document


def _size(width: int, height: int) -> dict[str, Any]:
    return {"_cls": "ImageMetadata", "width": width, "height": height}


def _ground_truth(row: dict[str, Any], folder: Path, tags: list[str]) -> dict[str, Any]:
    from bson import ObjectId

    x0, y0, x1, y1 = (float(row[name]) for name in ("x0_px", "y0_px", "x1_px", "y1_px"))
    height, width = float(row["height_px"]), float(row["width_px"])
    box = [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]
    detection = {
        "_id": ObjectId(),
        "_cls": "Detection",
        "attributes": {},
        "tags": list(tags),
        "label": row["category"],
        "bounding_box": box,
        "mask_path": str(folder / MASK),
    }
    return {"_cls": "Detections", "detections": [detection]}
