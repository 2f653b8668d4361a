"""Stage ``s4_to_ms3``: S4 -> MS3, and AVS-Synthetic -> S4 -> MS3."""

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.pipelines.shared.project import SYNTHETIC, WEIGHTS, Project, fine_tuning
from avsynth.pipelines.shared.run_spec import RunSpec
from avsynth.pipelines.shared.runs import run_all
from avsynth.runtime.options import Runtime

_EARLIER = {"with": (SYNTHETIC, "s4"), "without": ("s4",)}
"""Datasets that each start was trained on."""


def s4_to_ms3(model: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Fine-tune the runs on all of S4, with and without pre-training, on MS3.

    Raises:
        ConfigError: params.yaml has no such model.
        CheckpointError: ``fewshot <model> s4 100`` has not been run.
        DataError: the shards of MS3 are absent or damaged.
    """
    project = Project(params, layout, runtime)
    training = fine_tuning(project, model, params.s4_to_ms3.epochs, params.s4_to_ms3.lr)
    specs = [
        RunSpec(
            "s4_to_ms3", f"{model}-{word}", model, "ms3", training,
            layout.runs / "s4_to_ms3" / model / word,
            layout.runs / "fewshot" / f"{model}-s4-100" / word / WEIGHTS, earlier,
        )
        for word, earlier in _EARLIER.items()
    ]  # fmt: skip
    return run_all(project, specs)
