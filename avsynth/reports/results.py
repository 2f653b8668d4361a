"""The tables of our own runs: benchmarks, categories, real data, unseen classes, sounds."""

import re
from collections.abc import Callable
from functools import partial

import pandas as pd

from avsynth.categories import load_vocabulary
from avsynth.reports.cells import NOTHING, Cell, Column, Measured, Table
from avsynth.reports.judging import (
    CLIPS_PER_BATCH,
    Judge,
    false_frac,
    predicted_frac,
    shows_mask,
)
from avsynth.reports.rows import SOUNDS, groups

FEW_SHOT = re.compile(r"(\d+)% real, w(/|/o) P\.T\.")
"""``setting`` of a few-shot run: the share of real data, with or without pre-training."""
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
_BENCHMARK_TITLES = {
    "synthetic": "AVS-Synthetic",
    "s4": "AVSBench S4",
    "ms3": "AVSBench MS3",
    "v2": "AVSS V2",
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
    chosen = _first_run(group[(group["model"] == model) & group["setting"].isin(words)])
    return judge.cell(chosen, "miou", bar=True) if len(chosen) else NOTHING


def _category_gap(group: pd.DataFrame, *, model: str, judge: Judge) -> Cell:
    synthetic, real = (
        _first_run(group[(group["model"] == model) & group["setting"].isin(TRAININGS[name])])
        for name in ("synthetic", "real")
    )
    both = len(synthetic) and len(real)
    return judge.difference(real, synthetic, "miou") if both else NOTHING


def few_shot_table(rows: pd.DataFrame, benchmark: str, judge: Judge) -> Table:
    """Lay out the runs by share of real data, with and without synthetic pre-training."""
    lines: list[tuple[Cell, ...]] = []
    mine = few_shot_rows(rows)
    mine = mine[mine["benchmark"] == benchmark]
    for (model, percent), group in mine.groupby(["model", "percent"], sort=True):
        without, with_ = (_first_run(group[group["pretrained"] == flag]) for flag in (False, True))
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


def sound_table(sounds: pd.DataFrame, blind: dict[str, float], judge: Judge) -> Table:
    """Lay out what each run predicts for the same pictures with another sound.

    Args:
        sounds: rows of the audio test.
        blind: run to the best mean IoU of an answer that does not listen.
        judge: measures the rows.
    """
    lines: list[tuple[Cell, ...]] = []
    nan = float("nan")
    for run, of_run in groups(sounds):
        for sound in SOUNDS:
            group = of_run[of_run["sound"] == sound]
            if len(group):
                cells = _sound_cells(group, sound, judge)
                lines.append((run["run"], _SOUND_WORDS[sound], *cells, len(group)))
    for value in sorted(set(blind.values())):
        runs = "any" if len(set(blind.values())) == 1 else _runs_with(blind, value)
        bound = Measured(value, nan, nan, "percent", bar=True)
        rest = (NOTHING, NOTHING, NOTHING, NOTHING)
        lines.append((runs, "best answer that is deaf", bound, *rest))
    return Table(
        "audio-test",
        "The same pictures with another sound",
        (
            Column("run", "Run"),
            Column("sound", "Sound"),
            Column("miou", "IoU with the object, %", "high with its own sound, low with others"),
            Column("predicted", "Picture predicted, %", "share of the pixels said to sound"),
            Column("false_px", "False pixels, %", "share of the silent pixels said to sound"),
            Column("false_frames", "False alarms, %", "frames with a mask that nothing sounds for"),
            Column("frames", "Frames"),
        ),
        tuple(lines),
        "With its own sound, pixels outside the object are false. With silence, noise or a sound "
        "of another category nothing in the picture should be marked, so every pixel is silent and "
        "every mask of at least 1 % of the picture is a false alarm. The best deaf answer is one "
        "mask per picture, chosen with the truth at hand to fit all of its sounds.",
    )


def _runs_with(blind: dict[str, float], value: float) -> str:
    return ", ".join(run for run in sorted(blind) if blind[run] == value)


_SOUND_WORDS = {
    "own": "its own",
    "silence": "silence",
    "noise": "white noise",
    "other": "another category",
}


def _sound_cells(group: pd.DataFrame, sound: str, judge: Judge) -> tuple[Cell, ...]:
    own = sound == "own"
    return (
        judge.cell(group, "miou", bar=True),
        judge.share(group, predicted_frac),
        judge.share(group, false_frac if own else predicted_frac),
        NOTHING if own else judge.share(group, shows_mask),
    )


def _first_run(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of one scored run: the first, where several were scored alike."""
    return next((group for _, group in groups(rows)), rows)


def _our_categories(rows: pd.DataFrame) -> pd.DataFrame:
    """Rename the labels of AVSBench to our categories; others stay as they are."""
    ours = load_vocabulary().label_to_category("avsbench")
    return rows.assign(category=rows["category"].map(lambda label: ours.get(label, label)))


def _class_set(rows: pd.DataFrame) -> str:
    names = sorted(rows["category"].unique())
    return f"{len(names)}: {', '.join(names)}"
