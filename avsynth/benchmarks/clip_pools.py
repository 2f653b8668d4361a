"""Reader and writer of AVS-Synthetic's ``category_for_vggsound_audios.pkl``: category id -> clips.

A pickle is a program, and an untrusted one may run any code. So the opcodes are checked before
the file is unpickled. Only those that build dicts, lists, strings and integers are accepted; none
of them can name a function or a class.
"""

import pickle
import pickletools
from pathlib import Path
from typing import Any

from avsynth.formats.safe_pickle import restricted_load
from avsynth.runtime.errors import DataError

_MAX_BYTES = 64 << 20
_STRUCTURE = ("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK")
_CONTAINERS = (
    "EMPTY_DICT",
    "DICT",
    "SETITEM",
    "SETITEMS",
    "EMPTY_LIST",
    "LIST",
    "APPEND",
    "APPENDS",
)
_INTEGERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1")
_STRINGS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE")
_MEMO_WRITES = ("PUT", "BINPUT", "LONG_BINPUT")
_MEMO = (*_MEMO_WRITES, "MEMOIZE", "GET", "BINGET", "LONG_BINGET")
_SAFE_OPCODES = frozenset((*_STRUCTURE, *_CONTAINERS, *_INTEGERS, *_STRINGS, *_MEMO))


def write_clip_pools(path: Path, pools: dict[int, list[str]]) -> None:
    """Write the pools sorted by id: equal pools give equal bytes."""
    ordered = {category_id: list(pools[category_id]) for category_id in sorted(pools)}
    path.write_bytes(pickle.dumps(ordered, protocol=4))


def read_clip_pools(path: Path) -> dict[int, list[str]]:
    """Read the pools: category id -> audio names, in file order.

    Raises:
        DataError: the file is absent, damaged, not such a dict, or contains a code-running opcode.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes")
        pools = _load(path.read_bytes())
        return {_int(key): _names(names) for key, names in pools.items()}
    except OSError as error:
        found = error.strerror or "nothing"
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as error:
        found = str(error).split("\n")[0][:200]
    except (pickle.UnpicklingError, EOFError, MemoryError) as error:
        found = str(error).split("\n")[0][:200] or "a damaged pickle"
    raise DataError(
        str(path),
        "a pickled dict of category id to a list of audio names",
        found,
        "No code of the file was run. Download it again from the dataset's publisher.",
    )


def _load(content: bytes) -> Any:
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in _SAFE_OPCODES:
            raise ValueError(f"the opcode {opcode.name}")
        if opcode.name in _MEMO_WRITES and int(argument or 0) > len(content):
            raise ValueError(f"a memo index of {argument}")  # it would allocate that much memory
    return restricted_load(content)  # A second barrier: it looks up no name.


def _int(key: Any) -> int:
    if isinstance(key, str) and key.isdecimal():
        return int(key)
    if not isinstance(key, int):
        raise TypeError(f"a key of type {type(key).__name__}")
    return key


def _names(names: Any) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("a category whose clips are not a list of names")
    return names
