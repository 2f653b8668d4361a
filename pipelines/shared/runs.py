"""What training and scoring stages share: from params.yaml to a model, its data, its rows."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from avsynth.benchmarks.csv_lists import read_rows
from avsynth.core.files import file_lock, write_json
from avsynth.core.params.experiments import TrainingParams
from avsynth.core.records import AudioClip
from avsynth.core.tables import read_table
from avsynth.formats.shards import ShardReader, read_index
from avsynth.loading.audio_bank import AudioBank, OwnSounds, build_bank, own_sounds, pooled_clips
from avsynth.loading.batch import AvsModel
from avsynth.loading.dataset import ShardDataset, Split, View
from avsynth.loading.sampler import list_groups, subset
from avsynth.metrics.rows import Labels
from avsynth.models.backbones.vggish import embed
from avsynth.models.checkpoints import load_trained, save_trained
from avsynth.pipelines.shared.models import build_model, is_temporal, parameters
from avsynth.pipelines.shared.project import (
    SYNTHETIC,
    WEIGHTS,
    Project,
    dataset_folder,
)
from avsynth.pipelines.shared.scoring import funnel, score_split
from avsynth.runtime.executors import open_pool
from avsynth.training.distributed import Ranks, joined
from avsynth.training.embedding_cache import digest_of
from avsynth.training.loop import Epoch, Run, Trained, train

HOW = {"checkpointing", "compile", "shard"}
"""Settings of training that change how a step is computed, not which one."""


def open_bank(project: Project, vggish: nn.Module) -> AudioBank:
    """Make, or find, the bank of all clips that triplets may draw from, as a VGGish hears them."""
    params, layout = project.params, project.layout
    pool = pd.read_csv(layout.clips_csv, dtype=str, keep_default_na=False)
    folders = {s: layout.resolve(f) for s, f in params.audio.folders().items()}
    columns = ("source", "clip_id", "audio_path")
    clips = pd.concat(read_table(layout.audio(s), AudioClip, columns) for s in folders)
    return build_bank(
        pooled_clips(pool, clips, folders),
        partial(embed, vggish),
        digest_of(vggish),
        quiet_db=params.match.quiet_second_db,
        seed=params.seed,
        runtime=project.runtime,
    )


@dataclass(frozen=True, slots=True)
class Task:
    """One training run: what is trained on what, from which start, and where it goes."""

    model: str
    benchmark: str
    folder: Path
    """Of the run: weights, metrics and plots."""
    training: TrainingParams
    start: Path | None = None
    """Weights to start from; None for the untrained model."""
    change: Mapping[str, Any] | None = None
    """Builder's parameters that differ from the model's section."""
    percent: int = 100
    """Share of the training clips that is used."""


def fit(project: Project, task: Task, ranks: Ranks) -> AvsModel:
    """Train a model as the task says and write its folder.

    Returns:
        The model with the weights of its best epoch; with no data to train on, as it started.
    """
    model: AvsModel = build_model(project, task.model, task.change)
    if task.start is not None:
        load_trained(model, task.start)
    done = _train(project, task, model, ranks) if task.percent else None
    if ranks.leads:
        save_trained(model, task.folder / WEIGHTS, parameters(project, task.model, task.change))
        if done is not None:
            write_json(task.folder / "metrics.json", _metrics(done))
    return model


def _train(project: Project, task: Task, model: Any, ranks: Ranks) -> Trained:
    late = task.benchmark == SYNTHETIC and project.params.match.pairing == "late"
    whole = _split(project, task, model, "train", late=late)
    groups = subset(whole.groups, task.percent, project.params.seed, _order(project, task))
    state = project.layout.runs / ".state" / f"{_run_name(project, task)}.pt"
    done = train(
        model,
        (Split(whole.dataset, groups), _split(project, task, model, "val", late=False)),
        task.training,
        Run(state, _fingerprint(project, task, groups), project.params.seed),
        ranks=ranks,
        runtime=project.runtime,
        report=_Log(task.folder),
    )
    if ranks.leads:
        state.unlink(missing_ok=True)
    return done


def _order(project: Project, task: Task) -> list[str] | None:
    """Read the official order of a benchmark's training clips, where params.yaml names one."""
    named = project.params.fewshot.order.get(task.benchmark)
    if named is None:
        return None
    rows = read_rows(project.layout.resolve(named), ("name", "split"))
    return [row["name"] for row in rows if row["split"] == "train"]


def _split(project: Project, task: Task, model: Any, split: str, *, late: bool) -> Split:
    """Open a split to train or validate on; its sound is embedded once for all epochs."""
    reader = ShardReader(dataset_folder(project, task.benchmark), split)
    size = model.input_size
    dataset = ShardDataset(reader, View(size, (size, size), model.needs_waveform))
    if model.trainable_names() and not model.needs_waveform:
        dataset.bank = (
            open_bank(project, model.vggish)
            if late
            else _own_sounds(project, dataset, model.vggish)
        )
    return Split(dataset, list_groups(reader, whole_clips=is_temporal(model)))


def _own_sounds(project: Project, dataset: ShardDataset, vggish: nn.Module) -> OwnSounds:
    return own_sounds(
        dataset.reader,
        dataset.logmels,
        partial(embed, vggish),
        digest_of(vggish),
        project.runtime,
    )


def _fingerprint(project: Project, task: Task, groups: Any) -> str:
    """Hash what a run depends on; how its steps are computed, and by how many, is no part."""
    params = project.params
    shards = [s.sha256 for s in read_index(dataset_folder(project, task.benchmark))]
    start = None if task.start is None else hashlib.sha256(task.start.read_bytes()).hexdigest()
    content = [
        params.seed, params.vggish.model_dump(),
        params.models[task.model].model_dump(exclude={"train"}),
        task.training.model_dump(exclude=HOW), dict(task.change or {}), params.match.pairing,
        shards, start, [key for group in groups for key in group.keys],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _Log:
    """Writes dvclive's metrics and plots, epoch by epoch."""

    def __init__(self, folder: Path) -> None:
        from dvclive import Live

        self.live = Live(
            str(folder / "live"), report=None, save_dvc_exp=False, dvcyaml=None,
            monitor_system=False,
        )  # fmt: skip

    def __call__(self, done: Epoch) -> None:
        self.live.log_metric("train/loss", done.train_loss)
        self.live.log_metric("train/lr", done.lr)
        if done.val_miou is not None:
            self.live.log_metric("val/miou", done.val_miou)
        self.live.next_step()


def _metrics(done: Trained) -> dict[str, Any]:
    return {
        "best_epoch": done.best_epoch,
        "effective_batch": done.effective_batch,
        "epochs": len(done.history),
        "val_miou": done.best_miou,
    }


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
    with _only_run(project, trial.task) if ranks.leads else nullcontext():
        trained = fit(project, trial.task, ranks)
        if not ranks.leads:
            return funnel([])
        return score_split(project, trained, trial.labels, trial.scores)


def _only_run(project: Project, task: Task) -> AbstractContextManager[None]:
    """Hold the lock of a run's folder: two runs would mix their states, weights and metrics."""
    name = _run_name(project, task)
    return file_lock(project.layout.runs / ".state" / f"{name}.lock", f"run {name}")


def _run_name(project: Project, task: Task) -> str:
    return task.folder.relative_to(project.layout.runs).as_posix().replace("/", "-")
