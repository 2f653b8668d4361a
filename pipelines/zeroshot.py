"""Stage ``zeroshot``: score a model that was trained on AVS-Synthetic alone on real data."""

from dataclasses import replace

import pandas as pd

from avsynth.benchmarks import BENCHMARKS
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_table
from avsynth.evaluation.evaluate import localise
from avsynth.evaluation.predictions import best_median_worst, write_predictions
from avsynth.loading.batch import AvsModel
from avsynth.metrics.localisation import SIDE_PX
from avsynth.metrics.rows import LocalisationRow
from avsynth.models.checkpoints import load_trained
from avsynth.pipelines.shared.models import build_model
from avsynth.pipelines.shared.project import SYNTHETIC, Project, dataset_folder, pretrained
from avsynth.pipelines.shared.run_spec import RunSpec, facts_of
from avsynth.pipelines.shared.scoring import counted, open_split, score_split
from avsynth.runtime.options import Runtime


def zeroshot(
    model: str, benchmark: str, params: Params, layout: Layout, runtime: Runtime
) -> pd.DataFrame:
    """Write ``reports/scores/zeroshot/<model>-<benchmark>.csv``.

    The rows are `avsynth.metrics.rows.FrameRow`; of a benchmark whose ground truth is boxes,
    `avsynth.metrics.rows.LocalisationRow`.

    Raises:
        ConfigError: params.yaml has no such model, or the benchmark is unknown.
        CheckpointError: the model has not been trained, or the weights belong to another model.
        DataError: the benchmark's shards are absent or damaged.
    """
    project = Project(params, layout, runtime)
    dataset_folder(project, benchmark)
    built = build_model(project, model)
    load_trained(built, pretrained(project, model))
    boxes = BENCHMARKS[benchmark].boxes
    spec = RunSpec(
        "zeroshot", f"{model}-{benchmark}", model, benchmark, earlier=(SYNTHETIC,),
        protocol="consensus" if boxes else "",
    )  # fmt: skip
    return (_localise_split if boxes else score_split)(project, built, spec)


def _localise_split(project: Project, model: AvsModel, spec: RunSpec) -> pd.DataFrame:
    """Score a model's heat maps; write its rows and some of its predictions."""
    section, facts = project.params.evaluate, facts_of(project, spec, model)
    split = open_split(project, model, facts.benchmark, facts.split)
    split.dataset.spec = replace(split.dataset.spec, frame_size=(SIDE_PX, SIDE_PX))
    rows, masks = [], {}
    for row, mask in localise(
        model, split, facts, batch_size=section.batch_size, runtime=project.runtime
    ):
        rows.append(row)
        masks[row.key] = mask
    write_table(spec.score_path(project), LocalisationRow, rows, key=("key",))
    keys = best_median_worst(rows, section.example_frames, by="ciou")
    folder = project.layout.predictions / spec.stage / spec.name
    write_predictions(folder, {f"{key}.png": masks[key] for key in keys})
    return counted(spec, rows)
