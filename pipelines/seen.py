"""Stage ``seen``: train on the seen categories of V3 and score the unseen ones, with no shots."""

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.metrics.rows import Labels
from avsynth.pipelines.shared.project import Project, fine_tuning, score_path
from avsynth.pipelines.shared.runs import Task, Trial, run_trials
from avsynth.runtime.options import Runtime


def seen(model: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``runs/seen/<model>`` and the rows of the 0-shot test.

    Raises:
        ConfigError: params.yaml has no such model.
        DataError: the shards of V3 are absent or damaged.
    """
    project = Project(params, layout, runtime)
    training = fine_tuning(project, model, params.unseen.epochs, params.unseen.lr)
    trial = Trial(
        Task(model, "v3", layout.runs / "seen" / model, training),
        Labels("seen", model, model, "v3", "0-shot", "v3-seen"),
        score_path(project, "seen", model),
    )
    return run_trials(project, [trial])
