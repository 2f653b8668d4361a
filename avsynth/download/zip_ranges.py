"""Byte ranges of single members of zip archives, local or remote.

The central directory is at the end of an archive, and each member is one byte range. Therefore
single members can be read from a host that supports range requests, without the whole archive.
Member names are never used as paths: the caller sets each target. Links, encryption, overlaps and
zip bombs are refused.
"""

import asyncio
import io
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from avsynth.download.items import Item
from avsynth.download.partial_file import CorruptError

TAIL_BYTES = 256 << 10
MAX_CONTENTS_BYTES = 512 << 20
MAX_RATIO = 200
"""Highest accepted compression ratio. Images and tables stay below it; zip bombs reach 1000."""
MIN_CHECKED_BYTES = 1 << 20
"""Size below which the ratio is not checked, because a blank mask compresses well."""
RANGE_BYTES = 4 << 20
"""Highest size of one range request for several members."""
GAP_BYTES = 64 << 10
"""Highest gap between two members of one request; reading it is cheaper than a new request."""
_HEADER = 30
_STORED, _DEFLATED = 0, 8


class Blob(Protocol):
    """A local or remote file with random access."""

    async def size(self) -> int:
        """Return the size in bytes."""
        ...

    async def read(self, start: int, length: int) -> bytes:
        """Read ``length`` bytes from ``start``, fewer only at the end of the file."""
        ...


class LocalBlob:
    """A file on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def size(self) -> int:
        """Return the size in bytes."""
        return self._path.stat().st_size

    async def read(self, start: int, length: int) -> bytes:
        """Read ``length`` bytes from ``start``, fewer only at the end of the file."""
        return await asyncio.to_thread(self._read, start, length)

    def _read(self, start: int, length: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(length)


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a central directory."""

    name: str
    start: int
    end: int
    """Exclusive upper bound of the member's bytes."""
    packed_bytes: int
    bytes: int
    crc: int
    method: int
    fault: str
    """Why the member is refused; empty if it is accepted."""


class _NotLoaded(Exception):  # noqa: N818 - not an error: carries the next offset to read
    def __init__(self, start: int) -> None:
        self.start = start


class _TailFile(io.RawIOBase):
    """A read-only file of which only the last bytes are loaded."""

    def __init__(self, size: int, tail: bytes) -> None:
        self._size, self._tail, self._at = size, tail, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("seek before the start")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, length: int = -1) -> bytes:
        begin = self._size - len(self._tail)
        if self._at < begin:
            raise _NotLoaded(self._at)
        start = self._at - begin
        data = self._tail[start:] if length < 0 else self._tail[start : start + length]
        self._at += len(data)
        return data


async def read_contents(blob: Blob) -> dict[str, Member]:
    """Read an archive's central directory.

    Returns:
        Members by their full name, and by their file name if it is unique.

    Raises:
        CorruptError: the file is not a zip archive, or its central directory is too large.
    """
    size = await blob.size()
    tail = await blob.read(max(0, size - TAIL_BYTES), min(size, TAIL_BYTES))
    for _ in range(4):
        try:
            with zipfile.ZipFile(_TailFile(size, tail)) as archive:
                return _by_name(list(_members(archive)))
        except _NotLoaded as not_loaded:
            if size - not_loaded.start > MAX_CONTENTS_BYTES:
                break
            tail = await blob.read(not_loaded.start, size - not_loaded.start)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise CorruptError(f"not a zip archive: {error}") from None
    raise CorruptError("the zip's central directory is too large")


def _members(archive: zipfile.ZipFile) -> Iterator[Member]:
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    starts = [info.header_offset for info in infos] + [archive.start_dir]
    for info, (start, end) in zip(infos, pairwise(starts), strict=True):
        if not info.is_dir():
            yield Member(
                info.filename,
                start,
                end,
                info.compress_size,
                info.file_size,
                info.CRC,
                info.compress_type,
                _fault(info, end - start),
            )


def _fault(info: zipfile.ZipInfo, gap: int) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link inside an archive"
    if info.flag_bits & 0x1:
        return "an encrypted member"
    if info.compress_type not in {_STORED, _DEFLATED}:
        return f"compression method {info.compress_type}"
    if info.compress_size + _HEADER > gap:
        return "members that overlap"
    if info.file_size > max(MIN_CHECKED_BYTES, MAX_RATIO * info.compress_size):
        return f"a member that grows {info.file_size // max(info.compress_size, 1)} times"
    return ""


def _by_name(members: list[Member]) -> dict[str, Member]:
    counts = Counter(m.name.rpartition("/")[2] for m in members)
    by_file_name = {m.name.rpartition("/")[2]: m for m in members}
    return {name: m for name, m in by_file_name.items() if counts[name] == 1} | {
        m.name: m for m in members
    }


def payload_start(header: bytes) -> int:
    """Return the offset of a member's data from the member's start, in bytes.

    Args:
        header: at least the member's first 30 bytes.

    Raises:
        CorruptError: the bytes are not a member's header.
    """
    if len(header) < _HEADER or header[:4] != b"PK\x03\x04":
        raise CorruptError("no zip member at the offset in the central directory")
    name_bytes = int.from_bytes(header[26:28], "little")
    extra_bytes = int.from_bytes(header[28:30], "little")
    return _HEADER + name_bytes + extra_bytes


def unpack(member: Member, byte_range: bytes) -> bytes:
    """Decompress a member.

    Args:
        member: its entry in the central directory.
        byte_range: the bytes from the member's start to its end.

    Raises:
        CorruptError: the member is refused or truncated, or its checksum is wrong.
    """
    if member.fault:
        raise CorruptError(member.fault)
    start = payload_start(byte_range)
    packed = byte_range[start : start + member.packed_bytes]
    content = b"".join(unpack_stream(member, [packed]))
    if zlib.crc32(content) != member.crc:
        raise CorruptError("wrong checksum inside the archive")
    return content


def unpack_stream(member: Member, packed: Iterator[bytes] | list[bytes]) -> Iterator[bytes]:
    """Decompress block by block, up to the size in the central directory.

    Raises:
        CorruptError: the data is truncated, damaged, or longer than announced.
    """
    left = member.bytes
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None
    try:
        for block in packed:
            while block:
                if decompressor is None:
                    out, block = block, b""
                else:
                    out = decompressor.decompress(block, min(left + 1, 1 << 22))
                    block = decompressor.unconsumed_tail
                    if not out and not block:
                        break
                left -= len(out)
                if left < 0:
                    raise CorruptError("more data than the archive announces")
                yield out
    except zlib.error as error:
        raise CorruptError(f"damaged data: {error}") from None
    if left:
        raise CorruptError("data cut off inside the archive")


def group_ranges(
    items: list[Item], contents: dict[str, Member]
) -> Iterator[tuple[int, int, list[tuple[Item, Member]]]]:
    """Group small members that lie near each other into ranges of one request each.

    Yields:
        Start, end, and the items with their members in this range. A member larger than
        `RANGE_BYTES` has a range of its own.
    """
    found = sorted(((i, contents[i.member]) for i in items), key=lambda pair: pair[1].start)
    group: list[tuple[Item, Member]] = []
    for item, member in found:
        if group and (
            member.start - group[-1][1].end > GAP_BYTES
            or member.end - group[0][1].start > RANGE_BYTES
        ):
            yield group[0][1].start, group[-1][1].end, group
            group = []
        group.append((item, member))
    if group:
        yield group[0][1].start, group[-1][1].end, group
