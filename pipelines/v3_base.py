"""Stage ``v3_base``: train on V3's seen categories and score the unseen ones, with no shots."""

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.pipelines.shared.project import Project, fine_tuning
from avsynth.pipelines.shared.run_spec import RunSpec
from avsynth.pipelines.shared.runs import run_all
from avsynth.runtime.options import Runtime


def v3_base(model: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``runs/v3_base/<model>`` and the rows of the 0-shot test.

    Raises:
        ConfigError: params.yaml has no such model.
        DataError: the shards of V3 are absent or damaged.
    """
    project = Project(params, layout, runtime)
    training = fine_tuning(project, model, params.v3_base.epochs, params.v3_base.lr)
    spec = RunSpec("v3_base", model, model, "v3", training, layout.runs / "v3_base" / model)
    return run_all(project, [spec])
