"""The tables of our own runs: benchmarks, categories, real data, unseen classes, sounds."""

import re

import pandas as pd

from avsynth.reports.page.tables import NOTHING, Cell, Column, Table
from avsynth.reports.read_scores import first_run, groups
from avsynth.reports.score_cells import CLIPS_PER_BATCH, Judge

FEW_SHOT = re.compile(r"(\d+)% real, w(/|/o) P\.T\.")
"""``setting`` of a few-shot run: the share of real data, with or without pre-training."""
_BENCHMARK_TITLES = {
    "synthetic": "AVS-Synthetic",
    "s4": "AVSBench S4",
    "ms3": "AVSBench MS3",
    "v2": "AVSS V2",
    "flickr": "Flickr-SoundNet",
    "v3": "AVSS V3 unseen, 0-shot",
    "v3-1shot": "AVSS V3 unseen, 1-shot",
    "v3-3shot": "AVSS V3 unseen, 3-shot",
    "v3-5shot": "AVSS V3 unseen, 5-shot",
}


def benchmark_title(benchmark: str) -> str:
    """Name a benchmark for people."""
    return _BENCHMARK_TITLES.get(benchmark, benchmark)


def protocol_note(rows: pd.DataFrame) -> str:
    """Say by which protocol, batch and version rows were scored."""
    said = []
    for protocol, group in rows.groupby("protocol", sort=True):
        clips = CLIPS_PER_BATCH[str(protocol)]
        batch = "1 clip" if clips == 1 else f"{clips} clips"
        versions = sorted(group["version"].unique())
        word = "version" if len(versions) == 1 else "versions"
        said.append(f"protocol {protocol} ({batch} a batch for M_F), {word} {', '.join(versions)}")
    return "; ".join(said)


def benchmark_table(rows: pd.DataFrame, benchmark: str, judge: Judge, name: str) -> Table:
    """Lay out runs on a benchmark: the published meters and the batch-invariant measures.

    Args:
        rows: of the stages to show.
        benchmark: a key of `avsynth.benchmarks.BENCHMARKS`.
        judge: measures the rows.
        name: of the table's csv, before the benchmark's name.
    """
    mine = rows[rows["benchmark"] == benchmark]
    mixed = len(mine[["protocol", "version"]].drop_duplicates()) > 1
    lines = []
    for run, group in groups(mine):
        label = run["setting"] or run["stage"]
        if mixed:
            label += f" · {run['protocol']}, {run['version']}"
        lines.append(
            (
                run["run"],
                label,
                judge.cell(group, "meter_iou", bar=True),
                judge.cell(group, "meter_f", "fraction"),
                judge.cell(group, "miou_with_truth"),
                judge.cell(group, "f_dataset", "fraction"),
                judge.cell(group, "f_at_cut", "fraction"),
                group["clip_key"].nunique(),
            )
        )
    return Table(
        f"{name}-{benchmark}",
        benchmark_title(benchmark),
        (
            Column("run", "Run"),
            Column("setting", "Training"),
            Column("m_j", "M_J, %", "mean IoU over batches, as published"),
            Column("m_f", "M_F", "best shared threshold of each batch, as published"),
            Column("miou_with_truth", "mIoU, %", "frames with an empty truth left out"),
            Column("f_dataset", "F, one threshold", "one best threshold for all frames"),
            Column("f_at_cut", "F of the mask", "no threshold chosen"),
            Column("clips", "Clips"),
        ),
        tuple(lines),
        protocol_note(mine),
    )


def few_shot_table(rows: pd.DataFrame, benchmark: str, judge: Judge) -> Table:
    """Lay out the runs by share of real data, with and without synthetic pre-training."""
    lines: list[tuple[Cell, ...]] = []
    mine = few_shot_rows(rows)
    mine = mine[mine["benchmark"] == benchmark]
    for (model, percent), group in mine.groupby(["model", "percent"], sort=True):
        without, with_ = (first_run(group[group["pretrained"] == flag]) for flag in (False, True))
        cells: list[Cell] = []
        for part in (without, with_):
            cells.append(judge.cell(part, "meter_iou") if len(part) else NOTHING)
            cells.append(judge.cell(part, "meter_f", "fraction") if len(part) else NOTHING)
        both = len(without) and len(with_)
        gain: Cell = judge.difference(without, with_, "miou") if both else NOTHING
        lines.append((str(model), f"{percent} %", *cells, gain))
    return Table(
        f"fewshot-{benchmark}",
        f"{benchmark_title(benchmark)} by share of real training data",
        (
            Column("model", "Model"),
            Column("real_percent", "Real data"),
            Column("m_j_without", "M_J %, without"),
            Column("m_f_without", "M_F, without"),
            Column("m_j_with", "M_J %, with"),
            Column("m_f_with", "M_F, with"),
            Column("gain", "Gain, points of mIoU"),
        ),
        tuple(lines),
        protocol_note(mine),
    )


def few_shot_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of few-shot runs, with ``percent`` and ``pretrained``."""
    found = rows["setting"].str.extract(FEW_SHOT)
    chosen = rows[found[0].notna()]
    found = found.loc[chosen.index]
    return chosen.assign(percent=found[0].astype(int), pretrained=found[1] == "/")


def unseen_table(rows: pd.DataFrame, judge: Judge) -> Table:
    """Lay out the runs on classes that training has not seen, each with its class set."""
    mine = rows[rows["benchmark"].str.startswith("v3")]
    lines = [
        (
            run["run"],
            run["setting"] or run["benchmark"],
            judge.cell(group, "meter_iou", bar=True),
            judge.cell(group, "meter_f", "fraction"),
            group["clip_key"].nunique(),
            _class_set(group),
        )
        for run, group in groups(mine)
    ]
    return Table(
        "unseen",
        "Classes that training has not seen",
        (
            Column("run", "Run"),
            Column("shots", "Shots"),
            Column("m_j", "M_J, %"),
            Column("m_f", "M_F"),
            Column("clips", "Clips"),
            Column("classes", "Class set of the test"),
        ),
        tuple(lines),
        protocol_note(mine)
        + ". The official 0-shot test has 14 classes and the k-shot tests 11: compare lines of "
        "one class set only.",
    )


def _class_set(rows: pd.DataFrame) -> str:
    names = sorted(rows["category"].unique())
    return f"{len(names)}: {', '.join(names)}"
