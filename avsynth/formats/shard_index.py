"""The index of a dataset and the metadata of a sample, read as if their author were hostile."""

import itertools
import json
import re
from dataclasses import dataclass
from typing import Any

from avsynth.core.records import SPLITS
from avsynth.runtime.errors import DataError

INDEX_SCHEMA = 1
KEY = re.compile(r"[\w-]{1,85}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"\w[\w.-]{0,99}\.tar", re.ASCII)
FIX_INDEX = "Write the shards again (avsynth shard, or avsynth convert for a benchmark)."


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """One tar of a dataset."""

    file: str
    split: str
    count: int
    bytes: int
    sha256: str
    keys: tuple[str, ...]
    offsets: tuple[int, ...]
    """Where each sample's first header starts; the next sample's start ends it."""


def parse_index(content: bytes, where: str) -> list[ShardInfo]:
    """Parse what `write_index` wrote.

    Args:
        content: of the file.
        where: names it in errors.

    Raises:
        DataError: it is damaged, of another schema, or holds a name that no writer makes.
    """
    try:
        index = json.loads(content)
        if index["schema"] != INDEX_SCHEMA:
            found = str(index["schema"])
            raise DataError(where, f"schema {INDEX_SCHEMA}", found, FIX_INDEX)
        shards = [
            ShardInfo(**{**s, "keys": tuple(s["keys"]), "offsets": tuple(s["offsets"])})
            for s in index["shards"]
        ]
        _check_names(shards)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        found = f"{type(error).__name__}: {str(error)[:200]}"
        raise DataError(where, "an index of shards", found, FIX_INDEX) from None
    return shards


def _check_names(shards: list[ShardInfo]) -> None:
    """Check that every name can become part of a path, and that offsets lie inside the tars.

    Raises:
        ValueError: one does not; TypeError: a value is of another type.
    """
    files: set[str] = set()
    keys = [key for shard in shards for key in shard.keys]
    if len(set(keys)) < len(keys):
        raise ValueError(f"{len(keys) - len(set(keys))} keys that are there twice")
    for shard in shards:
        if not _FILE_NAME.fullmatch(shard.file) or not _SHA256.fullmatch(shard.sha256):
            raise ValueError(f"{shard.file!r} with sha256 {shard.sha256!r}")
        if shard.file in files or shard.split not in SPLITS:
            raise ValueError(f"{shard.file!r} of split {shard.split!r}")
        files.add(shard.file)
        for key in shard.keys:
            if not KEY.fullmatch(key):
                raise ValueError(f"key {key!r}")
        ends = (*shard.offsets, shard.bytes)
        counted = shard.count == len(shard.keys) == len(shard.offsets)
        if not counted or any(type(end) is not int for end in ends) or ends[0] != 0 < shard.bytes:
            raise ValueError(f"{shard.file!r} of {shard.count} samples, offsets and bytes")
        if any(start >= end for start, end in itertools.pairwise(ends)):
            raise ValueError(f"{shard.file!r}: offsets that do not ascend")


def parse_meta(content: bytes) -> dict[str, Any]:
    """Parse a sample's ``meta.json``.

    Raises:
        ValueError: it is not JSON of a sample.
    """
    try:
        meta = json.loads(content)
    except RecursionError:
        raise ValueError("meta.json: nested too deeply") from None
    if not isinstance(meta, dict) or not isinstance(meta.get("category", ""), str):
        raise ValueError("meta.json: not the metadata of a sample")
    return meta
