"""The one reader of csv and tsv lists that come from outside: `read_list` and `read_columns`.

A list may have a byte order mark, be UTF-8 or UTF-16, end its lines with LF, CRLF or CR, separate
its cells by a comma, a semicolon or a tab, quote them, and pad them with blanks. No row is lost:
a row that cannot be split has a ``fault``, and the caller counts it or raises. A quote that is not
closed spoils its own line only. Text stays as it is written; `fold` is the form for comparison.
"""

import codecs
import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from avsynth.runtime.errors import DataError

_DELIMITERS = ",;\t"
_SAMPLE_LINES = 50
_MAX_CELL_LINES = 50
_BLANKS = " \t\xa0\ufeff"
_COMMENT = re.compile(r"\s*#(\s|$)")
"""``#NAME?`` and ``#REF!`` of a spreadsheet are no comments but damaged rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list."""

    line: int
    """Number of its first line in the file, from 1."""
    cells: tuple[str, ...]
    """Without the blanks around them; empty if there is a fault."""
    fault: str = ""
    """Why the row cannot be used; empty if it can."""


@dataclass(frozen=True, slots=True)
class NamedRow:
    """One row of a list with a header: ``row["name"]`` is a cell."""

    line: int
    cells: dict[str, str] = field(default_factory=dict)
    """Folded column name -> text; a column that the row does not reach is absent."""
    fault: str = ""
    width: int = 0
    """Number of columns of the header."""

    def __getitem__(self, column: str) -> str:
        """Return a cell; empty if the row has none."""
        return self.cells.get(column, "")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a list separates its cells."""

    delimiter: str
    width: int
    """The usual number of cells."""
    exact: bool = False
    """Whether the blanks around a cell belong to it."""


def fold(text: str) -> str:
    """Return the form in which headers and known values are compared.

    Composed (NFC), small letters, and one underscore for blanks, hyphens and underscores.
    """
    small = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return "_".join(part for part in re.split(r"[\s_\-\ufeff]+", small) if part)


def read_list(path: Path, expected: str, fix: str) -> Iterator[Row]:
    """Read a list without a header. Empty rows and comments (``# ...``) are skipped.

    Args:
        path: the file.
        expected: what it should hold, for messages.
        fix: what the user can do about a file that cannot be read.

    Raises:
        DataError: the file is absent, or its text cannot be decoded.
    """
    return parse_list(read_text(path, expected, fix))


def parse_list(text: str) -> Iterator[Row]:
    """Split the text of a list without a header; see `read_list`."""
    lines = _lines(text)
    told = _told_delimiter(lines)
    dialect = Dialect(told, _usual_width(_sample(lines), told)[1]) if told else _detect(lines)
    return (row for row in _rows(lines, dialect, 0) if not _COMMENT.match(lines[row.line - 1]))


def read_columns(path: Path, required: Collection[str], fix: str) -> list[NamedRow]:
    """Read a list with a header; the case of its column names does not matter.

    A row that does not reach a required column, or has more cells than the header, has a fault.

    Args:
        path: the file.
        required: folded column names; other columns are kept too.
        fix: what the user can do about a list of another kind.

    Raises:
        DataError: the file is absent, its text cannot be decoded, or a column is missing or there
            twice.
    """
    names = ", ".join(required)
    expected = f"columns {names}" if len(required) > 1 else f"a column {names!r}"
    header, rows = parse_columns(read_text(path, f"a csv with {expected}", fix), required)
    if not set(required) <= set(header):
        raise DataError(str(path), expected, ", ".join(header) or "an empty file", fix)
    if twice := [name for name, count in Counter(header).items() if name and count > 1]:
        raise DataError(str(path), "every column once", f"{twice[0]!r} twice", fix)
    return rows


def parse_columns(
    text: str, required: Collection[str], *, exact: bool = False
) -> tuple[list[str], list[NamedRow]]:
    """Split the text of a list with a header into folded column names and rows.

    Args:
        text: of the list.
        required: folded names of columns that every row must reach.
        exact: keep the blanks around cells, in a list that this program writes.
    """
    lines = _lines(text)
    delimiter = _told_delimiter(lines)
    used = (n for n, line in enumerate(lines) if line.strip(_BLANKS) and not _COMMENT.match(line))
    start = next(used, len(lines))
    if not delimiter:
        heads = {one: _split("".join(lines[start : start + 1]), one) or () for one in _DELIMITERS}
        found = {one: len(set(required) & set(map(fold, heads[one]))) for one in _DELIMITERS}
        usual = _detect(lines[start:]).delimiter
        delimiter = max(_DELIMITERS, key=lambda one: (found[one], one == usual))
    width = len(_split("".join(lines[start : start + 1]), delimiter) or ())
    rows = _rows(lines, Dialect(delimiter, width, exact), start)
    header = [fold(cell) for cell in next(rows, Row(1, ())).cells]
    return header, [_name_cells(row, header, required) for row in rows]


def _name_cells(row: Row, header: list[str], required: Collection[str]) -> NamedRow:
    cells = dict(zip(header, row.cells, strict=False))
    fault = row.fault
    if not fault and (any(row.cells[len(header) :]) or not set(required) <= set(cells)):
        fault = f"{len(row.cells)} fields"
    return NamedRow(row.line, cells, fault, len(header))


def read_text(path: Path, expected: str, fix: str) -> str:
    """Read a text file in UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        DataError: the file is absent, or its text cannot be decoded.
    """
    try:
        content = path.read_bytes()
        text = content.decode(encoding_of(content))
    except FileNotFoundError:
        raise DataError(str(path), expected, "no such file", fix) from None
    except OSError as error:
        raise DataError(str(path), expected, error.strerror or str(error), fix) from None
    except UnicodeDecodeError as error:
        found = f"text that is neither UTF-8 nor UTF-16 ({error.reason} at byte {error.start})"
        raise DataError(str(path), expected, found, fix) from None
    if "\0" in text:
        raise DataError(str(path), expected, "a binary file", fix)
    return text


def encoding_of(content: bytes) -> str:
    """Return the encoding that the first bytes of a file show."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def _lines(text: str) -> list[str]:
    """Split a text at LF, CRLF and CR only: str.splitlines would cut a cell at U+2028."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return lines


def _told_delimiter(lines: list[str]) -> str:
    """Return the delimiter of a spreadsheet's first line ``sep=;``, which is blanked; else ''."""
    told = re.fullmatch(r'\s*"?sep=([,;\t])"?\s*', lines[0]) if lines else None
    if told is None:
        return ""
    lines[0] = ""
    return told[1]


def _detect(lines: list[str]) -> Dialect:
    sample = _sample(lines)
    counted = {delimiter: _usual_width(sample, delimiter) for delimiter in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda delimiter: counted[delimiter])
    return Dialect(best, counted[best][1])


def _sample(lines: list[str]) -> list[str]:
    """Return the first lines that hold cells."""
    used = (line for line in lines if line.strip(_BLANKS) and not _COMMENT.match(line))
    return [line for line, _ in zip(used, range(_SAMPLE_LINES), strict=False)]


def _usual_width(sample: list[str], delimiter: str) -> tuple[int, int]:
    """Return how many lines have the most frequent number of cells above one, and that number."""
    widths = Counter(len(_split(line, delimiter) or ()) for line in sample)
    several = [(count, width) for width, count in widths.items() if width > 1]
    return max(several, default=(0, 1))


def _rows(lines: list[str], dialect: Dialect, at: int) -> Iterator[Row]:
    while at < len(lines):
        line, number = lines[at], at + 1
        at += 1
        cells = _split(line, dialect.delimiter, exact=dialect.exact)
        if cells is None:
            cells, more = _join_lines(lines, at, dialect)
            at += more
        if cells is None:
            yield Row(number, (), "a quote that is not closed, or text after a closing quote")
        elif any(cells):
            yield Row(number, cells)


def _join_lines(lines: list[str], at: int, dialect: Dialect) -> tuple[tuple[str, ...] | None, int]:
    """Split a row whose quoted cell has line breaks: return its cells and the lines it took.

    A line that is a whole row by itself is never taken: the quote before it is a stray one.
    """
    joined = lines[at - 1]
    for more, line in enumerate(lines[at : at + _MAX_CELL_LINES], start=1):
        alone = _split(line, dialect.delimiter)
        if alone is not None and len(alone) == dialect.width:
            break
        joined += "\n" + line
        if '"' in line:
            cells = _split(joined, dialect.delimiter, exact=dialect.exact)
            if cells is not None and len(cells) == dialect.width:
                return cells, more
    return None, 0


def _split(line: str, delimiter: str, *, exact: bool = False) -> tuple[str, ...] | None:
    """Split one row at its delimiters; return None if its quotes are wrong."""
    if exact:
        return _parse([line], delimiter, exact)
    if '"' not in line:
        return tuple(cell.strip(_BLANKS) for cell in line.split(delimiter))
    cells = _parse([line], delimiter, exact)
    if cells is None:  # Perhaps for the blanks after a closing quote.
        cells = _parse([re.sub(rf'"[ \xa0]+(?={delimiter}|$)', '"', line)], delimiter, exact)
    return cells


def _parse(text: Iterable[str], delimiter: str, exact: bool) -> tuple[str, ...] | None:
    try:
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=not exact, strict=True)
        return tuple(cell if exact else cell.strip(_BLANKS) for cell in next(reader, ()))
    except csv.Error:
        return None
