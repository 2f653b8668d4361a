"""`Vocabulary`: the categories of a table, and the labels that each source has for them."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal

from avsynth.core.files import atomic_file
from avsynth.core.lists import fold, parse_columns, read_text
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
            text = read_text(table, "a category table (csv, UTF-8)", "Correct categories.table.")
        except DataError as error:
            raise ConfigError(*error.__reduce__()[1]) from None
    return parse_vocabulary(text, where)


def parse_vocabulary(text: str, where: str) -> Vocabulary:
    """Parse the text of a category table; see `load_vocabulary`."""
    header, rows = parse_columns(text, TABLE_COLUMNS)
    _check_columns(header, where)
    ranked: dict[int, Category] = {}
    seen: dict[tuple[str, str], str] = {}
    for row in rows:
        here = f"{where}:{row.line}"
        if row.fault:
            fix = "Quote cells that contain commas, and give every column a cell."
            raise ConfigError(here, f"{row.width} cells", row.fault, fix)
        name = row["category"]
        if not name.isidentifier() or not name.isascii():
            raise ConfigError(
                here, "a category name of letters, digits and _", repr(name), "Rename it."
            )
        rank = row["rank"]
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
    found = [name for name in found if name]
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


def _split(cell: str) -> tuple[str, ...]:
    """Split a cell at ';' (labels contain commas)."""
    return tuple(part.strip() for part in cell.split(";") if part.strip())


def label_form(label: str) -> str:
    """Return the form in which labels are compared: `fold`, and commas are blanks.

    ``Dog barking``, ``dog_barking`` and ``dog-barking`` have one form.
    """
    return fold(label.replace(",", " "))


class LabelLookup(dict[str, str]):
    """Label -> our category, or '': as it is written, else by its `label_form`.

    A form that labels of two categories share means neither.
    """

    def __init__(self, category_of: Mapping[str, str]) -> None:
        super().__init__(category_of)
        self._by_form: dict[str, str] = {}
        for label, category in category_of.items():
            form = label_form(label)
            same = self._by_form.setdefault(form, category) == category
            self._by_form[form] = category if same else ""

    def __missing__(self, label: str) -> str:
        """Look a label up by its form, and remember it."""
        self[label] = self._by_form.get(label_form(label), "")
        return self[label]


def no_match(where: str, found: Iterable[str], category_of: Mapping[str, str]) -> DataError:
    """Build the error of a file that has none of the labels that the chosen categories need."""
    names = sorted(set(found))
    wanted = sorted(category_of)
    near = [one for name in names for one in get_close_matches(name, wanted, n=1, cutoff=0.6)]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return DataError(
        where,
        f"a label of the chosen categories, such as {', '.join(map(repr, wanted[:3]))}",
        ", ".join(map(repr, names[:5])) + more if names else "no label",
        f"{hint}Correct the labels, or name them in a table of your own (categories.table).",
    )
