"""The record of one run, `RunSpec`: model, data, start, and the facts of its score rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avsynth.core.params.experiments import TrainingParams
from avsynth.loading.batch import AvsModel
from avsynth.metrics.rows import RunFacts
from avsynth.pipelines.shared.project import SYNTHETIC, Project, model_params

TEST_SPLIT = "test"
"""The split that every run is scored on."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run of a stage: a model that is trained, or scored as it starts."""

    stage: str
    name: str
    """Unique within the stage: the name of the score file."""
    model: str
    benchmark: str
    """The dataset that the model is trained and scored on."""
    training: TrainingParams | None = None
    """None: nothing is trained."""
    folder: Path | None = None
    """Of the run: weights, metrics and plots; None where nothing is trained."""
    start: Path | None = None
    """Weights to start from; None for the untrained model."""
    earlier: tuple[str, ...] = ()
    """Datasets that the start weights were trained on, in order."""
    change: Mapping[str, Any] = field(default_factory=dict)
    """Builder's parameters that differ from the model's section."""
    percent: int = 100
    """Share of the training clips that is used; with 0 nothing is trained."""
    shots: int = 0
    """Labelled clips of each unseen category of V3."""
    protocol: str = ""
    """Of the scores; empty for ``evaluate.protocol``."""

    def score_path(self, project: Project) -> Path:
        """Return the path of the run's score rows."""
        return project.layout.scores / self.stage / f"{self.name}.csv"


def facts_of(project: Project, spec: RunSpec, model: AvsModel) -> RunFacts:
    """Return the facts of a run's score rows.

    Args:
        project: of the run.
        spec: of the run.
        model: that was built for it; one without trainable parameters was trained on nothing.
    """
    trained = spec.training is not None and spec.percent > 0
    datasets = (*spec.earlier, *((spec.benchmark,) if trained else ()))
    if not model.trainable_names():
        datasets = ()
    pretrained_on, trained_on, finetuned_on = _columns(datasets)
    real = any(name != SYNTHETIC for name in datasets)
    return RunFacts(
        run=spec.name,
        model=spec.model,
        benchmark=spec.benchmark,
        split=TEST_SPLIT,
        protocol=spec.protocol or project.params.evaluate.protocol,
        architecture=model_params(project, spec.model).architecture,
        input_size=model.input_size,
        pretrained_on=pretrained_on,
        trained_on=trained_on,
        finetuned_on=finetuned_on,
        real_percent=(spec.percent if trained else 100) if real else 0,
        shots=spec.shots,
        ablation="; ".join(f"{name}={_text(v)}" for name, v in sorted(spec.change.items())),
        prompt=model.ground_truth_use or "",
    )


def _columns(datasets: tuple[str, ...]) -> tuple[str, str, str]:
    """Order datasets as ``pretrained_on``, ``trained_on``, ``finetuned_on``."""
    first = datasets[0] if len(datasets) > 1 and datasets[0] == SYNTHETIC else ""
    rest = datasets[1:] if first else datasets
    trained_on, finetuned_on = (*rest, "", "")[:2]
    return first, trained_on, finetuned_on


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
