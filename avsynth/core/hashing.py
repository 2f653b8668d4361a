"""Digests of files, tensors and code, and seeded choices: `draw`, `generator`, `order_key`.

A choice is a hash of the seed and of the ids that it is about. So it is the same on every machine
and for any number of workers, and adding an item changes no choice about another item. The three
formulas differ and stay as they are: published data depend on their values.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

_PACKAGE = Path(__file__).resolve().parents[1]
_ROOM_WITHOUT_OUTPUTS = "avsynth.runtime."
"""Its modules change how a run is executed, never its output."""


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


@cache
def source_digest(*modules: str) -> str:
    """Hash the code that modules run: their files and those of everything that they import.

    Args:
        modules: dotted names, e.g. ``avsynth.building.samples``.

    Returns:
        32 hex digits, the same wherever the package is installed.
    """
    files: dict[str, Path] = {}
    for module in modules:
        files |= source_files(module)
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{file_digest(files[name])}\0".encode())
    return digest.hexdigest()[:32]


def source_files(module: str) -> dict[str, Path]:
    """Return the modules of avsynth that a module can run, itself included, with their files.

    Imports inside functions count; those for type checkers and the room `avsynth.runtime` do not.
    The files are parsed, not run.
    """
    found: dict[str, Path] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        path = None if name in found else _file_of(name)
        if path is not None:
            found[name] = path
            pending += [name.rpartition(".")[0], *_imported(path)]
    return found


def _file_of(module: str) -> Path | None:
    """Return the file of a module; None for other packages and for ``runtime``."""
    top, *parts = module.split(".")
    if top != "avsynth" or f"{module}.".startswith(_ROOM_WITHOUT_OUTPUTS):
        return None
    place = _PACKAGE.joinpath(*parts)
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path.resolve()
    return None


def _imported(path: Path) -> Iterator[str]:
    """Yield what a file imports, each name of a ``from`` as a possible module."""
    pending: list[ast.AST] = [ast.parse(path.read_bytes())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def tensor_digest(tensors: "Iterable[tuple[str, Tensor]]") -> str:
    """Compute the SHA-256 of named tensors, in the order given: 64 hex digits.

    Args:
        tensors: names and tensors of any dtype and shape, on any device.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
