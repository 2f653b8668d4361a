"""Trials: runs that are trained on a benchmark and scored on its test split."""

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from avsynth.evaluation.evaluate import Labels
from avsynth.pipelines.shared.experiment import Project, Task, fit, funnel, score_split
from avsynth.runtime.executors import open_pool
from avsynth.training.distributed import Ranks, joined


@dataclass(frozen=True, slots=True)
class Trial:
    """One run, what its rows say of it, and where they go."""

    task: Task
    labels: Labels
    scores: Path


def run_trials(project: Project, trials: Sequence[Trial]) -> pd.DataFrame:
    """Train and score every trial.

    Trials do not depend on one another. On a CPU with several workers they run side by side, since
    a model there is held to one thread; ranks and devices take one trial after the other.

    Returns:
        The stage's funnel; on a rank that does not lead an empty one.

    Raises:
        AvsynthError: of the first trial that fails, see `fit` and `score_split`.
    """
    beside = min(len(trials), project.runtime.workers)
    if beside > 1 and project.runtime.device == "cpu" and "WORLD_SIZE" not in os.environ:
        runtime = replace(project.runtime, workers=project.runtime.workers // beside, quiet=True)
        counted = _side_by_side(replace(project, runtime=runtime), trials, beside)
    else:
        with joined(project.runtime.device) as ranks:
            counted = [_run(project, ranks, trial) for trial in trials]
    return pd.concat(counted, ignore_index=True)


def _side_by_side(project: Project, trials: Sequence[Trial], processes: int) -> list[pd.DataFrame]:
    # Forked: torch is imported already, and neither it nor a progress bar has begun a thread.
    context = multiprocessing.get_context("fork")
    with open_pool(processes, context) as pool:
        return list(pool.map(partial(_run_alone, project), trials))


def _run_alone(project: Project, trial: Trial) -> pd.DataFrame:
    with joined(project.runtime.device) as ranks:
        return _run(project, ranks, trial)


def _run(project: Project, ranks: Ranks, trial: Trial) -> pd.DataFrame:
    trained = fit(project, trial.task, ranks)
    if not ranks.leads:
        return funnel([])
    return score_split(project, trained, trial.labels, trial.scores)
