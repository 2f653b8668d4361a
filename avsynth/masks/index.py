"""An on-disk index of a COCO-family annotation file, polygons included, opened in milliseconds.

The file is cut into runs of some ten thousand annotations. Inside a run the annotations are
sorted by category, so the rows of a category are one extent per run: a contiguous range of rows
and of segmentation bytes. Writing needs the memory of one run, whatever the file's size; reading
some categories touches their extents only.

A folder holds ``rows.bin`` (`ROW`), ``segmentations.bin`` (the file's own JSON text, one after
the other), ``extents.npy`` (`EXTENT`), ``images.jsonl`` and ``meta.json``.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from avsynth.cache import cache_root, cached_folder, file_digest
from avsynth.config import Runtime
from avsynth.errors import DataError, SpaceError
from avsynth.masks.instances import (
    CHUNK_BYTES,
    Annotation,
    Image,
    Licence,
    SourceCategory,
    stream_sections,
)
from avsynth.progress import track

FORMAT = 2
RUN_BYTES = 16 << 20
_PIECE = 512
_PIECE_BYTES = 1 << 20

ROW = np.dtype(
    [
        ("id", "<i8"),
        ("image_id", "<i8"),
        ("category_id", "<i4"),
        ("crowd", "<i4"),
        ("area", "<f4"),
        ("bbox", "<f4", (4,)),
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
_images = msgspec.json.Decoder(Image)


class _Meta(msgspec.Struct):
    categories: list[SourceCategory]
    licences: list[Licence]


@dataclass(frozen=True)
class InstanceIndex:
    """An index that lies in ``folder``; see the module's text."""

    folder: Path
    categories: tuple[SourceCategory, ...]
    licences: tuple[Licence, ...]
    extents: NDArray[Any]

    def count(self) -> dict[int, int]:
        """Count the annotations of each category id."""
        counts = {c.id: 0 for c in self.categories}
        for category_id, rows in zip(
            self.extents["category_id"].tolist(), self.extents["rows"].tolist(), strict=True
        ):
            counts[category_id] = counts.get(category_id, 0) + rows
        return counts

    def extents_of(self, category_ids: Iterable[int]) -> NDArray[Any]:
        """Choose the extents of some categories."""
        chosen: NDArray[Any] = self.extents[
            np.isin(self.extents["category_id"], list(category_ids))
        ]
        return chosen

    def read(self, extents: NDArray[Any]) -> Iterator[tuple[NDArray[Any], list[bytes]]]:
        """Yield the annotations of each extent.

        Yields:
            Rows as `ROW`, and the JSON text of each row's segmentation.
        """
        with (
            (self.folder / "rows.bin").open("rb") as rows_file,
            (self.folder / "segmentations.bin").open("rb") as text_file,
        ):
            for _, count, row, byte, size in extents.tolist():
                rows_file.seek(row * ROW.itemsize)
                rows = np.frombuffer(rows_file.read(count * ROW.itemsize), ROW)
                text_file.seek(byte)
                text = text_file.read(size)
                ends = np.cumsum(rows["bytes"]).tolist()
                yield rows, [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    def images(self, extents: NDArray[Any]) -> dict[int, Image]:
        """Read the entries of the pictures in some extents, by picture id."""
        parts = [np.empty(0, np.int64)]
        with (self.folder / "rows.bin").open("rb") as rows_file:
            for _, count, row, _, _ in extents.tolist():
                rows_file.seek(row * ROW.itemsize)
                parts.append(np.frombuffer(rows_file.read(count * ROW.itemsize), ROW)["image_id"])
        shown = set(np.concatenate(parts).tolist())
        images: dict[int, Image] = {}
        with (self.folder / "images.jsonl").open("rb") as file:
            while lines := file.readlines(_PIECE_BYTES):
                found = _images.decode_lines(b"".join(lines))
                images.update((image.id, image) for image in found if image.id in shown)
        return images


def open_index(path: Path, runtime: Runtime) -> InstanceIndex:
    """Open the index of an annotation file; make it first if the cache has none.

    Raises:
        DataError: the file is absent, truncated, not JSON, or JSON of another kind.
        SpaceError: the cache cannot be written.
    """
    if not path.is_file():
        raise DataError(
            str(path),
            "an annotation file",
            "no such file",
            "Put it there, or name the right one in params.yaml.",
        )
    key = f"{_digest(path, runtime)}-{FORMAT}"
    return load_index(
        _cached(runtime, "instances", key, lambda folder: write_index(path, folder, runtime))
    )


def _cached(runtime: Runtime, kind: str, key: str, make: Callable[[Path], None]) -> Path:
    try:
        return cached_folder(runtime, kind, key, make)
    except OSError as error:
        raise SpaceError(
            str(cache_root(runtime)),
            "a cache folder with room for a copy of the annotation file",
            error.strerror or str(error),
            "Free some space, or name another folder with --cache-dir.",
        ) from None


def _digest(path: Path, runtime: Runtime) -> str:
    """Hash a file, once for as long as neither its size nor its time of change differs."""
    status = path.stat()
    state = (str(path.resolve()), status.st_ino, status.st_size, status.st_mtime_ns)
    key = hashlib.sha256(repr(state).encode()).hexdigest()[:32]
    folder = _cached(runtime, "digests", key, lambda folder: _write_digest(path, folder / "sha256"))
    return (folder / "sha256").read_text()


def _write_digest(path: Path, target: Path) -> None:
    target.write_text(file_digest(path))


def load_index(folder: Path) -> InstanceIndex:
    """Open an index folder."""
    meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=_Meta)
    return InstanceIndex(
        folder, tuple(meta.categories), tuple(meta.licences), np.load(folder / "extents.npy")
    )


def write_index(path: Path, folder: Path, runtime: Runtime) -> None:
    """Read an annotation file once and write its index into an existing folder."""
    meta = _Meta([], [])
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
    """Turn annotations into an array of `ROW`, in their order."""
    count = len(items)
    rows = np.empty(count, ROW)
    rows["id"] = np.fromiter([a.id for a in items], np.int64, count)
    rows["image_id"] = np.fromiter([a.image_id for a in items], np.int64, count)
    rows["category_id"] = np.fromiter([a.category_id for a in items], np.int32, count)
    rows["crowd"] = np.fromiter([bool(a.iscrowd) for a in items], np.int32, count)
    rows["area"] = np.fromiter([a.area for a in items], np.float32, count)
    corners = chain.from_iterable([a.bbox for a in items])
    rows["bbox"] = np.fromiter(corners, np.float32, 4 * count).reshape(count, 4)
    rows["bytes"] = np.fromiter([len(a.segmentation) for a in items], np.int32, count)
    return rows


class _RunWriter:
    """Collects annotations and writes them run by run."""

    def __init__(self, rows_file: BinaryIO, text_file: BinaryIO) -> None:
        self._rows_file, self._text_file = rows_file, text_file
        self._rows: list[NDArray[Any]] = []
        self._texts: list[msgspec.Raw] = []
        self._extents: list[NDArray[Any]] = [np.empty(0, EXTENT)]
        self._held_bytes = 0

    def add(self, items: list[Annotation]) -> None:
        """Take annotations; write a run when enough are held."""
        rows = annotation_rows(items)
        self._rows.append(rows)
        self._texts += [a.segmentation for a in items]
        self._held_bytes += int(rows["bytes"].sum())
        if self._held_bytes >= RUN_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held as one run."""
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
        self._rows, self._texts, self._held_bytes = [], [], 0

    def extents(self) -> NDArray[Any]:
        """All extents so far, by category."""
        extents = np.concatenate(self._extents)
        return extents[np.argsort(extents["category_id"], kind="stable")]


def _extents_of(rows: NDArray[Any], rows_at: int, bytes_at: int) -> NDArray[Any]:
    """Find the extents of rows that are sorted by category and written at these offsets."""
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
