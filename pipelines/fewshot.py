"""Stage ``fewshot``: train on a share of real data, with and without synthetic pre-training."""

from pathlib import Path

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.metrics.rows import Labels
from avsynth.pipelines.shared.project import SYNTHETIC, Project, fine_tuning, pretrained, score_path
from avsynth.pipelines.shared.runs import Task, Trial, run_trials
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.options import Runtime

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
    training = fine_tuning(project, model, params.fewshot.epochs, params.fewshot.lr)
    name = f"{model}-{benchmark}-{percent}"
    starts: dict[str, Path | None] = {"with": pretrained(project, model), "without": None}
    trials = []
    for word, start in starts.items():
        folder = layout.runs / "fewshot" / name / word
        before = [SYNTHETIC] if word == "with" else []
        regime = "+".join([*before, *([benchmark] if int(percent) else [])]) or "none"
        setting = f"{percent}% real, {_SIGNS[word]} P.T."
        trials.append(
            Trial(
                Task(model, benchmark, folder, training, start, percent=int(percent)),
                Labels("fewshot", model, model, benchmark, setting, regime),
                score_path(project, "fewshot", f"{name}-{word}"),
            )
        )
    return run_trials(project, trials)
