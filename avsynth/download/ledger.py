"""`Ledger`: one row per item that survives kill -9, with a lock that refuses a second run.

Every outcome is appended to a journal in one write. At the end of the run the journal is merged
into a parquet file, which replaces the old one by rename. If a run is killed, the next run merges
its journal.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import pandas as pd

from avsynth.core.files import file_lock
from avsynth.core.funnel import funnel_of
from avsynth.core.names import inside
from avsynth.core.tables import read_table, write_table
from avsynth.download.items import Item, Outcome
from avsynth.runtime.errors import DataError

FOLDER = ".fetch"


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """The last outcome of one item."""

    item: str
    category: str
    target: str
    status: str
    reason: str
    bytes: int
    sha256: str
    attempts: int
    when_s: float
    """Seconds since 1970. Information only: no later stage reads it."""


class Ledger:
    """All rows of one kind below one root folder; only one ledger of a folder can be open.

    Args:
        root: the folder; the ledger is stored in ``<root>/.fetch/``.
        kind: kind of the items, e.g. ``images``.
    """

    def __init__(self, root: Path, kind: str) -> None:
        self.root = root
        self.folder = root / FOLDER
        self.table = self.folder / f"{kind}.parquet"
        self._journal = self.folder / f"{kind}.journal"
        self._lock_path = self.folder / "lock"
        self._lock = contextlib.ExitStack()
        self._log = -1
        self.rows: dict[str, LedgerRow] = {}

    def __enter__(self) -> Self:
        try:
            self._lock.enter_context(file_lock(self._lock_path, wait=False))
        except BlockingIOError:
            holder = self._lock_path.read_text(errors="replace") or "unknown"
            raise DataError(
                str(self.root),
                "one download at a time in this folder",
                f"process {holder} is downloading into it",
                "Wait until it ends, or stop it; finished files are kept.",
            ) from None
        self.rows = read_ledger(self.root, self.table.stem)
        self._log = os.open(self._journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        # If the journal ends in an incomplete line, the next row must start on a new one.
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
            self._lock.close()

    def add(self, item: Item, outcome: Outcome) -> LedgerRow:
        """Record an outcome; after this call returns, the row survives kill -9."""
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

    def is_complete(self, item: Item) -> bool:
        """Return whether the item was downloaded and its file still exists with the same size."""
        row = self.rows.get(item.item_id)
        if row is None or row.status != "ok":
            return False
        with contextlib.suppress(OSError):
            return inside(self.root, row.target).stat().st_size == row.bytes
        return False


def read_ledger(root: Path, kind: str) -> dict[str, LedgerRow]:
    """Read a ledger's rows without its lock: the table, then the rows of its journal."""
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
        # Only the last line can be invalid, if the process was killed while writing it.
        with contextlib.suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(line, type=LedgerRow)


def ledger_funnel(source: str, items: list[Item], rows: dict[str, LedgerRow]) -> pd.DataFrame:
    """Count the items by category and outcome.

    Returns:
        The funnel's columns. ``status`` is ``ok`` or ``dropped``. ``reason`` is the ledger's
        status, or ``untried`` for an item without a row.
    """
    outcomes = [rows[i.item_id].status if i.item_id in rows else "untried" for i in items]
    frame = pd.DataFrame(
        {
            "category": [i.category for i in items],
            "status": ["ok" if o == "ok" else "dropped" for o in outcomes],
            "reason": ["" if o == "ok" else o for o in outcomes],
        }
    )
    return funnel_of("fetch", source, "file", frame)
