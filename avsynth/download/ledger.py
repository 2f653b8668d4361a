"""The ledger: one row per item, kept through kill -9, with a lock that refuses a second run.

Every outcome is appended to a journal in one write; when the run ends, the journal is folded into
a parquet file by rename. A run that is killed leaves its journal, and the next one folds it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import pandas as pd

from avsynth.core.funnel import funnel_of
from avsynth.core.names import inside
from avsynth.core.tables import read_table, write_table
from avsynth.download.items import Item, Outcome
from avsynth.runtime.errors import DataError

FOLDER = ".fetch"


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """How one item went, the last time it was tried."""

    item: str
    category: str
    target: str
    status: str
    reason: str
    bytes: int
    sha256: str
    attempts: int
    when_s: float
    """Seconds since 1970. For people only: nothing downstream of the ledger reads it."""


class Ledger:
    """All rows of one kind below one root folder; one ledger of a folder is open at a time.

    Args:
        root: the folder; the ledger lies in ``<root>/.fetch/``.
        kind: of the items, e.g. ``pictures``.
    """

    def __init__(self, root: Path, kind: str) -> None:
        self.root = root
        self.folder = root / FOLDER
        self.table = self.folder / f"{kind}.parquet"
        self._journal = self.folder / f"{kind}.journal"
        self._lock_path = self.folder / "lock"
        self._lock = self._log = -1
        self.rows: dict[str, LedgerRow] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        # The kernel drops the lock with its holder, so that kill -9 leaves no stale one behind.
        self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace") or "unknown"
            os.close(self._lock)
            raise DataError(
                str(self.root),
                "one download at a time in this folder",
                f"process {holder} is at work in it",
                "Wait for it or stop it; what it has fetched is kept.",
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        self.rows = read_ledger(self.root, self.table.stem)
        self._log = os.open(self._journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        # A journal that ends in half a line must not swallow the next row.
        os.write(self._log, b"\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._log)
        try:
            write_table(self.table, LedgerRow, self.rows.values(), ["item"])
            self._journal.unlink()
        finally:
            os.close(self._lock)

    def add(self, item: Item, outcome: Outcome) -> LedgerRow:
        """Write down how an item went; when this returns, kill -9 cannot undo it."""
        before = self.rows.get(item.item_id)
        row = LedgerRow(
            item.item_id,
            item.category,
            outcome.target or item.target,
            outcome.status,
            outcome.reason[:200],
            outcome.bytes,
            outcome.sha256,
            outcome.attempts + (before.attempts if before else 0),
            time.time(),
        )
        self.rows[item.item_id] = row
        os.write(self._log, msgspec.json.encode(row) + b"\n")
        return row

    def holds(self, item: Item) -> bool:
        """Whether the item was fetched and its file still lies there with the same size."""
        row = self.rows.get(item.item_id)
        if row is None or row.status != "ok":
            return False
        with contextlib.suppress(OSError):
            return inside(self.root, row.target).stat().st_size == row.bytes
        return False


def read_ledger(root: Path, kind: str) -> dict[str, LedgerRow]:
    """Read a ledger's rows without locking it: the table, then what its journal adds."""
    rows: dict[str, LedgerRow] = {}
    table = root / FOLDER / f"{kind}.parquet"
    if table.exists():
        frame = read_table(table, LedgerRow)
        for values in frame.itertuples(index=False, name=None):
            row = LedgerRow(*values)
            rows[row.item] = row
    for row in _journal_rows(root / FOLDER / f"{kind}.journal"):
        rows[row.item] = row
    return rows


def _journal_rows(path: Path) -> Iterator[LedgerRow]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        # Only the line that was being written when the process was killed can be broken.
        with contextlib.suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(line, type=LedgerRow)


def ledger_funnel(source: str, items: list[Item], rows: dict[str, LedgerRow]) -> pd.DataFrame:
    """Count the wanted items by category and outcome.

    Returns:
        The funnel's columns; ``status`` is ``ok`` or ``dropped``, ``reason`` the ledger's status,
        ``untried`` for an item that was not reached.
    """
    outcomes = [rows[i.item_id].status if i.item_id in rows else "untried" for i in items]
    frame = pd.DataFrame(
        {
            "category": [i.category for i in items],
            "status": ["ok" if o == "ok" else "dropped" for o in outcomes],
            "reason": ["" if o == "ok" else o for o in outcomes],
        }
    )
    return funnel_of("fetch", source, frame)
