"""Does a file hold what its name says: `content_fault`, for files without a published digest.

A host may answer an error page with status 200, and a body may be cut without a word. So a file
counts as fetched only when its content is of the kind that its name says, and whole as far as its
format tells.
"""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from avsynth.formats.images import ImageError, open_image

HEADS = {
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".png": b"\x89PNG\r\n\x1a\n",
    ".zip": b"PK\x03\x04",
    ".pth": b"PK\x03\x04",
    ".flac": b"fLaC",
    ".wav": b"RIFF",
}
_OLD_PICKLE = b"\x80\x02"
"""Checkpoints written before torch 1.6 are bare pickles."""
SHOW_THEIR_END = frozenset({".jpg", ".jpeg", ".png", ".zip"})
"""Kinds of which a cut file is always found."""
_EDGE_BYTES = 4096
_UNKNOWN_SIZES = (0, 0x7FFF_F000, 0x8000_0000, 0xFFFF_FFFF)
"""What programs write as a WAV's length when they do not know it yet."""


def head_fault(target: str, head: bytes) -> str:
    """Return why a file does not begin as files of its name do; empty if it does."""
    suffix = PurePosixPath(target).suffix.lower()
    wanted = HEADS.get(suffix, b"")
    if suffix == ".pth" and head.startswith(_OLD_PICKLE):
        return ""
    return "" if head.startswith(wanted) else f"does not begin like a {suffix} file"


def content_fault(path: Path, target: str) -> str:
    """Return why a file is not what its name says; empty if nothing speaks against it.

    Args:
        path: of the file.
        target: its final name, which says the kind.
    """
    if path.stat().st_size == 0:
        return "is empty"
    check = _CHECKS.get(PurePosixPath(target).suffix.lower())
    return check(path) if check else ""


def _image_fault(path: Path) -> str:
    try:
        with open_image(path) as image:
            # An eighth of the size reads every coefficient and transforms few.
            image.draft(None, (image.width // 8, image.height // 8))
            image.load()
    except ImageError as error:
        return f"not a whole image: {error}"
    return ""


def _edges(path: Path) -> tuple[bytes, bytes]:
    """Read the first and the last bytes, without blanks and byte-order mark."""
    with path.open("rb") as file:
        head = file.read(_EDGE_BYTES)
        file.seek(max(0, path.stat().st_size - _EDGE_BYTES))
        return head.removeprefix(b"\xef\xbb\xbf").lstrip(), file.read().rstrip()


def _json_fault(path: Path) -> str:
    head, tail = _edges(path)
    if not head.startswith((b"{", b"[")):
        return "does not begin like a .json file"
    return "" if tail.endswith((b"}", b"]")) else "does not end like a .json file"


def _csv_fault(path: Path) -> str:
    head, _ = _edges(path)
    if not head or head.startswith((b"<", b"{", b"%PDF", b"PK\x03\x04")) or b"\0" in head:
        return "does not begin like a .csv file"
    return ""


def _zip_fault(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(2) == _OLD_PICKLE:
            return ""
    try:
        with zipfile.ZipFile(path):
            return ""
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        return f"not a whole archive: {error}"


def _wav_fault(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if len(head) < 12 or head[8:] != b"WAVE":
        return "does not begin like a .wav file"
    announced, there = int.from_bytes(head[4:8], "little"), path.stat().st_size - 8
    if announced in _UNKNOWN_SIZES or there >= announced:
        return ""
    return f"{there} bytes of sound, not {announced}"


_CHECKS: dict[str, Callable[[Path], str]] = {
    ".jpg": _image_fault,
    ".jpeg": _image_fault,
    ".png": _image_fault,
    ".json": _json_fault,
    ".csv": _csv_fault,
    ".zip": _zip_fault,
    ".pth": _zip_fault,
    ".wav": _wav_fault,
}
