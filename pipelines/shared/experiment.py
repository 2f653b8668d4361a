"""What training and scoring stages share: from params.yaml to a model, its data, its rows."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from avsynth.benchmarks import BENCHMARKS
from avsynth.benchmarks.csv_lists import read_rows
from avsynth.core.params.experiments import ModelParams, TrainingParams
from avsynth.core.params.load import Params, Runtime
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip
from avsynth.core.tables import FUNNEL_COLUMNS, read_table, whole_file, write_table
from avsynth.evaluation.evaluate import FrameRow, Labels, score
from avsynth.evaluation.predictions import best_median_worst, predict, write_predictions
from avsynth.formats.shards import ShardReader, read_index
from avsynth.loading.audio_bank import AudioBank, OwnSounds, build_bank, own_sounds, pooled_clips
from avsynth.loading.batch import AvsModel
from avsynth.loading.dataset import ShardDataset, Split, View
from avsynth.loading.sampler import list_groups, subset
from avsynth.models import MODELS
from avsynth.models.backbones.sam import build_sam
from avsynth.models.backbones.vggish import build_vggish, embed
from avsynth.models.checkpoints import load_trained, save_trained
from avsynth.runtime.cache import cache_root
from avsynth.runtime.errors import ConfigError, suggest
from avsynth.training.distributed import Ranks
from avsynth.training.embedding_cache import EmbeddingCache, digest_of
from avsynth.training.loop import Epoch, Run, Trained, train

SYNTHETIC = "synthetic"
WEIGHTS = "weights.safetensors"
HOW = {"checkpointing", "compile", "shard"}
"""Settings of training that change how a step is computed, not which one."""
SHOWN = ("test", "zeroshot")
"""Stages whose best, median and worst frames are kept as pictures."""


@dataclass(frozen=True, slots=True)
class Project:
    """The three arguments of a stage."""

    params: Params
    layout: Layout
    runtime: Runtime


def score_path(project: Project, stage: str, name: str) -> Path:
    """Say where the rows of a run lie."""
    return project.layout.scores / stage / f"{name}.csv"


def model_params(project: Project, name: str) -> ModelParams:
    """Look a model's section up.

    Raises:
        ConfigError: params.yaml has none of this name.
    """
    models = project.params.models
    if name not in models or name not in MODELS:
        raise ConfigError("models", "a model of params.yaml", repr(name), suggest(name, models))
    return models[name]


def build_model(project: Project, name: str, change: Mapping[str, Any] | None = None) -> Any:
    """Build a model as its section says, with some of the builder's parameters changed.

    On a CPU, torch is held to one thread: sums are then taken in one order whatever the machine,
    and small models run no slower. More cores are used by `torchrun`.

    Raises:
        ConfigError: params.yaml has no such model, or the device is not here.
        CheckpointError: the backbone's or VGGish's weights are damaged or of another network.
    """
    _check_device(project.runtime.device)
    if project.runtime.device == "cpu":
        torch.set_num_threads(1)
    section = model_params(project, name)
    layout, seed = project.layout, project.params.seed
    checkpoint = section.checkpoint and layout.resolve(section.checkpoint)
    sam = build_sam(section.architecture, section.input_size, checkpoint or None, seed=seed)
    model = MODELS[name](sam, _vggish(project), seed=seed, **parameters(project, name, change))
    frozen = not any(p.requires_grad for p in sam.image_encoder.parameters())
    if section.cache_embeddings and frozen:
        sam.recall = _embeddings(project, sam.image_encoder)
    return model


def _check_device(name: str) -> None:
    known = ["cpu", "cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name not in known or (name == "cuda" and not torch.cuda.is_available()):
        found = f"{name!r}, and {torch.cuda.device_count()} CUDA devices"
        fix = "Take cpu, or see what torch.cuda says of the others."
        raise ConfigError("--device", "cpu, cuda or cuda:N that is here", found, fix)


def _embeddings(project: Project, encoder: nn.Module) -> EmbeddingCache:
    """Open the cache of what a frozen encoder says of pictures."""
    folder = cache_root(project.runtime) / "embeddings"
    return EmbeddingCache(folder, digest_of(encoder), project.runtime.cache_limit_bytes)


def parameters(
    project: Project, name: str, change: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a model's builder is called with, besides backbone, VGGish and seed."""
    return {**model_params(project, name).build, **(change or {})}


def _vggish(project: Project) -> Any:
    section = project.params.vggish
    checkpoint = section.checkpoint and project.layout.resolve(section.checkpoint)
    return build_vggish(checkpoint or None, size=section.size, seed=project.params.seed)


def pretrained(project: Project, name: str) -> Path:
    """Say where the weights of a model trained on AVS-Synthetic lie."""
    return project.layout.runs / "train" / name / WEIGHTS


def fine_tuning(project: Project, name: str, epochs: int, lr: float) -> TrainingParams:
    """Take a model's training settings with other epochs and another learning rate."""
    return model_params(project, name).train.model_copy(update={"epochs": epochs, "lr": lr})


def dataset_folder(project: Project, benchmark: str) -> Path:
    """Say where a benchmark's shards lie.

    Raises:
        ConfigError: there is no such benchmark.
    """
    if benchmark not in BENCHMARKS:
        fix = suggest(benchmark, BENCHMARKS)
        raise ConfigError("benchmarks", "a benchmark", repr(benchmark), fix)
    return project.layout.shards("avs-synthetic" if benchmark == SYNTHETIC else benchmark)


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
    name = task.folder.relative_to(project.layout.runs).as_posix().replace("/", "-")
    state = project.layout.runs / ".state" / f"{name}.pt"
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


def is_temporal(model: Any) -> bool:
    """Whether the frames of a clip inform one another."""
    return bool(model.name == "st_bava")


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


def write_json(path: Path, content: object) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    with whole_file(path) as temporary:
        text = json.dumps(content, indent=1, sort_keys=True)
        temporary.write_text(text + "\n", encoding="utf-8")


def training_of(model: Any, words: str) -> tuple[str, str]:
    """Say how a model was trained on AVS-Synthetic: in the words of the papers, and its regime.

    The oracle has nothing to train: its masks are chosen by the truth.
    """
    if model.trainable_names():
        return words, SYNTHETIC
    if model.prompt == "automatic":
        return "max-IoU selection", "none"
    return f"{model.prompt} of the truth", "none"


def open_split(project: Project, model: Any, benchmark: str, split: str) -> Split:
    """Open a split to score a model on: whole clips, fixed pairs, masks at the scoring size."""
    reader = ShardReader(dataset_folder(project, benchmark), split)
    view = View(model.input_size, score_size(project), model.needs_waveform)
    return Split(ShardDataset(reader, view), list_groups(reader, whole_clips=True))


def score_size(project: Project) -> tuple[int, int] | None:
    """Say at which size masks are compared."""
    side = project.params.evaluate.frame_size
    return None if side is None else (side, side)


def score_split(project: Project, model: Any, labels: Labels, path: Path) -> pd.DataFrame:
    """Do as `score_rows`; return the stage's funnel."""
    return counted(labels, score_rows(project, model, labels, path))


def score_rows(project: Project, model: Any, labels: Labels, path: Path) -> list[FrameRow]:
    """Score a model on the split that the labels name; write its rows and some of its masks."""
    section, runtime = project.params.evaluate, project.runtime
    split = open_split(project, model, labels.benchmark, labels.split)
    rows = score(
        model,
        split,
        labels,
        protocol=section.protocol,
        batch_size=section.batch_size,
        runtime=runtime,
    )
    write_table(path, FrameRow, rows, key=("key",))
    if labels.stage in SHOWN:
        keys = best_median_worst(rows, section.pictures)
        masks = predict(model, split, keys, protocol=section.protocol, runtime=runtime)
        folder = project.layout.predictions / labels.stage / path.stem
        write_predictions(folder, {f"{key}.png": mask for key, mask in masks})
    return rows


def counted(labels: Labels, rows: Sequence[object]) -> pd.DataFrame:
    """Lay out how many frames were scored as a funnel."""
    return funnel([(labels.stage, labels.run, "", "ok", "", len(rows))])


def funnel(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Lay out counts as a funnel."""
    return pd.DataFrame(rows, columns=list(FUNNEL_COLUMNS))
