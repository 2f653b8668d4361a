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
    load_trained(built, pretrained(project, model))
    setting, regime = "trained with Synthetic", SYNTHETIC
    if not built.trainable_names():  # the oracle: its masks are chosen by the truth
        automatic = built.prompt == "automatic"
        setting = "max-IoU selection" if automatic else f"{built.prompt} of the truth"
        regime = "none"
    labels = Labels("zeroshot", model, model, benchmark, setting, regime)
    path = score_path(project, "zeroshot", f"{model}-{benchmark}")
    return score_split(project, built, labels, path)
