"""Stage ``zeroshot``: a model that has only seen AVS-Synthetic, on a real benchmark."""

import pandas as pd

from avsynth.config import Params, Runtime
from avsynth.evaluation import Labels
from avsynth.models.checkpoints import load_trained
from avsynth.paths import Layout
from avsynth.pipelines.experiment import (
    SYNTHETIC,
    Project,
    build_model,
    pretrained,
    score_path,
    score_split,
)

ORACLE = "sam_oracle"
"""Does not train: its masks are chosen by the truth."""


def zeroshot(
    model: str, benchmark: str, params: Params, layout: Layout, runtime: Runtime
) -> pd.DataFrame:
    """Write ``reports/scores/zeroshot/<model>-<benchmark>.csv``.

    Raises:
        ConfigError: params.yaml has no such model, or there is no such benchmark.
        CheckpointError: the model has not been trained, or the weights are of another.
        DataError: the benchmark's shards are absent or damaged.
    """
    project = Project(params, layout, runtime)
    built = build_model(project, model)
    setting, regime = "trained with Synthetic", SYNTHETIC
    if model == ORACLE:
        chosen = built.prompt == "automatic"
        setting = "max-IoU selection" if chosen else f"{built.prompt} of the truth"
        regime = "none"
    else:
        load_trained(built, pretrained(project, model))
    labels = Labels("zeroshot", model, model, benchmark, setting, regime)
    path = score_path(project, "zeroshot", f"{model}-{benchmark}")
    return score_split(project, built, labels, path)
