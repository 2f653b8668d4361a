"""Names from outside: `safe_name` and `inside`, the only way from a foreign name to a path.

`printable` is for foreign text in the terminal.

A name that a data set, a list, an archive or an option brings may be hostile. Every name passes
one of these two functions before a path is made of it.
"""

import re
from pathlib import Path

from avsynth.runtime.errors import AvsynthError, DataError

MAX_NAME_BYTES = 200
"""File systems allow 255; the rest is left for endings such as ``.overlay.png``."""
MAX_PATH_BYTES = 1024
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, to which a data set may be copied."""
_FIX = "Get the list that holds the name again from its publisher, or correct the name."


def name_fault(name: str) -> str:
    """Return why a text cannot be the name of one file or folder; empty if it can."""
    faults = {
        "it is empty": not name,
        "it holds a path separator": "/" in name or "\\" in name,
        "it begins with a dot": name.startswith("."),
        "it holds an unprintable character": not name.isprintable(),
        f"it is longer than {MAX_NAME_BYTES} bytes": len(name.encode(errors="replace"))
        > MAX_NAME_BYTES,
        "it is the name of a device": _RESERVED.fullmatch(name) is not None,
    }
    return next((words for words, found in faults.items() if found), "")


def safe_name(name: str, where: str, fix: str = _FIX, error: type[AvsynthError] = DataError) -> str:
    """Return ``name`` if it can be the name of one file or folder.

    Args:
        name: from outside.
        where: the list or option that holds it.
        fix: what the user can do about a bad name.
        error: what to raise.

    Raises:
        DataError: (or ``error``) it is empty, hidden, reserved, too long, or holds a separator or
            an unprintable character.
    """
    if fault := name_fault(name):
        raise error(where, "a plain file name without separators", f"{_shown(name)}: {fault}", fix)
    return name


def inside(folder: Path, name: str, fix: str = _FIX) -> Path:
    """Return the path of ``name`` below ``folder``.

    Links that lie in the folder are followed: a user may keep a part of the data on another disk,
    and no archive's link is ever unpacked.

    Args:
        folder: which the path cannot leave.
        name: from outside; relative, with ``/`` between its parts.
        fix: what the user can do about a bad name.

    Raises:
        DataError: it is absolute, too long, or one of its parts is no plain file name.
    """
    parts = name.split("/")
    fault = next(filter(None, map(name_fault, parts)), "")
    if not fault and len(name.encode(errors="replace")) > MAX_PATH_BYTES:
        fault = f"it is longer than {MAX_PATH_BYTES} bytes"
    if fault:
        expected = "a relative path that stays inside the folder"
        raise DataError(str(folder), expected, f"{_shown(name)}: {fault}", fix)
    return folder.joinpath(*parts)


def printable(text: str) -> str:
    """Return a text that a terminal shows and does not obey: control characters are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 80 else name[:77] + "...")
