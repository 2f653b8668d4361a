"""`PartialFile`: a download under a hidden name, renamed to its target after the checks."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avsynth.download.content import check_content, check_magic_bytes
from avsynth.download.items import Digester, Item
from avsynth.runtime.errors import SpaceError

RESERVE_BYTES = 256 << 20
"""Disk space that is always left free."""


class CorruptError(Exception):
    """The received bytes do not match the published size, digest or file type."""


class PartialFile:
    """The bytes of a file received so far, kept between runs so that a download can resume.

    Args:
        item: the file to download.
        target: its final path.
    """

    def __init__(self, item: Item, target: Path) -> None:
        self.item, self.target = item, target
        self.path = target.with_name(f".{target.name}.part")
        self._version_path = target.with_name(f".{target.name}.etag")

    def resume_point(self) -> tuple[int, str, int | None]:
        """Return where a download can resume.

        Returns:
            The number of bytes received, the version (ETag or date) they belong to, and the size
            of the whole file (None if unknown).
        """
        try:
            version, _, total = self._version_path.read_text(encoding="ascii").partition("\n")
            size = self.path.stat().st_size
        except (OSError, ValueError):
            return 0, "", None
        return size, version, int(total) if total.isdecimal() else None

    def discard(self) -> None:
        """Delete the received bytes."""
        self.path.unlink(missing_ok=True)
        self.discard_version()

    def discard_version(self) -> None:
        """Delete the file that stores the version; small files have none."""
        self._version_path.unlink(missing_ok=True)

    def open(self, start: int, version: str, total: int | None) -> "PartialFileWriter":
        """Open for writing at ``start``, 0 for a new file.

        Args:
            start: offset of the next byte.
            version: version of the file; empty if the host gives none.
            total: size of the whole file in bytes; None if unknown.

        Raises:
            SpaceError: the rest does not fit on the disk, or the folder is not writable.
        """
        with disk_errors(self.target):
            if total is not None:
                check_free_space(self.target, total - start)
            elif not self.target.parent.is_dir():
                self.target.parent.mkdir(parents=True, exist_ok=True)
            if not start:
                self.discard_version()  # An older file's version must not be resumed with.
            if version and not start:
                text = f"{version}\n{'' if total is None else total}"
                self._version_path.write_text(text, encoding="ascii")
            return PartialFileWriter(self, start)

    def commit_bytes(self, body: bytes) -> tuple[int, str]:
        """Write and check a small file in one call; see `PartialFileWriter.commit`."""
        writer = self.open(0, "", None)
        try:
            writer.write(body)
            return writer.commit()
        except BaseException:
            writer.close()
            self.discard()
            raise


class PartialFileWriter:
    """An open `PartialFile`; it hashes the bytes that it writes."""

    def __init__(self, partial_file: PartialFile, start: int) -> None:
        self._partial_file = partial_file
        self._digests = Digester(partial_file.item.digest)
        self._head = b""
        self.size = 0
        if start:
            with partial_file.path.open("rb") as file:
                while block := file.read(1 << 20):
                    self._update(block)
        self._file = partial_file.path.open("ab" if start else "wb", buffering=0)

    def _update(self, block: bytes) -> None:
        self._head = self._head or block[:16]
        self._digests.update(block)
        self.size += len(block)

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            SpaceError: the disk is full.
        """
        self._update(block)
        view = memoryview(block)
        with disk_errors(self._partial_file.target):
            while view:
                view = view[self._file.write(view) :]

    def close(self) -> None:
        """Close the file and keep it for a later run."""
        self._file.close()

    def commit(self) -> tuple[int, str]:
        """Check the complete file and rename it to its target.

        Returns:
            Its size in bytes and its SHA-256.

        Raises:
            CorruptError: the file is not as published; it is deleted.
        """
        self.close()
        item = self._partial_file.item
        fault = self._digests.mismatch() or check_magic_bytes(item.target, self._head)
        if item.bytes is not None and self.size != item.bytes:
            fault = f"{self.size} bytes, not {item.bytes}"
        if not fault and not (item.digest or item.member):  # A zip member has a checksum.
            fault = check_content(self._partial_file.path, item.target)
        if fault:
            self._partial_file.discard()
            raise CorruptError(fault)
        os.replace(self._partial_file.path, self._partial_file.target)  # noqa: PTH105 - documented as atomic
        self._partial_file.discard_version()
        return self.size, self._digests.sha256.hexdigest()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise file-system errors as `SpaceError`, so that they are not taken for network errors.

    Raises:
        SpaceError: any file-system error inside the block.
    """
    try:
        yield
    except OSError as error:
        raise SpaceError(
            str(path),
            "a writable folder with enough space",
            error.strerror or str(error),
            "Free some space (avsynth plan shows how much), then run the same command again.",
        ) from error


def check_free_space(path: Path, wanted_bytes: int) -> None:
    """Create a file's folder and check that the file fits, with a reserve.

    Raises:
        SpaceError: the file does not fit.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if wanted_bytes > free - RESERVE_BYTES:
            found = f"{wanted_bytes:,} bytes needed, {free:,} free"
            raise OSError(errno.ENOSPC, found)
