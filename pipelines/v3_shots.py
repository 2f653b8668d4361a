"""Stage ``v3_shots``: train on with shots of V3's unseen categories and score the rest of them."""

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.metrics.rows import Labels
from avsynth.pipelines.shared.project import WEIGHTS, Project, fine_tuning, score_path
from avsynth.pipelines.shared.runs import Task, Trial, run_trials
from avsynth.runtime.options import Runtime


def v3_shots(
    model: str, shots: str, params: Params, layout: Layout, runtime: Runtime
) -> pd.DataFrame:
    """Write ``runs/v3_shots/<model>-<shots>`` and the rows of the k-shot test.

    Raises:
        ConfigError: params.yaml has no such model, or V3 no such shots.
        CheckpointError: ``v3_base <model>`` has not been run.
        DataError: the shards of V3 are absent or damaged.
    """
    project = Project(params, layout, runtime)
    training = fine_tuning(project, model, params.v3_shots.epochs, params.v3_shots.lr)
    name, benchmark = f"{model}-{shots}", f"v3-{shots}shot"
    start = layout.runs / "v3_base" / model / WEIGHTS
    trial = Trial(
        Task(model, benchmark, layout.runs / "v3_shots" / name, training, start),
        Labels("v3_shots", model, model, benchmark, f"{shots}-shot", "v3-seen+shots"),
        score_path(project, "v3_shots", name),
    )
    return run_trials(project, [trial])
