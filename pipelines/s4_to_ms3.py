"""Stage ``s4_to_ms3``: S4 -> MS3, and AVS-Synthetic -> S4 -> MS3."""

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.metrics.rows import Labels
from avsynth.pipelines.shared.project import WEIGHTS, Project, fine_tuning, score_path
from avsynth.pipelines.shared.runs import Task, Trial, run_trials
from avsynth.runtime.options import Runtime

_SETTINGS = {"with": "w/ F.T. (Syn.)", "without": "w/ F.T. (from S4)"}
_REGIMES = {"with": "synthetic+s4+ms3", "without": "s4+ms3"}


def s4_to_ms3(model: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Go on from the runs on all of S4, with and without pre-training, to MS3.

    Raises:
        ConfigError: params.yaml has no such model.
        CheckpointError: ``fewshot <model> s4 100`` has not been run.
        DataError: the shards of MS3 are absent or damaged.
    """
    project = Project(params, layout, runtime)
    training = fine_tuning(project, model, params.s4_to_ms3.epochs, params.s4_to_ms3.lr)
    trials = []
    for word in _SETTINGS:
        start = layout.runs / "fewshot" / f"{model}-s4-100" / word / WEIGHTS
        trials.append(
            Trial(
                Task(model, "ms3", layout.runs / "s4_to_ms3" / model / word, training, start),
                Labels("s4_to_ms3", model, model, "ms3", _SETTINGS[word], _REGIMES[word]),
                score_path(project, "s4_to_ms3", f"{model}-{word}"),
            )
        )
    return run_trials(project, trials)
