"""`Vocabulary`: the categories of a table, and the labels that each source has for them."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal

from avsynth.core.files import atomic_file
from avsynth.core.paths import Layout
from avsynth.core.records import Category
from avsynth.runtime.errors import ConfigError, DataError, suggest

SourceName = Literal["lvis", "openimages", "coco", "avsbench", "vggsound", "audioset"]
SOURCE_COLUMNS: tuple[SourceName, ...] = (
    "lvis",
    "openimages",
    "coco",
    "avsbench",
    "vggsound",
    "audioset",
)
TABLE_COLUMNS = ("category", *SOURCE_COLUMNS, "rank")
REMARK_COLUMNS = ("openimages_name", "tier", "note")
"""Columns for human readers of a table; the program does not use them."""


@dataclass(frozen=True)
class Vocabulary:
    """The categories of a table, sorted by rank."""

    categories: tuple[Category, ...]
    where: str = "categories.csv"
    """File name of the table, for messages."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Our category names, sorted by rank."""
        return tuple(c.name for c in self.categories)

    def label_to_category(self, source: SourceName) -> dict[str, str]:
        """Map each label of a source (LVIS name, Open Images MID, ...) to our category name."""
        return {
            label: category.name
            for category in self.categories
            for label in getattr(category, source)
        }

    def choose(self, wanted: int | Iterable[str]) -> "Vocabulary":
        """Return a vocabulary of the first N ranks, or of the named categories.

        Raises:
            ConfigError: N is not in 1..len, or a name is unknown (a similar name is suggested).
        """
        where = "params.yaml: categories.choose"
        if isinstance(wanted, int):
            if not 1 <= wanted <= len(self.categories):
                raise ConfigError(
                    where,
                    f"a number from 1 to {len(self.categories)}, or names",
                    str(wanted),
                    f"Set a number up to {len(self.categories)}, the categories of {self.where}.",
                )
            return Vocabulary(self.categories[:wanted], self.where)
        by_name = {c.name: c for c in self.categories}
        chosen = list(dict.fromkeys(wanted))
        if not chosen:
            raise ConfigError(
                where, "at least one category", "none", "Set category names, or a number."
            )
        for name in chosen:
            if name not in by_name:
                raise ConfigError(
                    where, f"names of {self.where}", repr(name), suggest(name, by_name)
                )
        kept = set(chosen)
        return Vocabulary(tuple(c for c in self.categories if c.name in kept), self.where)


def load_vocabulary(table: Path | None = None) -> Vocabulary:
    """Read a category table.

    Args:
        table: a csv with the packaged table's columns, or None for the packaged one.

    Raises:
        ConfigError: a column is missing or unknown, a name or rank is repeated, or a label belongs
            to two categories in the same source.
    """
    if table is None:
        where = "categories.csv"
        text = resources.files("avsynth.resources").joinpath(where).read_text(encoding="utf-8")
    else:
        where = str(table)
        try:
            text = table.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                where, "a category table (csv, UTF-8)", str(error), "Correct categories.table."
            ) from None
    return parse_vocabulary(text, where)


def parse_vocabulary(text: str, where: str) -> Vocabulary:
    """Parse the text of a category table; see `load_vocabulary`."""
    reader = csv.DictReader(text.splitlines())
    _check_columns(reader.fieldnames or (), where)
    ranked: dict[int, Category] = {}
    seen: dict[tuple[str, str], str] = {}
    for line, row in enumerate(reader, start=2):
        here = f"{where}:{line}"
        name = (row["category"] or "").strip()
        if not name.isidentifier() or not name.isascii():
            raise ConfigError(
                here, "a category name of letters, digits and _", repr(name), "Rename it."
            )
        rank = (row["rank"] or "").strip()
        if not rank.isdecimal() or int(rank) in ranked:
            raise ConfigError(here, "a unique rank 1, 2, 3 ...", repr(rank), "Correct the rank.")
        labels = {s: _split(row[s]) for s in SOURCE_COLUMNS}
        for key in [("category", name), *((s, one) for s in SOURCE_COLUMNS for one in labels[s])]:
            if key in seen:
                raise ConfigError(
                    here,
                    f"{key[0]} {key[1]!r} once in the table",
                    f"it also belongs to {seen[key]!r}",
                    "Remove it from one of the two rows.",
                )
            seen[key] = name
        ranked[int(rank)] = Category(name, **labels)
    return Vocabulary(tuple(ranked[r] for r in sorted(ranked)), where)


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write a category table for `load_vocabulary`, with the ranks 1, 2, 3 ... in order."""
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TABLE_COLUMNS)
        for rank, category in enumerate(vocabulary.categories, start=1):
            labels = [";".join(getattr(category, source)) for source in SOURCE_COLUMNS]
            writer.writerow([category.name, *labels, rank])


def chosen_vocabulary(layout: Layout) -> Vocabulary:
    """Read the categories that the stage ``categories`` chose.

    Raises:
        DataError: the stage has not run yet.
    """
    path = layout.categories_csv
    if not path.is_file():
        raise DataError(
            str(path), "the chosen categories", "no such file", "Run 'avsynth categories' first."
        )
    return load_vocabulary(path)


def _check_columns(found: Iterable[str], where: str) -> None:
    found = list(found)
    missing = [c for c in TABLE_COLUMNS if c not in found]
    known = (*TABLE_COLUMNS, *REMARK_COLUMNS)
    unknown = [c for c in found if c not in known]
    if missing or unknown:
        parts = [f"no column {c!r}" for c in missing] + [f"unknown column {c!r}" for c in unknown]
        raise ConfigError(
            where,
            "the columns " + ", ".join(TABLE_COLUMNS),
            "; ".join(parts),
            suggest(unknown[0], known) if unknown else "Add the column; its cells may be empty.",
        )


def _split(cell: str | None) -> tuple[str, ...]:
    """Split a cell at ';' (labels contain commas)."""
    return tuple(part.strip() for part in (cell or "").split(";") if part.strip())
