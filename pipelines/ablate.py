"""Stage ``ablate``: one change to a model, trained and tested on a benchmark."""

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.pipelines.shared.project import Project, fine_tuning
from avsynth.pipelines.shared.run_spec import RunSpec
from avsynth.pipelines.shared.runs import run_all
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
    spec = RunSpec(
        "ablate", name, run.model, run.benchmark, training, layout.runs / "ablate" / name,
        change=run.build,
    )  # fmt: skip
    return run_all(project, [spec])
