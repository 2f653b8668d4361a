"""The cells and tables of a report: text, counts, estimates with intervals, published values."""

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from avsynth.metrics.bootstrap import Comparison, Estimate

Unit = Literal["percent", "fraction", "decibel"]
"""``percent``: 0..1 shown as 0..100, one decimal; ``fraction``: 0..1, three decimals;
``decibel``: unchanged, one decimal."""
NOTHING = "–"


def number(value: float, unit: Unit) -> str:
    """Write a number in its unit; NaN as a dash."""
    if math.isnan(value):
        return NOTHING
    if unit == "percent":
        return f"{100 * value:.1f}"
    return f"{value:.3f}" if unit == "fraction" else f"{value:.1f}"


@dataclass(frozen=True, slots=True)
class EstimateCell:
    """A computed value with its 95 % interval."""

    value: float
    low: float
    high: float
    unit: Unit
    signed: bool = False
    bar: bool = False
    """Draw the value as a bar under the number (of 0..1)."""
    mark: str = ""
    """How the run differs from the experiment that the cell is compared with."""

    @classmethod
    def of(cls, estimate: Estimate, unit: Unit, *, bar: bool = False) -> "EstimateCell":
        """Build the cell of an estimate."""
        return cls(estimate.value, estimate.low, estimate.high, unit, bar=bar)

    @classmethod
    def difference(cls, comparison: Comparison, unit: Unit) -> "EstimateCell":
        """Build the cell of a paired comparison's difference."""
        return cls(comparison.difference, comparison.low, comparison.high, unit, signed=True)

    @property
    def text(self) -> str:
        """Return the value as text."""
        sign = "+" if self.signed and self.value > 0 else ""
        return (sign + number(self.value, self.unit)).replace("-", "−")

    @property
    def interval(self) -> str:
        """Return the interval as text; empty without one."""
        if math.isnan(self.low):
            return ""
        ends = f"{number(self.low, self.unit)} … {number(self.high, self.unit)}"
        return ends.replace("-", "−")


@dataclass(frozen=True, slots=True)
class PublishedCell:
    """The published values; several if a paper contradicts itself."""

    values: tuple[tuple[float, str], ...]
    """Value as published, and its table."""
    metric: str

    @property
    def disputed(self) -> bool:
        """Return whether the values differ."""
        return len({value for value, _ in self.values}) > 1

    @property
    def text(self) -> str:
        """Return all distinct values, in the order of the tables that hold them."""
        distinct = dict.fromkeys(value for value, _ in self.values)
        return " ≠ ".join(published_number(value, self.metric) for value in distinct)

    @property
    def source(self) -> str:
        """Return which table holds which value."""
        by_value: dict[float, list[str]] = {}
        for value, where in self.values:
            by_value.setdefault(value, []).append(where)
        return "; ".join(
            f"{published_number(value, self.metric)} in {', '.join(dict.fromkeys(places))}"
            for value, places in by_value.items()
        )


Cell = str | int | EstimateCell | PublishedCell


def published_number(value: float, metric: str) -> str:
    """Write a published value with the decimals that the papers use."""
    if metric == "MF":
        return f"{value:.3f}"
    if metric == "MJ" or metric.endswith("(%)"):
        return f"{value:.2f}"
    return f"{value:g}"


def cell_text(cell: Cell) -> str:
    """Write a cell in one line of plain text."""
    if isinstance(cell, EstimateCell):
        text = f"{cell.text} [{cell.interval}]" if cell.interval else cell.text
        return f"{text} ({cell.mark})" if cell.mark else text
    if isinstance(cell, PublishedCell):
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
        """Return a flat frame: an estimate becomes value, low and high, and its mark if any."""
        columns: dict[str, list[object]] = {}
        for place, column in enumerate(self.columns):
            columns |= _flat(column.name, [row[place] for row in self.rows])
        return pd.DataFrame(columns)


def _flat(name: str, cells: list[Cell]) -> dict[str, list[object]]:
    """Return the cells of one column as one or several columns of a csv."""
    flat: dict[str, list[object]] = {name: [_flat_value(cell) for cell in cells]}
    if any(isinstance(cell, EstimateCell) for cell in cells):
        for end in ("low", "high"):
            flat[f"{name}_{end}"] = [getattr(cell, end, None) for cell in cells]
        if any(isinstance(cell, EstimateCell) and cell.mark for cell in cells):
            flat[f"{name}_mark"] = [getattr(cell, "mark", "") for cell in cells]
    return flat


def _flat_value(cell: Cell) -> object:
    if isinstance(cell, EstimateCell):
        return cell.value
    if isinstance(cell, PublishedCell):
        return cell.text.replace(" ≠ ", " / ")
    return "" if cell == NOTHING else cell
