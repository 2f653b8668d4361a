"""Stage ``train``: train a model on AVS-Synthetic and score its test split."""

import pandas as pd

from avsynth.config import Params, Runtime
from avsynth.evaluation import Labels
from avsynth.paths import Layout
from avsynth.pipelines.experiment import (
    SYNTHETIC,
    Project,
    Task,
    fit,
    funnel,
    model_params,
    score_split,
)
from avsynth.ranks import joined


def train(model: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``runs/train/<model>`` and ``reports/scores/test/<model>.csv``.

    Raises:
        ConfigError: params.yaml has no such model.
        DataError: the shards are absent or damaged.
        AvsynthError: the loss is not finite, or memory ran out.
    """
    project = Project(params, layout, runtime)
    training = model_params(project, model).train
    folder = layout.runs / "train" / model
    with joined(runtime.device) as ranks:
        trained, _ = fit(project, Task(model, SYNTHETIC, folder, training), ranks)
        if not ranks.leads:
            return funnel([])
        labels = Labels("test", model, model, SYNTHETIC, "trained on AVS-Synthetic", SYNTHETIC)
        return score_split(project, trained, labels, layout.scores / "test" / f"{model}.csv")
