"""A project as its stages see it: parameters, folders, names of outputs."""

from pathlib import Path

from avsynth.benchmarks import BENCHMARKS
from avsynth.core.params.experiments import ModelParams, TrainingParams
from avsynth.core.paths import SYNTHETIC as SYNTHETIC
from avsynth.core.paths import dataset_of
from avsynth.core.project import Project as Project
from avsynth.models import MODELS
from avsynth.runtime.errors import ConfigError, suggest

WEIGHTS = "weights.safetensors"


def model_params(project: Project, name: str) -> ModelParams:
    """Return the section of a model.

    Raises:
        ConfigError: params.yaml has no model of this name.
    """
    models = project.params.models
    if name not in models or name not in MODELS:
        raise ConfigError("models", "a model of params.yaml", repr(name), suggest(name, models))
    return models[name]


def pretrained(project: Project, name: str) -> Path:
    """Return the path of the weights of a model trained on AVS-Synthetic."""
    return project.layout.runs / "train" / name / WEIGHTS


def fine_tuning(project: Project, name: str, epochs: int, lr: float) -> TrainingParams:
    """Return a model's training settings with other epochs and another learning rate."""
    return model_params(project, name).train.model_copy(update={"epochs": epochs, "lr": lr})


def dataset_folder(project: Project, benchmark: str) -> Path:
    """Return the folder of a benchmark's shards.

    Raises:
        ConfigError: the benchmark is unknown.
    """
    if benchmark not in BENCHMARKS:
        fix = suggest(benchmark, BENCHMARKS)
        raise ConfigError("benchmarks", "a benchmark", repr(benchmark), fix)
    return project.layout.shards(dataset_of(benchmark))
