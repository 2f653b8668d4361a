"""Stage ``chain``: S4 -> MS3, and AVS-Synthetic -> S4 -> MS3."""

import pandas as pd

from avsynth.batch import AvsModel
from avsynth.config import Params, Runtime
from avsynth.evaluation import Labels
from avsynth.paths import Layout
from avsynth.pipelines.experiment import (
    WEIGHTS,
    Project,
    Task,
    fine_tuning,
    fit,
    funnel,
    score_path,
    score_split,
)
from avsynth.ranks import joined

_SETTINGS = {"with": "w/ F.T. (Syn.)", "without": "w/ F.T. (from S4)"}
_REGIMES = {"with": "synthetic+s4+ms3", "without": "s4+ms3"}


def chain(model: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Go on from the runs on all of S4, with and without pre-training, to MS3.

    Raises:
        ConfigError: params.yaml has no such model.
        CheckpointError: ``fewshot <model> s4 100`` has not been run.
        DataError: the shards of MS3 are absent or damaged.
    """
    project = Project(params, layout, runtime)
    training = fine_tuning(project, model, params.chain.epochs, params.chain.lr)
    trained: dict[str, AvsModel] = {}
    with joined(runtime.device) as ranks:
        for word in _SETTINGS:
            start = layout.runs / "fewshot" / f"{model}-s4-100" / word / WEIGHTS
            task = Task(model, "ms3", layout.runs / "chain" / model / word, training, start)
            trained[word] = fit(project, task, ranks)
    counted = []
    for word, fitted in trained.items() if ranks.leads else ():
        labels = Labels("chain", model, model, "ms3", _SETTINGS[word], _REGIMES[word])
        path = score_path(project, "chain", f"{model}-{word}")
        counted.append(score_split(project, fitted, labels, path))
    return pd.concat(counted, ignore_index=True) if counted else funnel([])
