"""Content checks by file suffix: `check_magic_bytes` and `check_content`.

A host may send an error page with status 200, or a truncated body without an error. Therefore a
file without a published digest counts as downloaded only if its content has the type of its
suffix and is complete, as far as its format shows.
"""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from avsynth.formats.images import ImageError, open_image

MAGIC_BYTES = {
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".png": b"\x89PNG\r\n\x1a\n",
    ".zip": b"PK\x03\x04",
    ".pth": b"PK\x03\x04",
    ".flac": b"fLaC",
    ".wav": b"RIFF",
}
"""First bytes of each file type. They reject an error page that was sent with status 200."""
SELF_TERMINATED_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".zip"})
"""File types in which truncation is always detected, because the format marks its end."""
_OLD_PICKLE = b"\x80\x02"
"""Checkpoints written before torch 1.6 are bare pickles."""
_EDGE_BYTES = 4096
_UNKNOWN_WAV_SIZES = (0, 0x7FFF_F000, 0x8000_0000, 0xFFFF_FFFF)
"""Sizes that programs write into a WAV header before they know the real one."""


def check_magic_bytes(target: str, head: bytes) -> str:
    """Return an error text if the first bytes do not match the file's suffix, else empty."""
    suffix = PurePosixPath(target).suffix.lower()
    expected = MAGIC_BYTES.get(suffix, b"")
    if suffix == ".pth" and head.startswith(_OLD_PICKLE):
        return ""
    return "" if head.startswith(expected) else f"does not begin like a {suffix} file"


def check_content(path: Path, target: str) -> str:
    """Return an error text if a complete file does not match its suffix, else empty.

    Args:
        path: the file, possibly under a temporary name.
        target: its final name; the suffix selects the check.
    """
    if path.stat().st_size == 0:
        return "is empty"
    check = _CHECKS.get(PurePosixPath(target).suffix.lower())
    return check(path) if check else ""


def _check_image(path: Path) -> str:
    try:
        with open_image(path) as image:
            # Decoding at an eighth of the size reads the whole file, but is much faster.
            image.draft(None, (image.width // 8, image.height // 8))
            image.load()
    except ImageError as error:
        return f"not a complete image: {error}"
    return ""


def _read_edges(path: Path) -> tuple[bytes, bytes]:
    """Read the first and the last bytes, without byte-order mark and surrounding whitespace."""
    with path.open("rb") as file:
        head = file.read(_EDGE_BYTES)
        file.seek(max(0, path.stat().st_size - _EDGE_BYTES))
        return head.removeprefix(b"\xef\xbb\xbf").lstrip(), file.read().rstrip()


def _check_json(path: Path) -> str:
    head, tail = _read_edges(path)
    if not head.startswith((b"{", b"[")):
        return "does not begin like a .json file"
    return "" if tail.endswith((b"}", b"]")) else "does not end like a .json file"


def _check_csv(path: Path) -> str:
    head, _ = _read_edges(path)
    if not head or head.startswith((b"<", b"{", b"%PDF", b"PK\x03\x04")) or b"\0" in head:
        return "does not begin like a .csv file"
    return ""


def _check_zip(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(2) == _OLD_PICKLE:
            return ""
    try:
        with zipfile.ZipFile(path):
            return ""
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        return f"not a complete archive: {error}"


def _check_wav(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if len(head) < 12 or head[8:] != b"WAVE":
        return "does not begin like a .wav file"
    announced, received = int.from_bytes(head[4:8], "little"), path.stat().st_size - 8
    if announced in _UNKNOWN_WAV_SIZES or received >= announced:
        return ""
    return f"{received} bytes of audio, not {announced}"


_CHECKS: dict[str, Callable[[Path], str]] = {
    ".jpg": _check_image,
    ".jpeg": _check_image,
    ".png": _check_image,
    ".json": _check_json,
    ".csv": _check_csv,
    ".zip": _check_zip,
    ".pth": _check_zip,
    ".wav": _check_wav,
}
