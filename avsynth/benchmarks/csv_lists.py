"""Readers and checks of the benchmarks' csv lists: no id leads outside of the root folder."""

import csv
from collections.abc import Collection
from pathlib import Path

from avsynth.core.names import safe_name
from avsynth.runtime.errors import DataError


def read_rows(path: Path, columns: Collection[str]) -> list[dict[str, str]]:
    """Read a csv with a header.

    Args:
        path: the csv file.
        columns: required columns; other columns are kept too.

    Returns:
        The rows in file order: column -> text.

    Raises:
        DataError: the file is absent or not UTF-8, a column is missing, or a row is truncated.
    """
    rows: list[dict[str, str]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            if not set(columns) <= set(header):
                raise _bad(path, f"columns {', '.join(columns)}", f"{', '.join(header)}")
            for row in reader:
                if any(row[name] is None for name in columns):
                    raise _bad(f"{path}:{reader.line_num}", f"{len(header)} fields", "fewer")
                rows.append(row)
    except FileNotFoundError:
        raise _bad(path, "the list of the benchmark", "no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise _bad(path, "a csv in UTF-8", str(error)) from None
    return rows


def check_file_name(where: Path, value: str) -> str:
    """Return a name that may become part of a path: a plain file or folder name.

    Raises:
        DataError: the name is refused by `safe_name`.
    """
    return safe_name(value, str(where))


def check_unique(where: Path, names: list[str]) -> None:
    """Check that a list contains every clip once.

    Raises:
        DataError: a name occurs twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise _bad(where, "every clip once", f"{name!r} twice")
        seen.add(name)


def _bad(where: Path | str, expected: str, found: str) -> DataError:
    return DataError(str(where), expected, found, "Download the list again from its publisher.")
