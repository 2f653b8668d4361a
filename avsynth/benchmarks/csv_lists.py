"""Readers and checks of the benchmarks' csv lists: no id leads outside of the root folder."""

from collections.abc import Collection
from pathlib import Path

from avsynth.core.lists import NamedRow, fold, read_columns
from avsynth.core.names import safe_name
from avsynth.runtime.errors import DataError

SPLITS = ("train", "val", "test")
_FIX = "Download the list again from its publisher."


def read_rows(path: Path, columns: Collection[str]) -> list[NamedRow]:
    """Read a csv with a header.

    Args:
        path: the csv file.
        columns: required columns; other columns are kept too. If ``split`` is one of them, its
            values are folded (``Train`` is train) and must be one of `SPLITS`.

    Returns:
        The rows in file order: column -> text.

    Raises:
        DataError: the file is absent or cannot be decoded, a column is missing, or a row is
            damaged or has another split.
    """
    rows = read_columns(path, columns, _FIX)
    for row in rows:
        if row.fault:
            raise DataError(f"{path}:{row.line}", f"{row.width} fields", row.fault, _FIX)
        if "split" in columns:
            row.cells["split"] = _split(f"{path}:{row.line}", row["split"])
    return rows


def _split(where: str, text: str) -> str:
    if fold(text) not in SPLITS:
        fix = "Correct the row's split."
        raise DataError(where, f"a split of {', '.join(SPLITS)}", repr(text), fix)
    return fold(text)


def check_file_name(where: Path, value: str) -> str:
    """Return a name that may become part of a path: a plain file or folder name.

    Raises:
        DataError: the name is refused by `safe_name`.
    """
    return safe_name(value, str(where))


def check_unique(where: Path, rows: list[NamedRow], column: str) -> None:
    """Check that a list contains every clip once.

    Raises:
        DataError: a name occurs twice in the column.
    """
    seen: dict[str, int] = {}
    for row in rows:
        first = seen.setdefault(row[column], row.line)
        if first != row.line:
            found = f"{row[column]!r} twice, in line {first} too"
            raise DataError(f"{where}:{row.line}", "every clip once", found, _FIX)
