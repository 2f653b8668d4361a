"""Digests of files and tensors, and every seeded choice: `draw`, `generator`, `order_key`.

A choice is a hash of the seed and of the ids that it is about. So it is the same on every machine
and for any number of workers, and adding an item changes no choice about another item. The three
formulas differ and stay as they are: published data depend on their values.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def draw(seed: int, *parts: str) -> int:
    """Hash a seed and ids to a number in 0 .. 2**64 - 1."""
    text = "\x1f".join((str(seed), *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def generator(seed: int, *parts: object) -> np.random.Generator:
    """Return a generator that depends on the seed and the ids alone."""
    text = "\x1f".join(str(part) for part in (seed, *parts))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def order_key(*parts: object) -> bytes:
    """Hash ids to 32 bytes: sorting by them gives a random order that never changes."""
    return hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()


def file_digest(path: Path) -> str:
    """Compute the SHA-256 of a file: 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tensor_digest(tensors: "Iterable[tuple[str, Tensor]]") -> str:
    """Compute the SHA-256 of named tensors, in the order given: 64 hex digits.

    Args:
        tensors: names and tensors of any dtype and shape, on any device.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
