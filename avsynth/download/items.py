"""What is wanted and how it went: `Item` and `Outcome`, and the checks of a file's content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from avsynth.download.content import content_fault, head_fault

Status = Literal["ok", "gone", "private", "geo", "bot", "transient", "corrupt"]
"""ok: it lies on disk, whole. gone: removed for good. private: needs a login. geo: not shown from
here. bot: the host took us for a robot. transient: may work later. corrupt: came, but is wrong."""
STATUSES: tuple[str, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Item:
    """One file that is wanted.

    ``digest`` is ``md5:<hex>`` or ``sha256:<hex>`` (a leading part of the hex is enough), or empty
    where the publisher gives none. ``member`` names the file inside the archive at ``url``.
    """

    item_id: str
    url: str
    target: str
    """Relative to the source's root, POSIX separators."""
    category: str = ""
    bytes: int | None = None
    digest: str = ""
    member: str = ""
    start_s: float | None = None
    """Where in the video the clip begins; None for plain files."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one item went."""

    status: Status
    reason: str = ""
    bytes: int = 0
    sha256: str = ""
    attempts: int = 1
    target: str = ""
    """Where it lies, when that is not the item's own target (a clip found with another suffix)."""


class Digests:
    """Hash a stream once: always SHA-256, and the published kind beside it where it differs."""

    def __init__(self, published: str) -> None:
        self._wanted = published
        self.sha256 = hashlib.sha256()
        kind = published.partition(":")[0]
        self._other = hashlib.md5(usedforsecurity=False) if kind == "md5" else None

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self.sha256.update(data)
        if self._other is not None:
            self._other.update(data)

    def fault(self) -> str:
        """Say how the published digest differs, or nothing when it agrees or is not known."""
        kind, _, wanted = self._wanted.partition(":")
        found = (self._other or self.sha256).hexdigest()
        if not wanted or found.startswith(wanted):
            return ""
        return f"{kind} is {found[: len(wanted)]}, not {wanted}"


def file_fault(path: Path, item: Item) -> tuple[str, int, str]:
    """Check a whole file on disk against what its publisher says.

    Returns:
        What is wrong (empty when nothing is), its size in bytes, its SHA-256.
    """
    digests = Digests(item.digest)
    size, head = 0, b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            head = head or block[:16]
            size += len(block)
            digests.update(block)
    fault = digests.fault() or head_fault(item.target, head)
    if not fault and not item.digest:
        fault = content_fault(path, item.target)
    if item.bytes is not None and size != item.bytes:
        fault = f"{size} bytes, not {item.bytes}"
    return fault, size, digests.sha256.hexdigest()
