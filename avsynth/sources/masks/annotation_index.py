"""`InstanceIndex`: an on-disk index of a COCO-family annotation file, polygons included.

Opening it takes milliseconds. The annotations are split into runs of about ten thousand and sorted
by category within a run, so a category is one extent per run: a contiguous range of rows and of
segmentation bytes. Writing needs the memory of one run, for any file size. Reading some categories
reads their extents only.

A folder holds ``rows.bin`` (`index_writer.ROW`), ``segmentations.bin`` (the file's own JSON text,
concatenated), ``extents.npy`` (`index_writer.EXTENT`), ``images.jsonl`` and ``meta.json``.
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
from avsynth.core.hashing import file_digest, source_digest
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.masks.coco_json import NO_CATEGORY, Image, Licence, SourceCategory
from avsynth.sources.masks.index_writer import FORMAT, ROW, IndexMeta, write_index

_PIECE_BYTES = 1 << 20
_images = msgspec.json.Decoder(Image)


@dataclass(frozen=True)
class InstanceIndex:
    """An index in ``folder``; the module's docstring describes its files."""

    folder: Path
    categories: tuple[SourceCategory, ...]
    licences: tuple[Licence, ...]
    extents: NDArray[Any]

    def count(self) -> dict[int, int]:
        """Return category id -> number of annotations."""
        counts = {c.id: 0 for c in self.categories}
        for category_id, rows in zip(
            self.extents["category_id"].tolist(), self.extents["rows"].tolist(), strict=True
        ):
            if category_id != NO_CATEGORY:
                counts[category_id] = counts.get(category_id, 0) + rows
        return counts

    def extents_of(self, category_ids: Iterable[int]) -> NDArray[Any]:
        """Return the extents of some categories, as `EXTENT`."""
        chosen: NDArray[Any] = self.extents[
            np.isin(self.extents["category_id"], list(category_ids))
        ]
        return chosen

    def read(self, extents: NDArray[Any]) -> Iterator[tuple[NDArray[Any], list[bytes]]]:
        """Yield the annotations of each extent.

        Yields:
            The rows as `ROW`, and the JSON text of each row's segmentation.
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
        """Read the image entries of some extents: image id -> entry."""
        parts = [np.empty(0, np.int64), *(rows["image_id"] for rows in self.rows(extents))]
        wanted = set(np.concatenate(parts).tolist())
        images: dict[int, Image] = {}
        with (self.folder / "images.jsonl").open("rb") as file:
            while lines := file.readlines(_PIECE_BYTES):
                found = _images.decode_lines(b"".join(lines))
                images.update((image.id, image) for image in found if image.id in wanted)
        return images


def open_index(path: Path, runtime: Runtime) -> InstanceIndex:
    """Open the index of an annotation file; build it first if the cache has none.

    Raises:
        DataError: the file is absent, truncated, not JSON, or JSON of another format.
        SpaceError: the cache cannot be written.
    """
    if not path.is_file():
        raise DataError(
            str(path),
            "an annotation file",
            "no such file",
            "Put the file there, or correct its name in params.yaml.",
        )
    try:
        path.open("rb").close()
    except OSError as error:  # otherwise reported as a fault of the cache
        raise DataError(
            str(path),
            "a readable annotation file",
            error.strerror or str(error),
            "Correct the file's permissions.",
        ) from None
    code = source_digest("avsynth.sources.masks.index_writer")
    key = f"{_digest(path, runtime)}-{FORMAT}-{code}"
    return load_index(
        cached_folder(runtime, "instances", key, lambda folder: write_index(path, folder, runtime))
    )


def _digest(path: Path, runtime: Runtime) -> str:
    """Return a file's sha256; cached until its inode, size or modification time changes."""
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
