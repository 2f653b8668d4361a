"""The csv lists of benchmarks, read as text: ids never lead outside of the root folder."""

import csv
from collections.abc import Collection
from pathlib import Path

from avsynth.core.names import safe_name
from avsynth.runtime.errors import DataError


def read_rows(path: Path, columns: Collection[str]) -> list[dict[str, str]]:
    """Read a csv with a header.

    Args:
        path: of the csv.
        columns: that it must have; others are kept too.

    Returns:
        Its rows, in order.

    Raises:
        DataError: no such file, no text, a column is missing, or a row is cut.
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


def plain_name(where: Path, value: str) -> str:
    """Return a name that is to become part of a path, if it names nothing but a file or folder.

    Raises:
        DataError: see `safe_name`.
    """
    return safe_name(value, str(where))


def no_duplicates(where: Path, names: list[str]) -> None:
    """Make sure that a list names every clip once.

    Raises:
        DataError: a name occurs twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise _bad(where, "every clip once", f"{name!r} twice")
        seen.add(name)


def _bad(where: Path | str, expected: str, found: str) -> DataError:
    return DataError(str(where), expected, found, "Get the list again from its publisher.")
