"""The mIoU of every category, by what a model was trained on, and the gap to real data."""

from collections.abc import Callable
from functools import partial

import pandas as pd

from avsynth.reports.fact_text import benchmark_title, training_text
from avsynth.reports.page.tables import NOTHING, Cell, Column, Table
from avsynth.reports.read_scores import FACTS, first_run
from avsynth.reports.results import protocol_note
from avsynth.reports.score_cells import Scorer
from avsynth.sources.categories import load_vocabulary

_KINDS = ("synthetic", "real", "real + synthetic")


def category_table(rows: pd.DataFrame, benchmark: str, scorer: Scorer) -> Table:
    """Build the table of mIoU per category of every model by its training, and the gap to real."""
    mine = our_categories(rows[rows["benchmark"] == benchmark])
    mine = mine.assign(kind=mine.apply(_kind, axis=1)) if len(mine) else mine
    columns = [Column("category", "Category")]
    makers: list[Callable[[pd.DataFrame], Cell]] = []
    for model in sorted(mine["model"].unique()):
        of_model = set(mine.loc[mine["model"] == model, "kind"])
        kinds = [kind for kind in _KINDS if kind in of_model] or sorted(of_model)
        for kind in kinds:
            columns.append(Column(f"{model}_{kind}", f"{model}, {kind}"))
            makers.append(partial(_category_cell, model=model, kind=kind, scorer=scorer))
        if {"synthetic", "real"} <= set(kinds):
            columns.append(Column(f"{model}_gap", "synthetic − real"))
            makers.append(partial(_category_gap, model=model, scorer=scorer))
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


def _kind(run: pd.Series) -> str:
    """Return what a run was trained on: one of `_KINDS`, or its training in words."""
    synthetic = "synthetic" in (run["pretrained_on"], run["trained_on"])
    text = training_text({str(name): run[name] for name in FACTS})
    if run["ablation"] or run["finetuned_on"] or run["real_percent"] not in (0, 100):
        return text
    if run["real_percent"] == 100:
        return "real + synthetic" if synthetic else "real"
    return "synthetic" if synthetic else text


def _category_cell(group: pd.DataFrame, *, model: str, kind: str, scorer: Scorer) -> Cell:
    chosen = _chosen(group, model, kind)
    return scorer.cell(chosen, "miou", bar=True) if len(chosen) else NOTHING


def _category_gap(group: pd.DataFrame, *, model: str, scorer: Scorer) -> Cell:
    synthetic, real = (_chosen(group, model, kind) for kind in ("synthetic", "real"))
    both = len(synthetic) and len(real)
    return scorer.difference(real, synthetic, "miou") if both else NOTHING


def _chosen(group: pd.DataFrame, model: str, kind: str) -> pd.DataFrame:
    return first_run(group[(group["model"] == model) & (group["kind"] == kind)])


def our_categories(rows: pd.DataFrame) -> pd.DataFrame:
    """Rename the labels of AVSBench to avsynth's categories; keep all others."""
    ours = load_vocabulary().label_to_category("avsbench")
    return rows.assign(category=rows["category"].map(lambda label: ours.get(label, label)))
