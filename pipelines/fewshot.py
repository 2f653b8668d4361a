"""Stage ``fewshot``: train on a share of real data, with and without synthetic pre-training."""

import pandas as pd

from avsynth.config import Params, Runtime
from avsynth.errors import ConfigError
from avsynth.evaluation import Labels
from avsynth.paths import Layout
from avsynth.pipelines.experiment import (
    SYNTHETIC,
    Project,
    Task,
    fine_tuning,
    fit,
    funnel,
    pretrained,
    score_path,
    score_split,
)
from avsynth.ranks import joined


def fewshot(
    model: str, benchmark: str, percent: str, params: Params, layout: Layout, runtime: Runtime
) -> pd.DataFrame:
    """Write ``runs/fewshot/<model>-<benchmark>-<percent>`` and its rows, with and without.

    With 0 percent the pre-trained model and the untrained one are scored as they are.

    Raises:
        ConfigError: params.yaml has no such model or benchmark, or no percent.
        CheckpointError: the model has not been trained on AVS-Synthetic.
        DataError: the benchmark's shards are absent or damaged.
    """
    if not percent.isdecimal() or int(percent) > 100:
        fix = "Give a whole number."
        raise ConfigError("fewshot", "a percentage from 0 to 100", repr(percent), fix)
    project = Project(params, layout, runtime)
    section = params.fewshot
    training = fine_tuning(project, model, section.epochs, section.lr)
    name = f"{model}-{benchmark}-{percent}"
    counted = []
    for word, sign, start in (("with", "w/", pretrained(project, model)), ("without", "w/o", None)):
        folder = layout.runs / "fewshot" / name / word
        task = Task(model, benchmark, folder, training, start, percent=int(percent))
        with joined(runtime.device) as ranks:
            trained = fit(project, task, ranks)
        if ranks.leads:
            regime = "+".join([SYNTHETIC] * (start is not None) + [benchmark] * (percent != "0"))
            setting = f"{percent}% real, {sign} P.T."
            labels = Labels("fewshot", model, model, benchmark, setting, regime or "none")
            path = score_path(project, "fewshot", f"{name}-{word}")
            counted.append(score_split(project, trained, labels, path))
    return pd.concat(counted, ignore_index=True) if counted else funnel([])
