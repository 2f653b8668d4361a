"""Scoring of a model on a split: its rows and its example masks."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from avsynth.core.funnel import make_funnel
from avsynth.core.tables import write_table
from avsynth.evaluation.evaluate import score
from avsynth.evaluation.predictions import best_median_worst, predict, write_predictions
from avsynth.formats.shards import ShardReader
from avsynth.loading.batch import AvsModel
from avsynth.loading.dataset import SampleSpec, ShardDataset, SplitData
from avsynth.loading.sampler import list_groups
from avsynth.metrics.rows import FrameRow
from avsynth.pipelines.shared.project import Project, dataset_folder
from avsynth.pipelines.shared.run_spec import TEST_SPLIT, RunSpec, facts_of

STAGES_WITH_IMAGES = ("test", "zeroshot")
"""Stages whose best, median and worst frames are kept as images."""


def open_split(project: Project, model: AvsModel, benchmark: str, split: str) -> SplitData:
    """Open a split to score a model on: whole clips, fixed pairs, masks at the scoring size."""
    reader = ShardReader(dataset_folder(project, benchmark), split)
    view = SampleSpec(model.input_size, score_size(project), model.needs_waveform)
    return SplitData(ShardDataset(reader, view), list_groups(reader, whole_clips=True))


def score_size(project: Project) -> tuple[int, int] | None:
    """Return the size at which masks are compared; None for each image's own."""
    side = project.params.evaluate.frame_size
    return None if side is None else (side, side)


def score_split(project: Project, model: AvsModel, spec: RunSpec) -> pd.DataFrame:
    """Score a model as `score_rows` does; return the stage's funnel."""
    return counted(spec, score_rows(project, model, spec))


def score_rows(project: Project, model: AvsModel, spec: RunSpec) -> list[FrameRow]:
    """Score a model on the run's test split; write its rows and some of its masks."""
    section, runtime = project.params.evaluate, project.runtime
    facts = facts_of(project, spec, model)
    split = open_split(project, model, facts.benchmark, facts.split)
    rows = score(model, split, facts, batch_size=section.batch_size, runtime=runtime)
    write_table(spec.score_path(project), FrameRow, rows, key=("key",))
    if spec.stage in STAGES_WITH_IMAGES:
        keys = best_median_worst(rows, section.example_frames)
        masks = predict(model, split, keys, protocol=facts.protocol, runtime=runtime)
        folder = project.layout.predictions / spec.stage / spec.name
        write_predictions(folder, {f"{key}.png": mask for key, mask in masks})
    return rows


def counted(spec: RunSpec, rows: Sequence[object]) -> pd.DataFrame:
    """Return a funnel with the number of scored frames."""
    return funnel([(spec.stage, spec.name, "frame", "", TEST_SPLIT, "ok", "", len(rows))])


def funnel(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Return counts as a funnel."""
    return make_funnel(rows)
