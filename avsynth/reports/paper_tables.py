"""Each table of the papers with our value beside every printed one."""

from itertools import product

import pandas as pd

from avsynth.reports.page.tables import NOTHING, Cell, Column, Printed, Table
from avsynth.reports.papers import (
    TITLES,
    answers,
    claim_of,
    contradictions,
    printed_by_claim,
)
from avsynth.reports.read_scores import groups
from avsynth.reports.results import protocol_note
from avsynth.reports.score_cells import Judge

Place = tuple[tuple[str, ...], tuple[str, ...]]
"""Line and column of a printed value."""


def paper_tables(papers: pd.DataFrame, rows: pd.DataFrame, judge: Judge) -> list[Table]:
    """Lay out every table of the papers, in their order; ``rows`` may be empty."""
    ours = _Ours(rows, judge)
    every = printed_by_claim(papers)
    return [
        _paper_table(group, every, ours)
        for _, group in papers.groupby(["paper", "table"], sort=False)
    ]


def contradiction_table(papers: pd.DataFrame) -> Table:
    """Lay out the values that a paper prints twice, differently."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            claim.paper,
            f"{claim.system} ({claim.size})" if claim.size else claim.system,
            claim.benchmark,
            claim.training,
            _METRICS.get(claim.metric, claim.metric),
            printed.source,
        )
        for claim, printed in contradictions(papers).items()
    )
    return Table(
        "contradictions",
        "Values that a paper prints twice, differently",
        (
            Column("paper", "Paper"),
            Column("system", "System (input side)"),
            Column("benchmark", "Benchmark"),
            Column("training", "Training"),
            Column("metric", "Metric"),
            Column("printed", "Printed"),
        ),
        rows,
        "Nothing is chosen between them: every table here shows all the values.",
    )


_METRICS = {"MJ": "M_J, %", "MF": "M_F"}


class _Ours:
    """Answers printed values from our rows, each run and measure computed once."""

    def __init__(self, rows: pd.DataFrame, judge: Judge) -> None:
        self.runs = list(groups(rows)) if len(rows) else []
        self.judge = judge
        self.note = protocol_note(rows) if len(rows) else ""
        self.known: dict[tuple[int, str, str], Cell] = {}

    def cell(self, record: pd.Series) -> Cell:
        """Measure the first run of ours that a printed value is answered by."""
        claim = claim_of(record)
        if claim.metric not in _METRICS:
            return NOTHING
        for number, (run, rows) in enumerate(self.runs):
            if answers(claim, run):
                category = claim.split.partition("/")[2]
                return self._measured(number, rows, claim.metric, category)
        return NOTHING

    def _measured(self, number: int, rows: pd.DataFrame, metric: str, category: str) -> Cell:
        key = number, metric, category
        if key not in self.known:
            chosen = rows[rows["category"] == category] if category else rows
            by_metric = {"MJ": ("meter_iou", "percent"), "MF": ("meter_f", "fraction")}
            measure, unit = by_metric[metric]
            self.known[key] = (
                self.judge.cell(chosen, measure, unit) if len(chosen) else NOTHING  # type: ignore[arg-type]
            )
        return self.known[key]


def _place(record: pd.Series) -> Place:
    """Say where a value stands; a table of categories has them as lines."""
    if record["split"].startswith("test/"):
        line: tuple[str, ...] = (record["split"].removeprefix("test/"),)
        return line, (record["system"], record["setting"], record["metric"])
    return (record["system"], record["setting"]), (
        record["benchmark"],
        record["split"],
        record["metric"],
    )


def _paper_table(group: pd.DataFrame, every: dict, ours: _Ours) -> Table:  # type: ignore[type-arg]
    paper, number = group.iloc[0][["paper", "table"]]
    places = [(_place(record), record) for _, record in group.iterrows()]
    lines = list(dict.fromkeys(place[0] for place, _ in places))
    heads = list(dict.fromkeys(place[1] for place, _ in places))
    printed: dict[Place, Cell] = {}
    measured: dict[Place, Cell] = {}
    for place, record in places:
        claim = claim_of(record)
        disputed = every[claim]
        alone = Printed(((record["value"], number),), record["metric"])
        printed[place] = disputed if disputed.disputed else alone
        measured[place] = ours.cell(record)
    answered = {
        head for line, head in product(lines, heads) if measured.get((line, head), "–") != NOTHING
    }
    by_category = len(lines[0]) == 1
    columns = [Column("category", "Category")] if by_category else [
        Column("system", "System"), Column("setting", "Setting")
    ]  # fmt: skip
    for head in heads:
        title, name = _heading(head, by_category)
        columns.append(Column(name, title))
        if head in answered:
            columns.append(Column(f"{name}_ours", "ours", f"{title}, ours"))
    body = []
    for line in lines:
        cells: list[Cell] = list(line)
        for head in heads:
            cells.append(printed.get((line, head), NOTHING))
            if head in answered:
                cells.append(measured.get((line, head), NOTHING))
        body.append(tuple(cells))
    where = number if number.startswith("text") else f"table {number}"
    slug = f"paper-{paper}-{number}".lower().replace(" ", "-").replace(".", "-")
    return Table(
        slug,
        f"{paper}, {where}: {TITLES.get((paper, number), '')}",
        tuple(columns),
        tuple(body),
        f"Ours: {ours.note}." if answered else "None of our runs answers a value of this table.",
        folded=not answered,
    )


def _heading(head: tuple[str, ...], by_category: bool) -> tuple[str, str]:
    """Name a column for people and for the csv."""
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
