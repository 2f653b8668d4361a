"""Members of zip archives, near or far, read one by one: only the bytes that are wanted travel.

The table of contents stands at an archive's end; a member is one stretch of bytes. So an archive
on a host that answers range requests is read like one on disk. Members never name a path: the
caller says where each goes. Links, encryption, overlaps and bombs are refused.
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
"""Deflate cannot shrink honest pictures or tables more than this; bombs reach 1000."""
FREE_BYTES = 1 << 20
"""Below this size no ratio is asked for: a blank mask shrinks well."""
HAUL_BYTES = 4 << 20
GAP_BYTES = 64 << 10
"""Unwanted bytes between two members that are cheaper to read than to ask again."""
_HEADER = 30
_STORED, _DEFLATED = 0, 8


class Blob(Protocol):
    """Bytes that can be read anywhere: a file on disk or on a host."""

    async def size(self) -> int:
        """Say how long it is."""
        ...

    async def read(self, start: int, length: int) -> bytes:
        """Read a stretch; exactly ``length`` bytes unless it ends first."""
        ...


class LocalBlob:
    """A file on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def size(self) -> int:
        """Say how long it is."""
        return self._path.stat().st_size

    async def read(self, start: int, length: int) -> bytes:
        """Read a stretch."""
        return await asyncio.to_thread(self._read, start, length)

    def _read(self, start: int, length: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(length)


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a table of contents."""

    name: str
    start: int
    end: int
    """No byte of the member lies at or after this."""
    packed_bytes: int
    bytes: int
    crc: int
    method: int
    fault: str
    """Why it is refused, or empty."""


class _Missing(Exception):  # noqa: N818 - not an error: it says what to read next
    def __init__(self, start: int) -> None:
        self.start = start


class _Window(io.RawIOBase):
    """An archive of which only the end is here."""

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
            raise _Missing(self._at)
        start = self._at - begin
        data = self._tail[start:] if length < 0 else self._tail[start : start + length]
        self._at += len(data)
        return data


async def read_contents(blob: Blob) -> dict[str, Member]:
    """Read an archive's table of contents.

    Returns:
        Members by their full name, and by their bare name where it is the only one of its kind.

    Raises:
        CorruptError: it is not a zip archive, or its table is larger than any honest one.
    """
    size = await blob.size()
    tail = await blob.read(max(0, size - TAIL_BYTES), min(size, TAIL_BYTES))
    for _ in range(4):
        try:
            with zipfile.ZipFile(_Window(size, tail)) as archive:
                return _named(list(_members(archive)))
        except _Missing as missing:
            if size - missing.start > MAX_CONTENTS_BYTES:
                break
            tail = await blob.read(missing.start, size - missing.start)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise CorruptError(f"not a zip archive: {error}") from None
    raise CorruptError("the zip's table of contents is too large")


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


def _fault(info: zipfile.ZipInfo, room: int) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link inside an archive"
    if info.flag_bits & 0x1:
        return "an encrypted member"
    if info.compress_type not in {_STORED, _DEFLATED}:
        return f"compression method {info.compress_type}"
    if info.compress_size + _HEADER > room:
        return "members that overlap"
    if info.file_size > max(FREE_BYTES, MAX_RATIO * info.compress_size):
        return f"a member that grows {info.file_size // max(info.compress_size, 1)} times"
    return ""


def _named(members: list[Member]) -> dict[str, Member]:
    bare = Counter(m.name.rpartition("/")[2] for m in members)
    named = {m.name.rpartition("/")[2]: m for m in members}
    return {name: m for name, m in named.items() if bare[name] == 1} | {m.name: m for m in members}


def payload_start(header: bytes) -> int:
    """Say how many bytes after a member's start its data begins.

    Args:
        header: at least the member's first 30 bytes.

    Raises:
        CorruptError: no member begins here.
    """
    if len(header) < _HEADER or header[:4] != b"PK\x03\x04":
        raise CorruptError("no zip member where the table of contents says")
    name_bytes = int.from_bytes(header[26:28], "little")
    extra_bytes = int.from_bytes(header[28:30], "little")
    return _HEADER + name_bytes + extra_bytes


def unpack(member: Member, stretch: bytes) -> bytes:
    """Take a member's content out of the bytes from its start to its end.

    Raises:
        CorruptError: it is refused, cut off, or its checksum is wrong.
    """
    if member.fault:
        raise CorruptError(member.fault)
    start = payload_start(stretch)
    packed = stretch[start : start + member.packed_bytes]
    content = b"".join(unpack_stream(member, [packed]))
    if zlib.crc32(content) != member.crc:
        raise CorruptError("wrong checksum inside the archive")
    return content


def unpack_stream(member: Member, packed: Iterator[bytes] | list[bytes]) -> Iterator[bytes]:
    """Decompress block by block, never beyond the size that the table of contents gives.

    Raises:
        CorruptError: cut off, damaged, or longer than announced.
    """
    left = member.bytes
    engine = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None
    try:
        for block in packed:
            while block:
                if engine is None:
                    out, block = block, b""
                else:
                    out = engine.decompress(block, min(left + 1, 1 << 22))
                    block = engine.unconsumed_tail
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


def hauls(
    items: list[Item], contents: dict[str, Member]
) -> Iterator[tuple[int, int, list[tuple[Item, Member]]]]:
    """Group small members that lie near each other into stretches worth one request.

    Yields:
        Start, end, and the items with their members inside. A member larger than a haul comes
        alone.
    """
    found = sorted(((i, contents[i.member]) for i in items), key=lambda pair: pair[1].start)
    group: list[tuple[Item, Member]] = []
    for item, member in found:
        if group and (
            member.start - group[-1][1].end > GAP_BYTES
            or member.end - group[0][1].start > HAUL_BYTES
        ):
            yield group[0][1].start, group[-1][1].end, group
            group = []
        group.append((item, member))
    if group:
        yield group[0][1].start, group[-1][1].end, group
