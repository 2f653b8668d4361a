"""What stands in a table: text, counts, measured values with intervals, printed values."""

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from avsynth.metrics.bootstrap import Comparison, Estimate

Unit = Literal["percent", "fraction", "decibel"]
"""``percent``: 0..1 shown as 0..100, one decimal; ``fraction``: 0..1, three decimals;
``decibel``: as it is, one decimal."""
NOTHING = "–"


def number(value: float, unit: Unit) -> str:
    """Write a number as its unit wants it; NaN as a dash."""
    if math.isnan(value):
        return NOTHING
    if unit == "percent":
        return f"{100 * value:.1f}"
    return f"{value:.3f}" if unit == "fraction" else f"{value:.1f}"


@dataclass(frozen=True, slots=True)
class Measured:
    """A value of ours with its 95 % interval."""

    value: float
    low: float
    high: float
    unit: Unit
    signed: bool = False
    bar: bool = False
    """Draw the value as a bar under the number (of 0..1)."""

    @classmethod
    def of(cls, estimate: Estimate, unit: Unit, *, bar: bool = False) -> "Measured":
        """Take an estimate."""
        return cls(estimate.value, estimate.low, estimate.high, unit, bar=bar)

    @classmethod
    def difference(cls, comparison: Comparison, unit: Unit) -> "Measured":
        """Take the difference of a paired comparison."""
        return cls(comparison.difference, comparison.low, comparison.high, unit, signed=True)

    @property
    def text(self) -> str:
        """The value."""
        sign = "+" if self.signed and self.value > 0 else ""
        return (sign + number(self.value, self.unit)).replace("-", "−")

    @property
    def interval(self) -> str:
        """The interval, or nothing where there is none."""
        if math.isnan(self.low):
            return ""
        ends = f"{number(self.low, self.unit)} … {number(self.high, self.unit)}"
        return ends.replace("-", "−")


@dataclass(frozen=True, slots=True)
class Printed:
    """What a paper prints; several values where it contradicts itself."""

    values: tuple[tuple[float, str], ...]
    """Value as printed, and where."""
    metric: str

    @property
    def disputed(self) -> bool:
        """Whether the values differ."""
        return len({value for value, _ in self.values}) > 1

    @property
    def text(self) -> str:
        """All distinct values, in the order of the tables that print them."""
        distinct = dict.fromkeys(value for value, _ in self.values)
        return " ≠ ".join(printed_number(value, self.metric) for value in distinct)

    @property
    def source(self) -> str:
        """Which table prints which value."""
        by_value: dict[float, list[str]] = {}
        for value, where in self.values:
            by_value.setdefault(value, []).append(where)
        return "; ".join(
            f"{printed_number(value, self.metric)} in {', '.join(dict.fromkeys(places))}"
            for value, places in by_value.items()
        )


Cell = str | int | Measured | Printed


def printed_number(value: float, metric: str) -> str:
    """Write a printed value with the decimals that the papers use."""
    if metric == "MF":
        return f"{value:.3f}"
    if metric == "MJ" or metric.endswith("(%)"):
        return f"{value:.2f}"
    return f"{value:g}"


def cell_text(cell: Cell) -> str:
    """Write a cell in one line of plain text."""
    if isinstance(cell, Measured):
        return f"{cell.text} [{cell.interval}]" if cell.interval else cell.text
    if isinstance(cell, Printed):
        return cell.text
    return f"{cell:,}" if isinstance(cell, int) else cell


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in the csv, its heading for people."""

    name: str
    title: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people that is also a csv."""

    name: str
    """File name of the csv, without its ending."""
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    folded: bool = False
    """Shown only when asked for."""

    def frame(self) -> pd.DataFrame:
        """Lay it out flat: a measured cell becomes value, low and high."""
        flat = []
        for row in self.rows:
            record: dict[str, object] = {}
            for column, cell in zip(self.columns, row, strict=True):
                if isinstance(cell, Measured):
                    name = column.name
                    record |= {name: cell.value, f"{name}_low": cell.low, f"{name}_high": cell.high}
                elif isinstance(cell, Printed):
                    record[column.name] = cell.text.replace(" ≠ ", " / ")
                else:
                    record[column.name] = "" if cell == NOTHING else cell
            flat.append(record)
        return pd.DataFrame(flat, columns=list(flat[0]) if flat else [c.name for c in self.columns])
