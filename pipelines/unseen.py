"""Stage ``unseen``: go on with some shots of V3's unseen categories and score the rest of them."""

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.metrics.rows import Labels
from avsynth.pipelines.shared.project import WEIGHTS, Project, fine_tuning, score_path
from avsynth.pipelines.shared.runs import Task, Trial, run_trials
from avsynth.runtime.options import Runtime


def unseen(
    model: str, shots: str, params: Params, layout: Layout, runtime: Runtime
) -> pd.DataFrame:
    """Write ``runs/unseen/<model>-<shots>`` and the rows of the k-shot test.

    Raises:
        ConfigError: params.yaml has no such model, or V3 no such shots.
        CheckpointError: ``seen <model>`` has not been run.
        DataError: the shards of V3 are absent or damaged.
    """
    project = Project(params, layout, runtime)
    training = fine_tuning(project, model, params.unseen.shot_epochs, params.unseen.lr)
    name, benchmark = f"{model}-{shots}", f"v3-{shots}shot"
    start = layout.runs / "seen" / model / WEIGHTS
    trial = Trial(
        Task(model, benchmark, layout.runs / "unseen" / name, training, start),
        Labels("unseen", model, model, benchmark, f"{shots}-shot", "v3-seen+shots"),
        score_path(project, "unseen", name),
    )
    return run_trials(project, [trial])
