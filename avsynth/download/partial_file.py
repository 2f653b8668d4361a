"""A file on its way: grows under a hidden name, and lands by rename once its hash is known."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avsynth.download.content import content_fault, head_fault
from avsynth.download.items import Digests, Item
from avsynth.runtime.errors import SpaceError

RESERVE_BYTES = 256 << 20
"""Disk space that is never filled."""


class CorruptError(Exception):
    """What came is not what the publisher says it is."""


class Part:
    """The part of a file that has come so far, kept between runs so that it can be resumed.

    Args:
        item: what is wanted.
        target: where it will lie.
    """

    def __init__(self, item: Item, target: Path) -> None:
        self.item, self.target = item, target
        self.path = target.with_name(f".{target.name}.part")
        self._validator = target.with_name(f".{target.name}.etag")

    def kept(self) -> tuple[int, str, int | None]:
        """Return the bytes that are here, their version (ETag, date) and the whole file's size."""
        try:
            version, _, total = self._validator.read_text(encoding="ascii").partition("\n")
            size = self.path.stat().st_size
        except (OSError, ValueError):
            return 0, "", None
        return size, version, int(total) if total.isdecimal() else None

    def forget(self) -> None:
        """Start over."""
        self.path.unlink(missing_ok=True)
        self.forget_version()

    def forget_version(self) -> None:
        """Drop the note of which version the part is of; small files never had one."""
        self._validator.unlink(missing_ok=True)

    def open(self, start: int, validator: str, total: int | None) -> "PartWriter":
        """Begin to write at ``start``, 0 for a new file.

        Raises:
            SpaceError: the rest does not fit on the disk, or the folder cannot be written.
        """
        with disk(self.target):
            if total is not None:
                check_room(self.target, total - start)
            elif not self.target.parent.is_dir():
                self.target.parent.mkdir(parents=True, exist_ok=True)
            if validator and not start:
                known = "" if total is None else str(total)
                self._validator.write_text(f"{validator}\n{known}", encoding="ascii")
            return PartWriter(self, start)

    def land_bytes(self, body: bytes) -> tuple[int, str]:
        """Check and write a small file in one go; see `PartWriter.land`."""
        writer = self.open(0, "", None)
        try:
            writer.write(body)
            return writer.land()
        except BaseException:
            writer.close()
            self.forget()
            raise


class PartWriter:
    """The open end of a `Part`: hashes what it writes."""

    def __init__(self, part: Part, start: int) -> None:
        self._part = part
        self._digests = Digests(part.item.digest)
        self._head = b""
        self.size = 0
        if start:
            with part.path.open("rb") as file:
                while block := file.read(1 << 20):
                    self._take(block)
        self._file = part.path.open("ab" if start else "wb", buffering=0)

    def _take(self, block: bytes) -> None:
        self._head = self._head or block[:16]
        self._digests.update(block)
        self.size += len(block)

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            SpaceError: the disk is full.
        """
        self._take(block)
        view = memoryview(block)
        with disk(self._part.target):
            while view:
                view = view[self._file.write(view) :]

    def close(self) -> None:
        """Leave the part for a later run."""
        self._file.close()

    def land(self) -> tuple[int, str]:
        """Check the whole file and give it its name.

        Returns:
            Its size in bytes and its SHA-256.

        Raises:
            CorruptError: it is not what the publisher says; nothing is left behind.
        """
        self.close()
        item = self._part.item
        fault = self._digests.fault() or head_fault(item.target, self._head)
        if item.bytes is not None and self.size != item.bytes:
            fault = f"{self.size} bytes, not {item.bytes}"
        if not fault and not (item.digest or item.member):  # An archive has checksums.
            fault = content_fault(self._part.path, item.target)
        if fault:
            self._part.forget()
            raise CorruptError(fault)
        os.replace(self._part.path, self._part.target)  # noqa: PTH105 - atomic, and says so
        self._part.forget_version()
        return self.size, self._digests.sha256.hexdigest()


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Tell the user when the disk, and not the network, is at fault.

    Raises:
        SpaceError: any error of the file system inside the block.
    """
    try:
        yield
    except OSError as error:
        raise SpaceError(
            str(path),
            "a folder with room that can be written",
            error.strerror or str(error),
            "Free some space (avsynth plan says how much), then run the same command again.",
        ) from error


def check_room(path: Path, wanted_bytes: int) -> None:
    """Make a file's folder and see that the file fits, with a reserve.

    Raises:
        SpaceError: it does not.
    """
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if wanted_bytes > free - RESERVE_BYTES:
            found = f"{wanted_bytes:,} bytes wanted, {free:,} free"
            raise OSError(errno.ENOSPC, found)
