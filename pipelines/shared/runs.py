"""The runs of a stage: training and scoring."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd
from torch import nn

from avsynth.benchmarks.csv_lists import read_rows
from avsynth.core.files import file_lock, write_json
from avsynth.core.hashing import file_digest
from avsynth.core.records import AudioClip
from avsynth.core.tables import read_table
from avsynth.formats.shards import ShardReader, read_index
from avsynth.loading.audio_bank import (
    AudioBank,
    FixedAudio,
    bank_clips,
    build_bank,
    embed_own_audio,
)
from avsynth.loading.batch import AudioEncoder, AvsModel
from avsynth.loading.dataset import SampleSpec, ShardDataset, SplitData
from avsynth.loading.sampler import list_groups, subset
from avsynth.models.backbones.vggish import embed
from avsynth.models.checkpoints import load_trained, save_trained
from avsynth.pipelines.shared.models import build_model, parameters
from avsynth.pipelines.shared.project import (
    SYNTHETIC,
    WEIGHTS,
    Project,
    dataset_folder,
)
from avsynth.pipelines.shared.run_spec import RunSpec
from avsynth.pipelines.shared.scoring import funnel, score_split
from avsynth.runtime.executors import open_pool
from avsynth.training.distributed import Ranks, init_distributed
from avsynth.training.image_embedding_cache import digest_of
from avsynth.training.loop import Epoch, Run, Trained, train

NUMERICS_NEUTRAL = {"checkpointing", "compile", "shard"}
"""Training settings that change how a step is computed, not its result."""


def open_bank(project: Project, encoder: AudioEncoder) -> AudioBank:
    """Build (or load from the cache) the audio embeddings of all clips that may be paired."""
    params, layout = project.params, project.layout
    pool = pd.read_csv(layout.clips_csv, dtype=str, keep_default_na=False)
    folders = {s: layout.resolve(f) for s, f in params.audio.folders().items()}
    columns = ("source", "clip_id", "audio_path")
    clips = pd.concat(read_table(layout.audio(s), AudioClip, columns) for s in folders)
    return build_bank(
        bank_clips(pool, clips, folders),
        partial(embed, encoder),
        _digest(encoder),
        quiet_db=params.match.quiet_second_db,
        seed=params.seed,
        runtime=project.runtime,
    )


def fit(project: Project, spec: RunSpec, ranks: Ranks) -> AvsModel:
    """Train a model by its spec and write the run's folder.

    Returns:
        The model with the weights of its best epoch; with no data to train on, as it started.

    Raises:
        ConfigError: another process trains the same run.
    """
    assert spec.folder is not None
    with _only_run(project, spec) if ranks.is_main else nullcontext():
        model: AvsModel = build_model(project, spec.model, spec.change)
        if spec.start is not None:
            load_trained(model, spec.start)
        done = _train(project, spec, model, ranks) if spec.percent else None
        if ranks.is_main:
            save_trained(model, spec.folder / WEIGHTS, parameters(project, spec.model, spec.change))
            if done is not None:
                write_json(spec.folder / "metrics.json", _metrics(done))
            # Last: a run that is killed before this line resumes and writes the same weights.
            _state_path(project, spec).unlink(missing_ok=True)
    return model


def _train(project: Project, spec: RunSpec, model: AvsModel, ranks: Ranks) -> Trained:
    assert spec.folder is not None
    assert spec.training is not None
    late = spec.benchmark == SYNTHETIC and project.params.match.pairing == "late"
    whole = _split(project, spec, model, "train", late=late)
    groups = subset(whole.groups, spec.percent, project.params.seed, _order(project, spec))
    return train(
        model,
        (SplitData(whole.dataset, groups), _split(project, spec, model, "val", late=False)),
        spec.training,
        Run(_state_path(project, spec), _fingerprint(project, spec, groups), project.params.seed),
        ranks=ranks,
        runtime=project.runtime,
        report=_Log(spec.folder),
    )


def _order(project: Project, spec: RunSpec) -> list[str] | None:
    """Read the official order of a benchmark's training clips, where params.yaml names one."""
    named = project.params.fewshot.order.get(spec.benchmark)
    if named is None:
        return None
    rows = read_rows(project.layout.resolve(named), ("name", "split"))
    return [row["name"] for row in rows if row["split"] == "train"]


def _split(
    project: Project, spec: RunSpec, model: AvsModel, split: str, *, late: bool
) -> SplitData:
    """Open a split to train or validate on; its audio is embedded once for all epochs."""
    reader = ShardReader(dataset_folder(project, spec.benchmark), split)
    size = model.input_size
    dataset = ShardDataset(reader, SampleSpec(size, (size, size), model.needs_waveform))
    encoder = model.audio_encoder
    if model.trainable_names() and encoder is not None:
        dataset.bank = (
            open_bank(project, encoder) if late else _own_audio(project, dataset, encoder)
        )
    return SplitData(dataset, list_groups(reader, whole_clips=model.needs_whole_clips))


def _digest(encoder: AudioEncoder) -> str:
    """Return a hash of an audio encoder: of its class, for one without weights, and its weights."""
    return f"{type(encoder).__qualname__} {digest_of(cast(nn.Module, encoder))}"


def _own_audio(project: Project, dataset: ShardDataset, encoder: AudioEncoder) -> FixedAudio:
    return embed_own_audio(
        dataset.reader,
        dataset.logmels,
        partial(embed, encoder),
        _digest(encoder),
        project.runtime,
    )


def _fingerprint(project: Project, spec: RunSpec, groups: Any) -> str:
    """Hash what a run depends on, without numerics-neutral settings and the world size."""
    assert spec.training is not None
    params = project.params
    shards = [s.sha256 for s in read_index(dataset_folder(project, spec.benchmark))]
    start = None if spec.start is None else file_digest(spec.start)
    content = [
        params.seed, params.vggish.model_dump(),
        params.models[spec.model].model_dump(exclude={"train"}),
        spec.training.model_dump(exclude=NUMERICS_NEUTRAL), dict(spec.change), params.match.pairing,
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


def run_all(project: Project, specs: Sequence[RunSpec]) -> pd.DataFrame:
    """Train and score every run of a stage.

    The runs are independent. On a CPU with several workers they run in parallel, because a model
    on a CPU is limited to one thread; ranks and devices take one run after the other.

    Returns:
        The stage's funnel; empty on all ranks but the main one.

    Raises:
        AvsynthError: of the first run that fails, see `fit` and `score_split`.
    """
    beside = min(len(specs), project.runtime.workers)
    if beside > 1 and project.runtime.device == "cpu" and "WORLD_SIZE" not in os.environ:
        runtime = replace(project.runtime, workers=project.runtime.workers // beside, quiet=True)
        counted = _side_by_side(replace(project, runtime=runtime), specs, beside)
    else:
        with init_distributed(project.runtime.device) as ranks:
            counted = [_run(project, ranks, spec) for spec in specs]
    return pd.concat(counted, ignore_index=True)


def _side_by_side(project: Project, specs: Sequence[RunSpec], processes: int) -> list[pd.DataFrame]:
    # Forked: torch is imported already, and neither it nor a progress bar has started a thread.
    context = multiprocessing.get_context("fork")
    with open_pool(processes, context) as pool:
        return list(pool.map(partial(_run_alone, project), specs))


def _run_alone(project: Project, spec: RunSpec) -> pd.DataFrame:
    with init_distributed(project.runtime.device) as ranks:
        return _run(project, ranks, spec)


def _run(project: Project, ranks: Ranks, spec: RunSpec) -> pd.DataFrame:
    trained = fit(project, spec, ranks)
    return score_split(project, trained, spec) if ranks.is_main else funnel([])


def _only_run(project: Project, spec: RunSpec) -> AbstractContextManager[None]:
    """Hold the lock of a run's folder: two runs would mix their states, weights and metrics.

    Raises:
        ConfigError: another process trains the same run.
    """
    name = _run_name(project, spec)
    return file_lock(project.layout.runs / ".state" / f"{name}.lock", what=f"run {name}")


def _state_path(project: Project, spec: RunSpec) -> Path:
    return project.layout.runs / ".state" / f"{_run_name(project, spec)}.pt"


def _run_name(project: Project, spec: RunSpec) -> str:
    assert spec.folder is not None
    return spec.folder.relative_to(project.layout.runs).as_posix().replace("/", "-")
