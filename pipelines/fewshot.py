"""Stage ``fewshot``: train on a share of real data, with and without synthetic pre-training."""

from dataclasses import replace

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.pipelines.shared.project import SYNTHETIC, Project, fine_tuning, pretrained
from avsynth.pipelines.shared.run_spec import RunSpec
from avsynth.pipelines.shared.runs import run_all
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.options import Runtime


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
        fix = "Set a whole number from 0 to 100."
        raise ConfigError("fewshot", "a percentage from 0 to 100", repr(percent), fix)
    project = Project(params, layout, runtime)
    training = fine_tuning(project, model, params.fewshot.epochs, params.fewshot.lr)
    name = f"{model}-{benchmark}-{percent}"
    without = RunSpec(
        "fewshot", f"{name}-without", model, benchmark, training,
        layout.runs / "fewshot" / name / "without", percent=int(percent),
    )  # fmt: skip
    with_ = replace(
        without, name=f"{name}-with", folder=layout.runs / "fewshot" / name / "with",
        start=pretrained(project, model), earlier=(SYNTHETIC,),
    )  # fmt: skip
    return run_all(project, [with_, without])
