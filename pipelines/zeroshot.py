"""Stage ``zeroshot``: a model that has only seen AVS-Synthetic, on a real benchmark."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from avsynth.benchmarks import BENCHMARKS
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_table
from avsynth.evaluation.evaluate import localise
from avsynth.evaluation.predictions import best_median_worst, write_predictions
from avsynth.loading.batch import AvsModel
from avsynth.metrics.localisation import SIDE_PX
from avsynth.metrics.rows import Labels, LocalisationRow
from avsynth.models.checkpoints import load_trained
from avsynth.pipelines.shared.models import build_model, training_of
from avsynth.pipelines.shared.project import Project, dataset_folder, pretrained, score_path
from avsynth.pipelines.shared.scoring import counted, open_split, score_split
from avsynth.runtime.options import Runtime


def zeroshot(
    model: str, benchmark: str, params: Params, layout: Layout, runtime: Runtime
) -> pd.DataFrame:
    """Write ``reports/scores/zeroshot/<model>-<benchmark>.csv``.

    The rows are `avsynth.metrics.rows.FrameRow`; of a benchmark whose truth is boxes,
    `avsynth.metrics.rows.LocalisationRow`.

    Raises:
        ConfigError: params.yaml has no such model, or there is no such benchmark.
        CheckpointError: the model has not been trained, or the weights are of another.
        DataError: the benchmark's shards are absent or damaged.
    """
    project = Project(params, layout, runtime)
    dataset_folder(project, benchmark)
    built = build_model(project, model)
    load_trained(built, pretrained(project, model))
    setting, regime = training_of(built, "trained with Synthetic")
    labels = Labels("zeroshot", model, model, benchmark, setting, regime)
    path = score_path(project, "zeroshot", f"{model}-{benchmark}")
    scored = _localise_split if BENCHMARKS[benchmark].boxes else score_split
    return scored(project, built, labels, path)


def _localise_split(project: Project, model: AvsModel, labels: Labels, path: Path) -> pd.DataFrame:
    """Score a model's heat maps; write its rows and some of its predictions."""
    section = project.params.evaluate
    split = open_split(project, model, labels.benchmark, labels.split)
    split.dataset.spec = replace(split.dataset.spec, frame_size=(SIDE_PX, SIDE_PX))
    answers = localise(model, split, labels, batch_size=section.batch_size, runtime=project.runtime)
    rows, masks = [], {}
    for row, mask in answers:
        rows.append(row)
        masks[row.key] = mask
    write_table(path, LocalisationRow, rows, key=("key",))
    keys = best_median_worst(rows, section.pictures, by="ciou")
    folder = project.layout.predictions / labels.stage / path.stem
    write_predictions(folder, {f"{key}.png": masks[key] for key in keys})
    return counted(labels, rows)
