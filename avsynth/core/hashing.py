"""Digests of files, and draws from a seed and ids."""

import hashlib
from pathlib import Path


def draw(seed: int, *parts: str) -> int:
    """Hash a seed and ids to a number in 0 .. 2**64 - 1, the same on every machine."""
    text = "\x1f".join((str(seed), *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def file_digest(path: Path) -> str:
    """Hash a file's bytes: the first 32 hex digits of its SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
