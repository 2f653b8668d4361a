"""Stage ``fewshot``: train on a share of real data, with and without synthetic pre-training."""

from pathlib import Path

import pandas as pd

from avsynth.batch import AvsModel
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

_SIGNS = {"with": "w/", "without": "w/o"}


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
    starts: dict[str, Path | None] = {"with": pretrained(project, model), "without": None}
    trained: dict[str, AvsModel] = {}
    with joined(runtime.device) as ranks:
        for word, start in starts.items():
            folder = layout.runs / "fewshot" / name / word
            task = Task(model, benchmark, folder, training, start, percent=int(percent))
            trained[word] = fit(project, task, ranks)
    counted = []
    for word, fitted in trained.items() if ranks.leads else ():
        before = [SYNTHETIC] if word == "with" else []
        regime = "+".join([*before, *([benchmark] if int(percent) else [])]) or "none"
        setting = f"{percent}% real, {_SIGNS[word]} P.T."
        labels = Labels("fewshot", model, model, benchmark, setting, regime)
        path = score_path(project, "fewshot", f"{name}-{word}")
        counted.append(score_split(project, fitted, labels, path))
    return pd.concat(counted, ignore_index=True) if counted else funnel([])
