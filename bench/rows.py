"""One line of the table of ``make bench``, and how a bench hands it over.

A bench prints what it likes; with `record` it adds lines to the table that `bench.__main__` puts
together from all of them.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

FILE_VARIABLE = "AVSYNTH_BENCH_ROWS"


@dataclass(frozen=True)
class Row:
    """What was compared: ratios of a round each, and what their median must reach."""

    area: str
    what: str
    ratios: Sequence[float]
    """Peer's cost over ours, more is better; with ``most`` a growth, less is better."""
    must: float | None = None
    stretch: float | None = None
    most: bool = False

    def verdict(self) -> str:
        """Say whether the median reaches the goals; empty where there is none."""
        if self.must is None:
            return ""
        middle = median(self.ratios)
        if self.most:
            return "pass" if middle <= self.must else "FAIL"
        if self.stretch is not None and middle >= self.stretch:
            return "stretch"
        return "pass" if middle >= self.must else "FAIL"


def record(row: Row) -> None:
    """Add a line to the table of the run that this process is part of, if it is of any."""
    if name := os.environ.get(FILE_VARIABLE):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")


def recorded(path: Path) -> list[Row]:
    """Read the lines back."""
    return [Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def markdown(rows: Sequence[Row], *, judged: bool) -> str:
    """Lay lines out as one table."""
    lines = [
        "| area | what | ratio | lowest to highest | must | stretch |" + " verdict |" * judged,
        "|---|---|---:|---|---:|---:|" + "---|" * judged,
    ]
    for row in rows:
        middle, low, high = median(row.ratios), min(row.ratios), max(row.ratios)
        sign = "<=" if row.most else ">="
        must, stretch = (f"{sign} {g:g}" if g else "" for g in (row.must, row.stretch))
        line = f"| {row.area} | {row.what} | {middle:.2f} | {low:.2f} to {high:.2f} "
        lines.append(f"{line}| {must} | {stretch} |" + f" {row.verdict()} |" * judged)
    return "\n".join(lines)
