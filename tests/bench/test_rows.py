"""Rows of the table of all benches: verdicts by goals, exchange through a file."""

from pathlib import Path

import pytest

from bench.rows import FILE_VARIABLE, Row, markdown, record, recorded


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("a", "no goal", [0.1]), ""),
        (Row("a", "median decides", [9.0, 1.9, 1.0], 2, 3), "FAIL"),
        (Row("a", "reached", [2.0], 2, 3), "pass"),
        (Row("a", "more than asked", [1.0, 3.0, 4.0], 2, 3), "stretch"),
        (Row("a", "no stretch", [99.0], 2), "pass"),
        (Row("a", "growth, less is better", [1.2, 1.0, 1.1], 1.1, most=True), "pass"),
        (Row("a", "growth too large", [1.2], 1.1, most=True), "FAIL"),
    ],
)
def test_the_median_of_a_row_gives_its_verdict(row: Row, verdict: str):
    assert row.verdict() == verdict


def test_rows_are_read_back_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = [Row("build", "x, y", [1.0, 2.5], 2, 3), Row("cache", "z", [0.5], 1.1, most=True)]
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    record(rows[0])  # a bench that runs alone records nothing
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "rows"))
    for row in rows:
        record(row)
    assert recorded(tmp_path / "rows") == rows


def test_the_table_shows_goals_and_spread():
    rows = [
        Row("build", "faster", [4.0, 2.0, 3.0], 2, 8),
        Row("build", "grows", [1.5], 1.1, most=True),
        Row("cluster", "shown only", [0.4]),
    ]
    head, line, *body = markdown(rows, judged=True).splitlines()
    assert head.count("|") == line.count("|") == 8
    assert body == [
        "| build | faster | 3.00 | 2.00 to 4.00 | >= 2 | >= 8 | pass |",
        "| build | grows | 1.50 | 1.50 to 1.50 | <= 1.1 |  | FAIL |",
        "| cluster | shown only | 0.40 | 0.40 to 0.40 |  |  |  |",
    ]
    assert all(line.count("|") == 7 for line in markdown(rows, judged=False).splitlines())
