"""Stage ``v3_shots``: fine-tune with shots of V3's unseen categories, score the rest."""

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.pipelines.shared.project import WEIGHTS, Project, dataset_folder, fine_tuning
from avsynth.pipelines.shared.run_spec import RunSpec
from avsynth.pipelines.shared.runs import run_all
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
    dataset_folder(project, benchmark)
    spec = RunSpec(
        "v3_shots", name, model, benchmark, training, layout.runs / "v3_shots" / name,
        layout.runs / "v3_base" / model / WEIGHTS, ("v3",), shots=int(shots),
    )  # fmt: skip
    return run_all(project, [spec])
