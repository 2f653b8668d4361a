"""`Item`, a file to download; `Outcome`, its result; the checks of its content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from avsynth.download.content import check_content, check_magic_bytes

Status = Literal["ok", "gone", "private", "geo", "bot", "transient", "corrupt"]
"""ok: complete on disk. gone: removed permanently. private: needs a login. geo: blocked in this
country. bot: a robot check. transient: may work later. corrupt: received, but wrong."""
STATUSES: tuple[str, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Item:
    """One file to download.

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
    """Start of the clip in its video; None for plain files."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one item."""

    status: Status
    reason: str = ""
    bytes: int = 0
    sha256: str = ""
    attempts: int = 1
    target: str = ""
    """Path of the file, if it is not the item's target (a local clip with another suffix)."""


class Digester:
    """Compute the SHA-256 of a stream, and its MD5 if the publisher gives one, in one pass."""

    def __init__(self, published: str) -> None:
        self._expected = published
        self.sha256 = hashlib.sha256()
        kind = published.partition(":")[0]
        self._md5 = hashlib.md5(usedforsecurity=False) if kind == "md5" else None

    def update(self, data: bytes | memoryview) -> None:
        """Add the next bytes."""
        self.sha256.update(data)
        if self._md5 is not None:
            self._md5.update(data)

    def mismatch(self) -> str:
        """Return how the digest differs from the published one; empty if equal or unknown."""
        kind, _, expected = self._expected.partition(":")
        computed = (self._md5 or self.sha256).hexdigest()
        if not expected or computed.startswith(expected):
            return ""
        return f"{kind} is {computed[: len(expected)]}, not {expected}"


def check_file(path: Path, item: Item) -> tuple[str, int, str]:
    """Check a complete local file: its published size and digest, else its content.

    Returns:
        The fault (empty if the file is valid), the size in bytes, and the SHA-256.
    """
    digests = Digester(item.digest)
    size, head = 0, b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            head = head or block[:16]
            size += len(block)
            digests.update(block)
    fault = digests.mismatch() or check_magic_bytes(item.target, head)
    if not fault and not item.digest:
        fault = check_content(path, item.target)
    if item.bytes is not None and size != item.bytes:
        fault = f"{size} bytes, not {item.bytes}"
    return fault, size, digests.sha256.hexdigest()
