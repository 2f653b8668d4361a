"""An on-disk index of a COCO-family annotation file, polygons included, opened in milliseconds.

The file is cut into runs of some ten thousand annotations. Inside a run the annotations are
sorted by category, so the rows of a category are one extent per run: a contiguous range of rows
and of segmentation bytes. Writing needs the memory of one run, whatever the file's size; reading
some categories touches their extents only.

A folder holds ``rows.bin`` (`indexing.ROW`), ``segmentations.bin`` (the file's own JSON text, one
after the other), ``extents.npy`` (`indexing.EXTENT`), ``images.jsonl`` and ``meta.json``.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from avsynth.core.cache import cached_folder
from avsynth.core.hashing import file_digest
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.masks.coco_json import Image, Licence, SourceCategory
from avsynth.sources.masks.index_writer import FORMAT, ROW, IndexMeta, write_index

_PIECE_BYTES = 1 << 20
_images = msgspec.json.Decoder(Image)


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
        with (self.folder / "segmentations.bin").open("rb") as file:
            for rows, extent in zip(self.rows(extents), extents, strict=True):
                file.seek(extent["byte"])
                text = file.read(extent["bytes"])
                ends = np.cumsum(rows["bytes"]).tolist()
                yield rows, [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    def rows(self, extents: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Yield the annotations of each extent without their segmentations, as `ROW`."""
        with (self.folder / "rows.bin").open("rb") as file:
            for _, count, row, _, _ in extents.tolist():
                file.seek(row * ROW.itemsize)
                yield np.frombuffer(file.read(count * ROW.itemsize), ROW)

    def images(self, extents: NDArray[Any]) -> dict[int, Image]:
        """Read the entries of the pictures in some extents, by picture id."""
        parts = [np.empty(0, np.int64), *(rows["image_id"] for rows in self.rows(extents))]
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
        cached_folder(runtime, "instances", key, lambda folder: write_index(path, folder, runtime))
    )


def _digest(path: Path, runtime: Runtime) -> str:
    """Hash a file, once for as long as neither its size nor its time of change differs."""
    status = path.stat()
    state = (str(path.resolve()), status.st_ino, status.st_size, status.st_mtime_ns)
    key = hashlib.sha256(repr(state).encode()).hexdigest()[:32]

    def make(folder: Path) -> None:
        (folder / "sha256").write_text(file_digest(path)[:32])

    return (cached_folder(runtime, "digests", key, make) / "sha256").read_text()


def load_index(folder: Path) -> InstanceIndex:
    """Open an index folder."""
    meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=IndexMeta)
    return InstanceIndex(
        folder, tuple(meta.categories), tuple(meta.licences), np.load(folder / "extents.npy")
    )
