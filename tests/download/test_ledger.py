"""The ledger survives an interruption of the process that writes it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avsynth.download.items import STATUSES, Item, Outcome
from avsynth.download.ledger import FOLDER, Ledger, ledger_funnel, read_ledger
from avsynth.runtime.errors import DataError

WRITER = """
import sys, time
from pathlib import Path
from avsynth.download.items import Item, Outcome
from avsynth.download.ledger import Ledger
with Ledger(Path(sys.argv[1]), "images") as ledger:
    for n in range(10**6):
        ledger.add(Item(f"{n:06d}", "", f"{n:06d}"), Outcome("ok", "", n, "ab" * 32))
        if n == 200:
            print("ready", flush=True)
        time.sleep(0.0005)
"""


def test_rows_survive_kill_9(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with (
        pytest.raises(DataError, match=f"process {process.pid} is downloading"),
        Ledger(tmp_path, "x"),
    ):
        pass
    time.sleep(0.05)
    process.kill()
    process.wait()
    process.stdout.close()
    assert not (tmp_path / FOLDER / "images.parquet").exists(), "killed before the merge"
    rows = read_ledger(tmp_path, "images")
    assert len(rows) > 200
    assert sorted(rows) == [f"{n:06d}" for n in range(len(rows))]
    with Ledger(tmp_path, "images") as ledger:
        assert ledger.rows == rows
    assert not (tmp_path / FOLDER / "images.journal").exists()
    assert read_ledger(tmp_path, "images") == rows


def test_an_incomplete_line_is_ignored_and_the_next_row_is_valid(tmp_path: Path) -> None:
    with Ledger(tmp_path, "k") as ledger:
        ledger.add(Item("a", "", "a"), Outcome("gone", "HTTP 404"))
    journal = tmp_path / FOLDER / "k.journal"
    whole = json.dumps(
        {"item": "b", "category": "", "target": "b", "status": "ok", "reason": "", "bytes": 1,
         "sha256": "", "attempts": 1, "when_s": 1.0}
    )  # fmt: skip
    journal.write_text(whole + "\n" + whole.replace('"b"', '"c"')[:40])
    with Ledger(tmp_path, "k") as ledger:
        assert sorted(ledger.rows) == ["a", "b"]
        ledger.add(Item("d", "", "d"), Outcome("ok"))
    assert sorted(read_ledger(tmp_path, "k")) == ["a", "b", "d"]


def test_attempts_add_up_and_the_last_outcome_counts(tmp_path: Path) -> None:
    item = Item("a", "", "a")
    for status, attempts in (("transient", 4), ("transient", 4), ("ok", 1)):
        with Ledger(tmp_path, "k") as ledger:
            ledger.add(item, Outcome(status, attempts=attempts))  # type: ignore[arg-type]
    (row,) = read_ledger(tmp_path, "k").values()
    assert (row.status, row.attempts) == ("ok", 9)


def test_the_table_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    tables = []
    for order in ("abc", "cab"):
        root = tmp_path / order
        with Ledger(root, "k") as ledger:
            for name in order:
                ledger.add(Item(name, "", name), Outcome("gone"))
            ledger.rows = {n: _timeless(row) for n, row in ledger.rows.items()}
        tables.append((root / FOLDER / "k.parquet").read_bytes())
    assert tables[0] == tables[1]


def _timeless(row: object) -> object:
    import dataclasses

    return dataclasses.replace(row, when_s=0.0)  # type: ignore[type-var]


def test_a_second_ledger_opens_only_after_the_first_is_closed(tmp_path: Path) -> None:
    refused = pytest.raises(DataError, match="one download at a time")
    with Ledger(tmp_path, "k"), refused, Ledger(tmp_path, "another"):
        pass
    with Ledger(tmp_path, "k"):
        pass


def test_every_requested_item_is_counted_once_in_the_funnel(tmp_path: Path) -> None:
    items = [Item(s, "", s, "dog") for s in STATUSES] + [Item("new", "", "new", "dog")]
    with Ledger(tmp_path, "k") as ledger:
        for status in STATUSES:
            ledger.add(Item(status, "", status, "dog"), Outcome(status))  # type: ignore[arg-type]
        ledger.add(Item("unwanted", "", "x"), Outcome("ok"))
    funnel = ledger_funnel("s", items, read_ledger(tmp_path, "k"))
    assert funnel["count"].sum() == len(items)
    dropped = funnel[funnel["status"] == "dropped"]
    assert set(dropped["reason"]) == {*STATUSES, "untried"} - {"ok"}


def test_a_full_disk_raises_from_the_journal(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File too large"):
        _write_with_limit(tmp_path)


def _write_with_limit(root: Path) -> None:
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    ledger = Ledger(root, "k").__enter__()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, old[1]))
        for n in range(10):
            ledger.add(Item(str(n), "", str(n)), Outcome("ok"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
        ledger._lock.close()
        os.close(ledger._log)
