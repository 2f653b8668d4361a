"""`Row`, one row of the table of ``make bench``, and its exchange between processes.

A bench adds rows with `record`, and `bench.__main__` collects the rows of all benches. The other
output of a bench is free.
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
    """One comparison: a ratio per round, and the goals of their median."""

    area: str
    what: str
    ratios: Sequence[float]
    """Peer's cost over ours, higher is better; with ``most`` a growth factor, lower is better."""
    must: float | None = None
    stretch: float | None = None
    most: bool = False

    def verdict(self) -> str:
        """Return whether the median reaches the goals; empty without goals."""
        if self.must is None:
            return ""
        middle = median(self.ratios)
        if self.most:
            return "pass" if middle <= self.must else "FAIL"
        if self.stretch is not None and middle >= self.stretch:
            return "stretch"
        return "pass" if middle >= self.must else "FAIL"


def record(row: Row) -> None:
    """Append a row to the file of the current ``make bench`` run, if there is one."""
    if name := os.environ.get(FILE_VARIABLE):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")


def recorded(path: Path) -> list[Row]:
    """Read the recorded rows."""
    return [Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def markdown(rows: Sequence[Row], *, judged: bool) -> str:
    """Format rows as one Markdown table."""
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
