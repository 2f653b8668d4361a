"""The tables of the papers, with our value beside every published one."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from itertools import product
from typing import Any

import pandas as pd

from avsynth.reports.claims import Claim
from avsynth.reports.fact_text import benchmark_title, input_text, training_text
from avsynth.reports.page.tables import (
    NOTHING,
    Cell,
    Column,
    EstimateCell,
    PublishedCell,
    Table,
    Unit,
)
from avsynth.reports.papers import (
    TITLES,
    contradictions,
    matches,
    matches_at_other_input,
    published_by_claim,
)
from avsynth.reports.per_category import our_categories
from avsynth.reports.read_scores import groups
from avsynth.reports.results import protocol_note
from avsynth.reports.score_cells import Scorer

Place = tuple[tuple[str, ...], tuple[str, ...]]
"""Line and column of a published value."""


def paper_tables(papers: pd.DataFrame, rows: pd.DataFrame, scorer: Scorer) -> list[Table]:
    """Build every table of the papers, in their order; ``rows`` may be empty."""
    ours = _Ours(rows, scorer)
    every = published_by_claim(papers)
    return [
        _paper_table(group, every, ours)
        for _, group in papers.groupby(["paper", "table"], sort=False)
    ]


def contradiction_table(papers: pd.DataFrame) -> Table:
    """Build the table of values that a paper publishes twice, differently."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            claim.paper,
            claim.system,
            input_text(asdict(claim)),
            benchmark_title(claim.benchmark),
            training_text(asdict(claim)),
            _METRICS.get(claim.metric, claim.metric),
            published.source,
        )
        for claim, published in contradictions(papers).items()
    )
    return Table(
        "contradictions",
        "Values that a paper publishes twice, differently",
        (
            Column("paper", "Paper"),
            Column("system", "System"),
            Column("input", "Input"),
            Column("benchmark", "Benchmark"),
            Column("training", "Training"),
            Column("metric", "Metric"),
            Column("published", "Published"),
        ),
        rows,
        "Nothing is chosen between them: every table here shows all the values.",
    )


_METRICS = {"MJ": "M_J, %", "MF": "M_F"}


_MEASURES: dict[str, tuple[str, Unit]] = {
    "MJ": ("meter_iou", "percent"),
    "MF": ("meter_f", "fraction"),
}


class _Ours:
    """Finds our value for a claim; each run and measure is computed once."""

    def __init__(self, rows: pd.DataFrame, scorer: Scorer) -> None:
        self.runs = list(groups(our_categories(rows))) if len(rows) else []
        self.scorer = scorer
        self.note = protocol_note(rows) if len(rows) else ""
        self.known: dict[tuple[int, str, str], Cell] = {}

    def cell(self, claim: Claim) -> Cell:
        """Return the value of the first run that matches a claim.

        Without one, a run of the same experiment at another input replaces it, marked.
        """
        if claim.metric not in _MEASURES:
            return NOTHING
        for accepts in (matches, matches_at_other_input):
            for number, (run, rows) in enumerate(self.runs):
                if accepts(claim, run):
                    return _marked(self._measured(number, rows, claim), claim, run)
        return NOTHING

    def _measured(self, number: int, rows: pd.DataFrame, claim: Claim) -> Cell:
        key = number, claim.metric, claim.category
        if key not in self.known:
            chosen = rows[rows["category"] == claim.category] if claim.category else rows
            measure, unit = _MEASURES[claim.metric]
            self.known[key] = self.scorer.cell(chosen, measure, unit) if len(chosen) else NOTHING
        return self.known[key]


def _marked(cell: Cell, claim: Claim, run: Mapping[str, Any]) -> Cell:
    """Mark the value of a run whose input is not the claim's."""
    if matches(claim, run) or not isinstance(cell, EstimateCell):
        return cell
    return replace(cell, mark=f"at {input_text(run)}")


def _place(record: pd.Series) -> Place:
    """Return the line and column of a value; a table of categories has one line for each."""
    if record["split"].startswith("test/"):
        line: tuple[str, ...] = (record["split"].removeprefix("test/"),)
        return line, (record["system"], record["setting"], record["metric"])
    return (record["system"], record["setting"]), (
        record["benchmark"],
        record["split"],
        record["metric"],
    )


def _paper_table(group: pd.DataFrame, every: dict[Claim, PublishedCell], ours: _Ours) -> Table:
    paper, number = group.iloc[0][["paper", "table"]]
    places = [(_place(record), record) for _, record in group.iterrows()]
    lines = list(dict.fromkeys(place[0] for place, _ in places))
    heads = list(dict.fromkeys(place[1] for place, _ in places))
    published: dict[Place, Cell] = {}
    measured: dict[Place, Cell] = {}
    for place, record in places:
        claim = record["claim"]
        disputed = every[claim]
        alone = PublishedCell(((record["value"], number),), record["metric"])
        published[place] = disputed if disputed.disputed else alone
        measured[place] = ours.cell(claim)
    filled = {
        head
        for line, head in product(lines, heads)
        if measured.get((line, head), NOTHING) != NOTHING
    }
    by_category = len(lines[0]) == 1
    columns = [Column("category", "Category")] if by_category else [
        Column("system", "System"), Column("setting", "Setting")
    ]  # fmt: skip
    for head in heads:
        title, name = _heading(head, by_category)
        columns.append(Column(name, title))
        if head in filled:
            columns.append(Column(f"{name}_ours", "ours", f"{title}, ours"))
    body = []
    for line in lines:
        cells: list[Cell] = list(line)
        for head in heads:
            cells.append(published.get((line, head), NOTHING))
            if head in filled:
                cells.append(measured.get((line, head), NOTHING))
        body.append(tuple(cells))
    where = number if number.startswith("text") else f"table {number}"
    slug = f"paper-{paper}-{number}".lower().replace(" ", "-").replace(".", "-")
    return Table(
        slug,
        f"{paper}, {where}: {TITLES.get((paper, number), '')}",
        tuple(columns),
        tuple(body),
        _note(ours.note, measured.values()),
        folded=not filled,
    )


def _note(protocols: str, cells: Collection[Cell]) -> str:
    """Return a table's note on our values."""
    if all(cell == NOTHING for cell in cells):
        return "None of our runs is an experiment of this table."
    text = f"Ours: {protocols}."
    if any(isinstance(cell, EstimateCell) and cell.mark for cell in cells):
        text += " A value marked with an input is of a run at another input than the table's: "
        text += "it is another experiment and does not compare."
    return text


def _heading(head: tuple[str, ...], by_category: bool) -> tuple[str, str]:
    """Return the name of a column for people and for the csv."""
    first, second, metric = head
    shown = _METRICS.get(metric, metric)
    if by_category:
        title = f"{first}, {second.removeprefix('trained with ')}"
    else:
        title = shown if first == "-" else f"{first.removeprefix('AVSBench ')} {shown}"
        if second not in ("test", "-", "unseen", "all", "test (250)"):
            title += f" ({second})"
    name = "_".join(part for part in (*head,) if part != "-").lower()
    return title, "".join(c if c.isalnum() else "_" for c in name)
