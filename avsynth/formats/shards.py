"""Samples <-> deterministic tars, and the index that gives random access to them.

A shard is a plain USTAR file that WebDataset reads: one member per part, named
``<key>.<part>``, parts in alphabetical order, samples in the order they come. Every header has
mtime 0, uid and gid 0 and mode 0444, so that the same samples give the same bytes anywhere.

``index.json`` is beside the tars: for each shard its split, count, bytes, sha256, and the keys
with the offset of their first header.
"""

import hashlib
import json
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tokenize import TokenError
from typing import Any

from avsynth.core.files import atomic_file
from avsynth.core.records import Sample
from avsynth.core.small_files import read_regular
from avsynth.formats.shard_index import (
    FIX_INDEX,
    INDEX_SCHEMA,
    KEY,
    ShardInfo,
    parse_index,
    parse_meta,
)
from avsynth.runtime.errors import DataError

INDEX_FILE = "index.json"
BLOCK = 512
_END = bytes(2 * BLOCK)
WRITTEN_NAME = re.compile(r"(train|val|test)-\d{5,9}\.tar", re.ASCII)
"""The names that the stages give to tars."""
_PARTS = frozenset({"audio.flac", "image.jpg", "image.png", "logmel.npy", "mask.png", "meta.json"})
"""The members that a sample can have; names of files are made of them and of the key."""
_STEMS = {part.partition(".")[0] for part in _PARTS}
MAX_META_BYTES = 1 << 20
MAX_INDEX_BYTES = 1 << 30
_WHOLE = "a whole sample"
_CONTENT_ERRORS = (
    ValueError, TypeError, LookupError, AttributeError, EOFError, SyntaxError, OverflowError,
    MemoryError, RecursionError, TokenError,
)  # fmt: skip
"""What decoders raise for bytes that are not what their name says."""
_SIZE = re.compile(rb"[0-7]{11}")

_EXPECTED_KEY = "a key of at most 85 letters (a-z), digits, _ and -"
_FIX_KEY = "Rename the category in the category table."

# The fields of a header that are the same for every member, in their order.
_OWNER = b"0000444\0" + b"0000000\0" + b"0000000\0"
_TIME = b"\0" + b"00000000000\0"
_REST = b"\0 0" + bytes(100) + b"ustar\x0000" + bytes(247)
_CONSTANT_SUM = sum(_OWNER) + sum(_TIME) + sum(_REST) + 7 * ord(" ")
"""The checksum counts its own field as eight spaces; the eighth stands in ``_REST``."""


def sample_parts(sample: Sample) -> list[tuple[str, bytes]]:
    """List a sample's tar members, name without the key and content, in tar order."""
    meta = json.dumps(sample.meta, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return [
        ("audio.flac", sample.audio_flac),
        (f"image.{sample.image_ext}", sample.image),
        ("logmel.npy", sample.logmel_npy),
        ("mask.png", sample.mask_png),
        ("meta.json", meta.encode()),
    ]


def tar_header(name: str, size: int) -> bytes:
    """Build the 512-byte USTAR header of a regular file.

    Args:
        name: ASCII, at most 100 characters.
        size: content length in bytes, below 8 GiB.

    Raises:
        ValueError: the name or size does not fit the format.
    """
    encoded = name.encode("ascii")
    if len(encoded) > 100 or size >= 8**11:
        raise ValueError(f"{name!r} of {size} bytes does not fit a USTAR header")
    length = b"%011o" % size
    checksum = b"%06o" % (sum(encoded) + sum(length) + _CONSTANT_SUM)
    return b"".join((encoded.ljust(100, b"\0"), _OWNER, length, _TIME, checksum, _REST))


def write_shard(path: Path, split: str, samples: Iterable[Sample]) -> ShardInfo:
    """Write samples to one tar, atomically.

    Args:
        path: the tar's final name.
        split: recorded in the result.
        samples: keys must be unique.

    Raises:
        DataError: a key holds something else than letters, digits, ``_`` and ``-``.
        SpaceError: the disk is full or the folder cannot be written.
    """
    keys: list[str] = []
    offsets: list[int] = []
    digest = hashlib.sha256()
    position = 0
    with atomic_file(path) as temporary, temporary.open("wb", buffering=0) as file:
        for sample in samples:
            if not KEY.fullmatch(sample.key):
                raise DataError(str(path), _EXPECTED_KEY, repr(sample.key)[:120], _FIX_KEY)
            keys.append(sample.key)
            offsets.append(position)
            position += _write(file.fileno(), digest, _blocks(sample))
        position += _write(file.fileno(), digest, [_END])
        os.fsync(file.fileno())
    sha256 = digest.hexdigest()
    return ShardInfo(path.name, split, len(keys), position, sha256, tuple(keys), tuple(offsets))


def _blocks(sample: Sample) -> list[bytes]:
    blocks = []
    for name, content in sample_parts(sample):
        blocks += [tar_header(f"{sample.key}.{name}", len(content)), content]
        if padding := -len(content) % BLOCK:
            blocks.append(bytes(padding))
    return blocks


def _write(descriptor: int, digest: Any, blocks: list[bytes]) -> int:
    """Write blocks with as few system calls as the system allows; return their length."""
    total = 0
    for block in blocks:
        digest.update(block)
        total += len(block)
    written = os.writev(descriptor, blocks)
    if written < total:  # A signal or a full disk interrupted the call: write the rest.
        rest = memoryview(b"".join(blocks))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    return total


def write_index(folder: Path, dataset: str, shards: Iterable[ShardInfo]) -> None:
    """Write ``index.json`` beside the tars, shards sorted by file name."""
    ordered = sorted(shards, key=lambda s: s.file)
    content = {
        "schema": INDEX_SCHEMA,
        "dataset": dataset,
        "shards": [asdict(s) for s in ordered],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    with atomic_file(folder / INDEX_FILE) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_index(folder: Path) -> list[ShardInfo]:
    """Read a dataset's ``index.json``.

    Raises:
        DataError: it is absent, damaged, or of another schema.
    """
    path = folder / INDEX_FILE
    try:
        content = read_regular(path, "the index of a dataset", MAX_INDEX_BYTES, FIX_INDEX)
        return parse_index(content, str(path))
    except FileNotFoundError:
        raise DataError(str(path), "the index of a dataset", "no such file", FIX_INDEX) from None


def check_replaceable(folder: Path) -> None:
    """Check that a folder holds a dataset and nothing else, so that it can be replaced.

    Raises:
        DataError: it holds a file or folder that avsynth did not write there.
    """
    if not folder.exists():
        return
    if folder.is_symlink() or not folder.is_dir():
        fix = "Remove it, or give the dataset another name."
        raise DataError(str(folder), "a folder of shards", "a link or a file", fix)
    try:
        listed = {shard.file for shard in read_index(folder)}
    except DataError:
        listed = set()
    for path in sorted(folder.iterdir()):
        name = re.sub(r"\.[\w.-]*tmp$", "", path.name)  # left behind by a killed writer
        ours = name in listed or name == INDEX_FILE or WRITTEN_NAME.fullmatch(name)
        if path.is_dir() or not ours:
            fix = "Move it elsewhere: the folder is replaced as a whole."
            raise DataError(str(folder), "shards and their index alone", repr(path.name), fix)


class ShardReader:
    """Random access to the samples of one split by number or by key.

    Tars are mapped into memory; only the pages of the requested parts are read.

    Args:
        folder: holds the tars and index.json.
        split: train, val or test; None for all, in the index's order.
    """

    def __init__(self, folder: Path, split: str | None = None) -> None:
        self.folder = folder
        self.shards = [s for s in self._index() if split in (None, s.split)]
        self.keys = tuple(key for shard in self.shards for key in shard.keys)
        self._place = {
            key: (number, i)
            for number, shard in enumerate(self.shards)
            for i, key in enumerate(shard.keys)
        }
        self._maps: dict[int, mmap.mmap] = {}

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Yield every key with its parts, in order."""
        for key in self.keys:
            yield key, self.parts(key)

    def __getstate__(self) -> dict[str, Any]:
        """Omit the memory maps: each loader worker opens its own."""
        return {**self.__dict__, "_maps": {}}

    def parts(self, key: str) -> dict[str, bytes]:
        """Read a sample: part name (``image.jpg``, ``mask.png``, ...) to its bytes.

        Raises:
            DataError: no such key, or the tar is damaged there.
        """
        with self.naming(key):
            parts = {name: tar[start:end] for name, tar, start, end in self._members(key)}
            parse_meta(parts["meta.json"])
        return parts

    def names(self, key: str) -> tuple[str, ...]:
        """List a sample's parts without reading them."""
        return tuple(name for name, *_ in self._members(key))

    def meta(self, key: str) -> dict[str, Any]:
        """Read a sample's ``meta.json`` and nothing else of it.

        Raises:
            DataError: no such key, or the tar is damaged there.
        """
        with self.naming(key):
            spans = {name: (tar, start, end) for name, tar, start, end in self._members(key)}
            tar, start, end = spans["meta.json"]
            return parse_meta(tar[start:end])

    @contextmanager
    def naming(self, key: str) -> Iterator[None]:
        """Name shard and key in whatever the content of a sample raises inside the block.

        Raises:
            DataError: the sample is damaged, or its shard was made to harm.
        """
        number = self._place[key][0] if key in self._place else None
        shard = self.folder if number is None else self.folder / self.shards[number].file
        where = f"{shard}: {key}"
        try:
            yield
        except KeyError as error:
            found = f"no {str(error.args[0])[:80] if error.args else 'such field'}"
            raise DataError(where, _WHOLE, found, FIX_INDEX) from None
        except DataError as error:
            inner = "" if error.where == key else f".{error.where}"
            place = error.where if where in error.where else where + inner
            raise DataError(place, error.expected, error.found, error.fix) from None
        except _CONTENT_ERRORS as error:
            found = f"{type(error).__name__}: {str(error)[:200]}"
            raise DataError(where, _WHOLE, found, FIX_INDEX) from None

    def close(self) -> None:
        """Unmap the tars; the next read maps them again."""
        for tar in self._maps.values():
            tar.close()
        self._maps.clear()

    def _members(self, key: str) -> Iterator[tuple[str, mmap.mmap, int, int]]:
        """Yield where the parts of a sample lie: name, tar, first byte, end."""
        if key not in self._place:
            raise DataError(str(self.folder), "a key of this split", repr(key), "Check the key.")
        number, i = self._place[key]
        shard = self.shards[number]
        start = shard.offsets[i]
        end = shard.offsets[i + 1] if i + 1 < shard.count else shard.bytes - len(_END)
        tar = self._map(number)
        names: list[str] = []
        while start < end:
            owner, _, name = tar[start : start + 100].rstrip(b"\0").decode("latin-1").partition(".")
            digits = tar[start + 124 : start + 135]
            size = int(digits, 8) if _SIZE.fullmatch(digits) else end
            start += BLOCK
            most = MAX_META_BYTES if name == "meta.json" else end
            whole = start + size <= end and size <= most
            if owner != key or name not in _PARTS or name in names or not whole:
                where, found = f"{self._path(shard)}: {key}", repr(f"{owner}.{name}")[:120]
                raise DataError(where, "a member of the sample that lies whole", found, FIX_INDEX)
            names.append(name)
            yield name, tar, start, start + size
            start += size + -size % BLOCK
        if {name.partition(".")[0] for name in names} != _STEMS:
            where, found = f"{self._path(shard)}: {key}", ", ".join(names) or "nothing"
            raise DataError(where, "audio, image, logmel, mask and meta", found, FIX_INDEX)

    def _index(self) -> list[ShardInfo]:
        return read_index(self.folder)

    def _path(self, shard: ShardInfo) -> Path:
        return self.folder / shard.file

    def _map(self, number: int) -> mmap.mmap:
        if number not in self._maps:
            shard = self.shards[number]
            path = self._path(shard)
            fix = "Write the shards again."
            try:
                size = path.stat().st_size
                if not path.is_file() or size != shard.bytes:
                    found = f"{size} bytes" if path.is_file() else "a folder, pipe or device"
                    raise DataError(str(path), f"a file of {shard.bytes} bytes", found, fix)
                with path.open("rb") as file:
                    self._maps[number] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except FileNotFoundError:
                raise DataError(str(path), "a shard of the index", "no such file", fix) from None
            except (OSError, ValueError) as error:
                raise DataError(str(path), "a readable file", str(error), fix) from None
        return self._maps[number]
