"""Bring members of archives: many small ones per request, large ones resumed after a cut."""

import asyncio
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from avsynth.core.names import inside
from avsynth.download.http import Web
from avsynth.download.http_responses import RefusalError, check_status
from avsynth.download.items import Item, Outcome
from avsynth.download.partial_file import CorruptError, Part, check_room, disk
from avsynth.download.worker_pool import Job
from avsynth.download.zip_ranges import (
    HAUL_BYTES,
    Blob,
    Member,
    hauls,
    payload_start,
    read_contents,
    unpack,
    unpack_stream,
)

STRIDE_BYTES = 8 << 20
"""How much of a large member is asked for at a time."""


class WebBlob:
    """A file on a host that answers range requests.

    Raises (from `read` and `size`):
        RefusalError: it does not, or the file changed between two requests.
    """

    def __init__(self, web: Web, url: str) -> None:
        self._web, self._url = web, url
        self._size = -1
        self._version = ""

    async def size(self) -> int:
        """Say how long it is."""
        if self._size < 0:
            await self.read(0, 1)
        return self._size

    async def read(self, start: int, length: int) -> bytes:
        """Read a stretch."""
        body, _ = await self._web.persist(self._url, partial(self._once, start, length))
        return body

    async def _once(self, start: int, length: int) -> bytes:
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        async with self._web.get(self._url, headers) as response:
            check_status(response)
            extent, _, total = response.headers.get("Content-Range", "").partition("/")
            if response.status != 206 or not total.isdecimal():
                raise RefusalError(
                    "corrupt",
                    "the host answers no range requests; fetch the archive by other means and "
                    "name its folder in fetch.have",
                )
            version = f"{total} {response.headers.get('ETag', '')}"
            self._version = self._version or version
            if version != self._version or not extent.startswith(f"bytes {start}-"):
                raise RefusalError("corrupt", "the archive changed while it was read")
            self._size = int(total)
            body = await response.read()
            if len(body) != min(length, self._size - start):
                raise CorruptError(f"{len(body)} bytes where {length} were asked for")
            return body


async def member_jobs(blob: Blob, items: list[Item], root: Path) -> list[Job]:
    """Plan how to bring some members of one archive."""
    try:
        contents = await read_contents(blob)
    except RefusalError as error:
        return [partial(_answer, items, error.outcome())]
    except CorruptError as error:
        return [partial(_answer, items, Outcome("corrupt", str(error)))]
    there = [item for item in items if item.member in contents]
    absent = [item for item in items if item.member not in contents]
    jobs: list[Job] = []
    if absent:
        jobs.append(partial(_answer, absent, Outcome("gone", "not in the archive")))
    for start, end, pairs in hauls(there, contents):
        if end - start > HAUL_BYTES:
            jobs.append(partial(_bring_large, blob, *pairs[0], root))
        else:
            jobs.append(partial(_bring_haul, blob, start, end, pairs, root))
    return jobs


async def _answer(items: list[Item], outcome: Outcome) -> list[tuple[Item, Outcome]]:
    return [(item, outcome) for item in items]


async def _bring_haul(
    blob: Blob, start: int, end: int, pairs: list[tuple[Item, Member]], root: Path
) -> list[tuple[Item, Outcome]]:
    try:
        stretch = await blob.read(start, end - start)
    except RefusalError as error:
        return [(item, error.outcome()) for item, _ in pairs]
    done = []
    for item, member in pairs:
        try:
            content = unpack(member, stretch[member.start - start : member.end - start])
            size, sha256 = Part(item, inside(root, item.target)).land_bytes(content)
            done.append((item, Outcome("ok", "", size, sha256)))
        except CorruptError as error:
            done.append((item, Outcome("corrupt", str(error))))
    return done


async def _bring_large(
    blob: Blob, item: Item, member: Member, root: Path
) -> list[tuple[Item, Outcome]]:
    """Bring the packed bytes into a hidden file stride by stride, then unpack that."""
    target = inside(root, item.target)
    try:
        if member.fault:
            raise CorruptError(member.fault)
        # Size and checksum name the version, so that a part of another one is not continued.
        packed = target.with_name(f".{target.name}.{member.packed_bytes}-{member.crc:08x}.packed")
        await _collect(blob, member, packed)
        size, sha256 = await _unpack_file(item, member, packed, target)
        return [(item, Outcome("ok", "", size, sha256))]
    except RefusalError as error:
        return [(item, error.outcome())]
    except CorruptError as error:
        return [(item, Outcome("corrupt", str(error)))]


async def _collect(blob: Blob, member: Member, packed: Path) -> None:
    have = packed.stat().st_size if packed.exists() else 0
    origin = member.start + payload_start(await blob.read(member.start, 30))
    check_room(packed, member.packed_bytes - have + member.bytes)
    while have < member.packed_bytes:
        stretch = await blob.read(origin + have, min(STRIDE_BYTES, member.packed_bytes - have))
        with disk(packed), packed.open("ab") as file:
            file.write(stretch)
        have += len(stretch)


async def _unpack_file(item: Item, member: Member, packed: Path, target: Path) -> tuple[int, str]:
    writer = Part(item, target).open(0, "", member.bytes)
    crc = 0
    try:
        for block in unpack_stream(member, _blocks(packed)):
            crc = zlib.crc32(block, crc)
            writer.write(block)
            # Lets Ctrl-C through while a large file is unpacked.
            await asyncio.sleep(0)
        if crc != member.crc:
            raise CorruptError("wrong checksum inside the archive")
        landed = writer.land()
    except CorruptError:
        packed.unlink()
        raise
    finally:
        writer.close()
    packed.unlink()
    return landed


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block
