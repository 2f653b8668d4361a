"""Download of archive members: small ones share a request, large ones can be resumed."""

import asyncio
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from avsynth.core.names import inside
from avsynth.download.http import Web
from avsynth.download.http_responses import RefusalError, check_status
from avsynth.download.items import Item, Outcome
from avsynth.download.partial_file import CorruptError, PartialFile, check_free_space, disk_errors
from avsynth.download.worker_pool import Job
from avsynth.download.zip_ranges import (
    RANGE_BYTES,
    Blob,
    Member,
    group_ranges,
    payload_start,
    read_contents,
    unpack,
    unpack_stream,
)

CHUNK_BYTES = 8 << 20
"""Bytes of a large member per request."""


class WebBlob:
    """A remote file on a host that supports range requests.

    Raises (from `read` and `size`):
        RefusalError: the host does not support them, or the file changed between two requests.
    """

    def __init__(self, web: Web, url: str) -> None:
        self._web, self._url = web, url
        self._size = -1
        self._version = ""

    async def size(self) -> int:
        """Return the size in bytes."""
        if self._size < 0:
            await self.read(0, 1)
        return self._size

    async def read(self, start: int, length: int) -> bytes:
        """Read ``length`` bytes from ``start``."""
        body, _ = await self._web.call_with_retries(self._url, partial(self._once, start, length))
        return body

    async def _once(self, start: int, length: int) -> bytes:
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        async with self._web.get(self._url, headers) as response:
            check_status(response)
            extent, _, total = response.headers.get("Content-Range", "").partition("/")
            if response.status != 206 or not total.isdecimal():
                raise RefusalError(
                    "corrupt",
                    "the host supports no range requests; download the archive by other means and "
                    "name its folder in fetch.have",
                )
            version = f"{total} {response.headers.get('ETag', '')}"
            self._version = self._version or version
            if version != self._version or not extent.startswith(f"bytes {start}-"):
                raise RefusalError("corrupt", "the archive changed while it was read")
            self._size = int(total)
            body = await response.read()
            if len(body) != min(length, self._size - start):
                raise CorruptError(f"{len(body)} bytes instead of {length}")
            return body


async def member_jobs(blob: Blob, items: list[Item], root: Path) -> list[Job]:
    """Build the jobs that download some members of one archive."""
    try:
        contents = await read_contents(blob)
    except RefusalError as error:
        return [partial(_same_outcome, items, error.outcome())]
    except CorruptError as error:
        return [partial(_same_outcome, items, Outcome("corrupt", str(error)))]
    present = [item for item in items if item.member in contents]
    absent = [item for item in items if item.member not in contents]
    jobs: list[Job] = []
    if absent:
        jobs.append(partial(_same_outcome, absent, Outcome("gone", "not in the archive")))
    for start, end, pairs in group_ranges(present, contents):
        if end - start > RANGE_BYTES:
            jobs.append(partial(_download_large, blob, *pairs[0], root))
        else:
            jobs.append(partial(_download_range, blob, start, end, pairs, root))
    return jobs


async def _same_outcome(items: list[Item], outcome: Outcome) -> list[tuple[Item, Outcome]]:
    return [(item, outcome) for item in items]


async def _download_range(
    blob: Blob, start: int, end: int, pairs: list[tuple[Item, Member]], root: Path
) -> list[tuple[Item, Outcome]]:
    try:
        byte_range = await blob.read(start, end - start)
    except RefusalError as error:
        return [(item, error.outcome()) for item, _ in pairs]
    done = []
    for item, member in pairs:
        try:
            content = unpack(member, byte_range[member.start - start : member.end - start])
            size, sha256 = PartialFile(item, inside(root, item.target)).commit_bytes(content)
            done.append((item, Outcome("ok", "", size, sha256)))
        except CorruptError as error:
            done.append((item, Outcome("corrupt", str(error))))
    return done


async def _download_large(
    blob: Blob, item: Item, member: Member, root: Path
) -> list[tuple[Item, Outcome]]:
    """Download the packed bytes into a hidden file chunk by chunk, then unpack the file."""
    target = inside(root, item.target)
    try:
        if member.fault:
            raise CorruptError(member.fault)
        # Size and checksum are in the name, so that a download of another version is not resumed.
        packed = target.with_name(f".{target.name}.{member.packed_bytes}-{member.crc:08x}.packed")
        await _download_packed(blob, member, packed)
        size, sha256 = await _unpack_file(item, member, packed, target)
        return [(item, Outcome("ok", "", size, sha256))]
    except RefusalError as error:
        return [(item, error.outcome())]
    except CorruptError as error:
        return [(item, Outcome("corrupt", str(error)))]


async def _download_packed(blob: Blob, member: Member, packed: Path) -> None:
    have = packed.stat().st_size if packed.exists() else 0
    origin = member.start + payload_start(await blob.read(member.start, 30))
    check_free_space(packed, member.packed_bytes - have + member.bytes)
    while have < member.packed_bytes:
        byte_range = await blob.read(origin + have, min(CHUNK_BYTES, member.packed_bytes - have))
        with disk_errors(packed), packed.open("ab") as file:
            file.write(byte_range)
        have += len(byte_range)


async def _unpack_file(item: Item, member: Member, packed: Path, target: Path) -> tuple[int, str]:
    writer = PartialFile(item, target).open(0, "", member.bytes)
    crc = 0
    try:
        for block in unpack_stream(member, _blocks(packed)):
            crc = zlib.crc32(block, crc)
            writer.write(block)
            # Let the event loop handle Ctrl-C while a large file is unpacked.
            await asyncio.sleep(0)
        if crc != member.crc:
            raise CorruptError("wrong checksum inside the archive")
        committed = writer.commit()
    except CorruptError:
        packed.unlink()
        raise
    finally:
        writer.close()
    packed.unlink()
    return committed


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block
