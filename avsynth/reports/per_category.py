"""The mIoU of every category, by what a model was trained on, and the gap to real data."""

from collections.abc import Callable
from functools import partial

import pandas as pd

from avsynth.reports.page.tables import NOTHING, Cell, Column, Table
from avsynth.reports.read_scores import first_run
from avsynth.reports.results import benchmark_title, protocol_note
from avsynth.reports.score_cells import Judge
from avsynth.sources.categories import load_vocabulary

TRAININGS = {
    "synthetic": (
        "trained with Synthetic",
        "0% real, w/ P.T.",
        "trained on AVS-Synthetic",
    ),
    "real": ("trained with Real", "100% real, w/o P.T."),
    "real + synthetic": ("trained with Real + Syn", "100% real, w/ P.T."),
}
"""What the words of ``setting`` say that a model was trained on."""


def category_table(rows: pd.DataFrame, benchmark: str, judge: Judge) -> Table:
    """Lay out the mIoU per category of every model by its training, and the gap to real."""
    mine = _our_categories(rows[rows["benchmark"] == benchmark])
    models = sorted(mine["model"].unique())
    columns = [Column("category", "Category")]
    makers: list[Callable[[pd.DataFrame], Cell]] = []
    for model in models:
        of_model = mine[mine["model"] == model]
        settings = sorted(of_model["setting"].unique())
        kinds = {name: words for name, words in TRAININGS.items() if set(words) & set(settings)}
        kinds = kinds or {setting or "as it is": (setting,) for setting in settings}
        for name, words in kinds.items():
            columns.append(Column(f"{model}_{name}", f"{model}, {name}"))
            makers.append(partial(_category_cell, model=model, words=words, judge=judge))
        if {"synthetic", "real"} <= set(kinds):
            columns.append(Column(f"{model}_gap", "synthetic − real"))
            makers.append(partial(_category_gap, model=model, judge=judge))
    lines = [
        (str(category), *(make(group) for make in makers), group["clip_key"].nunique())
        for category, group in mine.groupby("category", sort=True)
    ]
    return Table(
        f"categories-{benchmark}",
        f"{benchmark_title(benchmark)}, mIoU % per category",
        (*columns, Column("clips", "Clips")),
        tuple(lines),
        protocol_note(mine),
    )


def _category_cell(
    group: pd.DataFrame, *, model: str, words: tuple[str, ...], judge: Judge
) -> Cell:
    chosen = first_run(group[(group["model"] == model) & group["setting"].isin(words)])
    return judge.cell(chosen, "miou", bar=True) if len(chosen) else NOTHING


def _category_gap(group: pd.DataFrame, *, model: str, judge: Judge) -> Cell:
    synthetic, real = (
        first_run(group[(group["model"] == model) & group["setting"].isin(TRAININGS[name])])
        for name in ("synthetic", "real")
    )
    both = len(synthetic) and len(real)
    return judge.difference(real, synthetic, "miou") if both else NOTHING


def _our_categories(rows: pd.DataFrame) -> pd.DataFrame:
    """Rename the labels of AVSBench to our categories; others stay as they are."""
    ours = load_vocabulary().label_to_category("avsbench")
    return rows.assign(category=rows["category"].map(lambda label: ours.get(label, label)))
