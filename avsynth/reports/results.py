"""The tables of our own runs: benchmarks, share of real data, unseen categories."""

import pandas as pd

from avsynth.reports.fact_text import benchmark_title, input_text, training_text
from avsynth.reports.page.tables import NOTHING, Cell, Column, Table
from avsynth.reports.read_scores import first_run, groups
from avsynth.reports.score_cells import CLIPS_PER_BATCH, Scorer


def protocol_note(rows: pd.DataFrame) -> str:
    """Return the protocols, batches and versions that rows were scored with."""
    parts = []
    for protocol, group in rows.groupby("protocol", sort=True):
        clips = CLIPS_PER_BATCH[str(protocol)]
        batch = "1 clip" if clips == 1 else f"{clips} clips"
        versions = sorted(group["version"].unique())
        word = "version" if len(versions) == 1 else "versions"
        parts.append(f"protocol {protocol} ({batch} a batch for M_F), {word} {', '.join(versions)}")
    return "; ".join(parts)


def benchmark_table(rows: pd.DataFrame, benchmark: str, scorer: Scorer, name: str) -> Table:
    """Build the table of a benchmark: the published meters and the batch-invariant measures.

    Args:
        rows: of the stages to show.
        benchmark: a key of `avsynth.benchmarks.BENCHMARKS`.
        scorer: measures the rows.
        name: of the table's csv, before the benchmark's name.
    """
    mine = rows[rows["benchmark"] == benchmark]
    mixed = len(mine[["protocol", "version"]].drop_duplicates()) > 1
    lines = []
    for run, group in groups(mine):
        label = training_text(run)
        if mixed:
            label += f" · {run['protocol']}, {run['version']}"
        lines.append(
            (
                run["run"],
                label,
                input_text(run),
                scorer.cell(group, "meter_iou", bar=True),
                scorer.cell(group, "meter_f", "fraction"),
                scorer.cell(group, "miou_with_truth"),
                scorer.cell(group, "f_dataset", "fraction"),
                scorer.cell(group, "f_at_cut", "fraction"),
                group["clip_key"].nunique(),
            )
        )
    return Table(
        f"{name}-{benchmark}",
        benchmark_title(benchmark),
        (
            Column("run", "Run"),
            Column("training", "Training"),
            Column("input", "Input"),
            Column("m_j", "M_J, %", "mean IoU over batches, as published"),
            Column("m_f", "M_F", "best shared threshold of each batch, as published"),
            Column("miou_with_truth", "mIoU, %", "frames with an empty ground truth left out"),
            Column("f_dataset", "F, one threshold", "one best threshold for all frames"),
            Column("f_at_cut", "F of the mask", "no threshold chosen"),
            Column("clips", "Clips"),
        ),
        tuple(lines),
        protocol_note(mine),
    )


def few_shot_table(rows: pd.DataFrame, benchmark: str, scorer: Scorer) -> Table:
    """Build the table of runs by share of real data, with and without synthetic pre-training."""
    lines: list[tuple[Cell, ...]] = []
    mine = few_shot_rows(rows)
    mine = mine[mine["benchmark"] == benchmark]
    for (model, percent), group in mine.groupby(["model", "real_percent"], sort=True):
        without, with_ = (first_run(group[group["pretrained"] == flag]) for flag in (False, True))
        cells: list[Cell] = []
        for part in (without, with_):
            cells.append(scorer.cell(part, "meter_iou") if len(part) else NOTHING)
            cells.append(scorer.cell(part, "meter_f", "fraction") if len(part) else NOTHING)
        both = len(without) and len(with_)
        gain: Cell = scorer.difference(without, with_, "miou") if both else NOTHING
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
    """Select the rows of the stage ``fewshot``; add ``pretrained``: whether on AVS-Synthetic."""
    chosen = rows[rows["stage"] == "fewshot"]
    pretrained = (chosen[["pretrained_on", "trained_on"]] == "synthetic").any(axis=1)
    return chosen.assign(pretrained=pretrained)


def unseen_table(rows: pd.DataFrame, scorer: Scorer) -> Table:
    """Build the table of runs on categories without training frames, each with its class set."""
    mine = rows[rows["benchmark"].str.startswith("v3")]
    lines = [
        (
            run["run"],
            int(run["shots"]),
            scorer.cell(group, "meter_iou", bar=True),
            scorer.cell(group, "meter_f", "fraction"),
            group["clip_key"].nunique(),
            _class_set(group),
        )
        for run, group in groups(mine)
    ]
    return Table(
        "unseen",
        "Categories without training frames",
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
