"""Stage ``ablate``: one change to a model, trained and tested on a benchmark."""

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.metrics.rows import Labels
from avsynth.pipelines.shared.project import Project, fine_tuning, score_path
from avsynth.pipelines.shared.runs import Task, Trial, run_trials
from avsynth.runtime.errors import ConfigError, suggest
from avsynth.runtime.options import Runtime


def ablate(name: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``runs/ablate/<name>`` and its rows.

    Raises:
        ConfigError: params.yaml has no such ablation.
        DataError: the benchmark's shards are absent or damaged.
    """
    section = params.ablate
    if name not in section.runs:
        fix = suggest(name, section.runs)
        raise ConfigError("ablate.runs", "an ablation", repr(name), fix)
    run, project = section.runs[name], Project(params, layout, runtime)
    training = fine_tuning(project, run.model, section.epochs, section.lr)
    trial = Trial(
        Task(run.model, run.benchmark, layout.runs / "ablate" / name, training, change=run.build),
        Labels("ablate", run.model, run.model, run.benchmark, run.setting, run.benchmark),
        score_path(project, "ablate", name),
    )
    return run_trials(project, [trial])
