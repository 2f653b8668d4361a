"""Score a model on a split and write its rows and its example masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from avsynth.core.funnel import make_funnel
from avsynth.core.tables import write_table
from avsynth.evaluation.evaluate import score
from avsynth.evaluation.predictions import best_median_worst, predict, write_predictions
from avsynth.formats.shards import ShardReader
from avsynth.loading.dataset import ShardDataset, Split, View
from avsynth.loading.sampler import list_groups
from avsynth.metrics.rows import FrameRow, Labels
from avsynth.pipelines.shared.project import Project, dataset_folder

SHOWN = ("test", "zeroshot")
"""Stages whose best, median and worst frames are kept as pictures."""


def open_split(project: Project, model: Any, benchmark: str, split: str) -> Split:
    """Open a split to score a model on: whole clips, fixed pairs, masks at the scoring size."""
    reader = ShardReader(dataset_folder(project, benchmark), split)
    view = View(model.input_size, score_size(project), model.needs_waveform)
    return Split(ShardDataset(reader, view), list_groups(reader, whole_clips=True))


def score_size(project: Project) -> tuple[int, int] | None:
    """Say at which size masks are compared."""
    side = project.params.evaluate.frame_size
    return None if side is None else (side, side)


def score_split(project: Project, model: Any, labels: Labels, path: Path) -> pd.DataFrame:
    """Do as `score_rows`; return the stage's funnel."""
    return counted(labels, score_rows(project, model, labels, path))


def score_rows(project: Project, model: Any, labels: Labels, path: Path) -> list[FrameRow]:
    """Score a model on the split that the labels name; write its rows and some of its masks."""
    section, runtime = project.params.evaluate, project.runtime
    split = open_split(project, model, labels.benchmark, labels.split)
    rows = score(
        model,
        split,
        labels,
        protocol=section.protocol,
        batch_size=section.batch_size,
        runtime=runtime,
    )
    write_table(path, FrameRow, rows, key=("key",))
    if labels.stage in SHOWN:
        keys = best_median_worst(rows, section.pictures)
        masks = predict(model, split, keys, protocol=section.protocol, runtime=runtime)
        folder = project.layout.predictions / labels.stage / path.stem
        write_predictions(folder, {f"{key}.png": mask for key, mask in masks})
    return rows


def counted(labels: Labels, rows: Sequence[object]) -> pd.DataFrame:
    """Lay out how many frames were scored as a funnel."""
    row = (labels.stage, labels.run, "frame", "", labels.split, "ok", "", len(rows))
    return funnel([row])


def funnel(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Lay out counts as a funnel."""
    return make_funnel(rows)
