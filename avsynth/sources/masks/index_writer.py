"""Writer of the index of an annotation file, in the format of `annotation_index`."""

from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track
from avsynth.sources.masks.coco_json import (
    CHUNK_BYTES,
    Annotation,
    Licence,
    SourceCategory,
    stream_sections,
)

FORMAT = 3
RUN_BYTES = 16 << 20
_PIECE = 512

ROW = np.dtype(
    [
        ("id", "<i8"),
        ("image_id", "<i8"),
        ("category_id", "<i4"),
        ("crowd", "<i4"),
        ("bytes", "<i4"),
    ]
)
EXTENT = np.dtype(
    [
        ("category_id", "<i4"),
        ("rows", "<i4"),
        ("row", "<i8"),
        ("byte", "<i8"),
        ("bytes", "<i8"),
    ]
)


class IndexMeta(msgspec.Struct):
    """Content of ``meta.json``."""

    categories: list[SourceCategory]
    licences: list[Licence]


def write_index(path: Path, folder: Path, runtime: Runtime) -> None:
    """Read an annotation file once and write its index into an existing folder."""
    meta = IndexMeta([], [])
    with (
        (folder / "rows.bin").open("wb") as rows_file,
        (folder / "segmentations.bin").open("wb") as text_file,
        (folder / "images.jsonl").open("wb") as images,
    ):
        runs = _RunWriter(rows_file, text_file)
        pieces = path.stat().st_size // CHUNK_BYTES + 1
        for name, items in track(stream_sections(path), f"index of {path.name}", pieces, runtime):
            match name:
                case "annotations":
                    runs.add(items)
                case "images":
                    images.write(msgspec.json.Encoder().encode_lines(items))
                case "categories":
                    meta.categories += items
                case _:
                    meta.licences += items
        runs.flush()
    np.save(folder / "extents.npy", runs.extents())
    (folder / "meta.json").write_bytes(msgspec.json.encode(meta))


def annotation_rows(items: list[Annotation]) -> NDArray[Any]:
    """Return annotations as an array of `ROW`, in the same order."""
    count = len(items)
    rows = np.empty(count, ROW)
    rows["id"] = np.fromiter([a.id for a in items], np.int64, count)
    rows["image_id"] = np.fromiter([a.image_id for a in items], np.int64, count)
    rows["category_id"] = np.fromiter([a.category_id for a in items], np.int32, count)
    rows["crowd"] = np.fromiter([bool(a.iscrowd) for a in items], np.int32, count)
    rows["bytes"] = np.fromiter([len(a.segmentation) for a in items], np.int32, count)
    return rows


class _RunWriter:
    """Collector of annotations that writes them run by run."""

    def __init__(self, rows_file: BinaryIO, text_file: BinaryIO) -> None:
        self._rows_file, self._text_file = rows_file, text_file
        self._rows: list[NDArray[Any]] = []
        self._texts: list[msgspec.Raw] = []
        self._extents: list[NDArray[Any]] = [np.empty(0, EXTENT)]
        self._collected_bytes = 0

    def add(self, items: list[Annotation]) -> None:
        """Add annotations; write a run if `RUN_BYTES` of segmentations are collected."""
        rows = annotation_rows(items)
        self._rows.append(rows)
        self._texts += [a.segmentation for a in items]
        self._collected_bytes += int(rows["bytes"].sum())
        if self._collected_bytes >= RUN_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the collected annotations as one run."""
        if not self._texts:
            return
        rows = np.concatenate(self._rows)
        order = np.argsort(rows["category_id"], kind="stable")
        rows = rows[order]
        self._extents.append(_extents_of(rows, self._rows_file.tell(), self._text_file.tell()))
        self._rows_file.write(rows.tobytes())
        in_order = (self._texts[i] for i in order.tolist())
        while piece := b"".join(islice(in_order, _PIECE)):  # small enough for the CPU's cache
            self._text_file.write(piece)
        self._rows, self._texts, self._collected_bytes = [], [], 0

    def extents(self) -> NDArray[Any]:
        """Return all extents written so far, sorted by category."""
        extents = np.concatenate(self._extents)
        return extents[np.argsort(extents["category_id"], kind="stable")]


def _extents_of(rows: NDArray[Any], rows_at: int, bytes_at: int) -> NDArray[Any]:
    """Return the extents of rows that are sorted by category and written at these offsets."""
    category_ids, firsts, counts = np.unique(
        rows["category_id"], return_index=True, return_counts=True
    )
    ends = np.cumsum(rows["bytes"], dtype=np.int64)
    extents = np.empty(len(category_ids), EXTENT)
    extents["category_id"] = category_ids
    extents["rows"] = counts
    extents["row"] = rows_at // ROW.itemsize + firsts
    extents["byte"] = bytes_at + ends[firsts] - rows["bytes"][firsts]
    extents["bytes"] = ends[firsts + counts - 1] - ends[firsts] + rows["bytes"][firsts]
    return extents
