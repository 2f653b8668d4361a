"""One training loop for every model: exact resume, best weights by validation, any world size.

A step is defined by its global batch: ``batch_size`` frames, whatever the number of devices and
the micro-batches that they cut their part into (the loss of every part is weighed by its frames).
All randomness of a step is seeded by (seed, epoch, step, micro-batch, rank); so a run that was
killed goes on from its last saved state to the very weights that it would have reached.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from avsynth.core.files import atomic_file
from avsynth.core.hashing import draw
from avsynth.core.params.experiments import TrainingParams
from avsynth.loading.batch import AvsModel, Batch
from avsynth.loading.dataset import Split, load
from avsynth.loading.sampler import FrameGroup, Request, epoch_steps, in_turn, rank_requests
from avsynth.metrics.frames import frame_iou
from avsynth.runtime.errors import AvsynthError, CheckpointError, DataError
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track
from avsynth.training.distributed import Ranks
from avsynth.training.parallel import fill, is_cut, load_optimizer, optimizer_state, placed, whole
from avsynth.training.run_state import State, read_state, write_state

SAVE_EVERY_S = 60.0
"""A run that is killed loses at most this much, and what it was doing when it was due."""


@dataclass(frozen=True, slots=True)
class Run:
    """What tells one run from another."""

    state: Path
    """Where the state is kept until the run is complete."""
    fingerprint: str
    """Hash of everything that the run depends on: a state of another one is not resumed."""
    seed: int
    """Of order and dropout."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is known after an epoch."""

    epoch: int
    lr: float
    train_loss: float
    val_miou: float | None
    """None: not validated."""


@dataclass(slots=True)
class Trained:
    """The outcome: the model now holds the best weights."""

    best_epoch: int
    best_miou: float
    history: list[Epoch] = field(default_factory=list)
    effective_batch: int = 0
    """Frames in a step, all devices and micro-batches together."""


def train(
    model: AvsModel,
    data: tuple[Split, Split],
    settings: TrainingParams,
    run: Run,
    *,
    ranks: Ranks,
    runtime: Runtime,
    report: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train a model and leave it with the weights of its best epoch.

    Args:
        model: on any device; moved to the rank's, unless it is cut over the ranks.
        data: training and validation splits.
        settings: optimiser, schedule and batch.
        run: its seed, and its state to resume from.
        ranks: the processes that train together.
        runtime: loader workers.
        report: called by the leading rank after every epoch, earlier ones of a resumed run too.

    Raises:
        AvsynthError: the loss is not finite (the batch's keys are saved), or memory ran out.
        DataError: there is nothing to train on.
        SpaceError: the state cannot be saved; the one before it is still there.
    """
    if not data[0].groups or not data[1].groups:
        where = str(data[0].dataset.reader.folder)
        found = f"{len(data[0].groups)} and {len(data[1].groups)}"
        raise DataError(where, "samples to train and to validate on", found, "Build more data.")
    if not model.trainable_names():
        return _as_it_is(model, data[1], settings, ranks, runtime, report)
    loop = _Loop(model, data, settings, run, ranks, runtime)
    for earlier in loop.state.history:
        report(Epoch(**earlier))
    batches = load(_Either(data), loop.requests(), runtime)
    for epoch in range(loop.state.epoch, settings.epochs):
        done = loop.run_epoch(epoch, batches)
        if ranks.leads:
            report(done)
    loop.load_best()
    history = [Epoch(**one) for one in loop.state.history]
    return Trained(loop.state.best_epoch, loop.state.best_miou, history, settings.batch_size)


def _as_it_is(
    model: AvsModel,
    split: Split,
    settings: TrainingParams,
    ranks: Ranks,
    runtime: Runtime,
    report: Callable[[Epoch], None],
) -> Trained:
    """Validate a model that has nothing to train."""
    _module(model).to(ranks.device)
    batches = load(split.dataset, validation_requests(split, settings, ranks), runtime)
    miou = validate(model, batches, settings, ranks)
    assert miou is not None
    done = Epoch(0, 0.0, 0.0, miou)
    if ranks.leads:
        report(done)
    return Trained(0, miou, [done], settings.batch_size)


class _Either(Dataset[tuple[Request, Batch]]):  # type: ignore[misc]
    """Answers the requests of training and of validation, so that one set of workers reads on."""

    def __init__(self, data: tuple[Split, Split]) -> None:
        self.datasets = [split.dataset for split in data]

    def __getitem__(self, asked: tuple[int, Request]) -> tuple[Request, Batch]:
        which, request = asked
        return self.datasets[which][request]


_TRAIN, _VALIDATE = 0, 1


class _Loop:
    """The state of a run and what moves it forward."""

    def __init__(
        self,
        model: AvsModel,
        data: tuple[Split, Split],
        settings: TrainingParams,
        run: Run,
        ranks: Ranks,
        runtime: Runtime,
    ) -> None:
        self.data, self.settings, self.seed = data, settings, run.seed
        self.ranks, self.runtime = ranks, runtime
        self.path = run.state
        self.original, self.module = _module(model), placed(_module(model), settings, ranks)
        self.model: Any = self.module
        self.names = model.trainable_names()
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.optimizer = _optimizer(self.parameters, settings)
        self.state = read_state(run.state, run.fingerprint) or State(run.fingerprint)
        _check_agreement(self.state, run.state, ranks)
        if self.state.weights:
            self._put(self.module, self.state.weights)
            load_optimizer(self.optimizer, self.state.optimizer)
            self.state.weights, self.state.optimizer = {}, {}
        self.validation = validation_requests(data[_VALIDATE], settings, ranks)
        self.saved_at = time.monotonic()

    def trained(self) -> dict[str, Tensor]:
        """Select the tensors that training changes; they share memory with the model."""
        tensors = self.module.state_dict()
        return {name: tensors[name] for name in self.names}

    def _put(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        tensors = module.state_dict()
        for name in self.names:
            fill(tensors[name], weights[name])

    def load_best(self) -> None:
        """Give the model, whole, the weights of its best epoch."""
        self._put(self.original, self.state.best_weights)

    def requests(self) -> Iterator[tuple[int, Request]]:
        """Ask for every batch that this rank has yet to see: train, validate, epoch by epoch."""
        for epoch in range(self.state.epoch, self.settings.epochs):
            first = self.state.step if epoch == self.state.epoch else 0
            steps = self._steps(epoch)
            for number in range(first, len(steps)):
                for request in self._requests(steps[number], epoch, number):
                    yield _TRAIN, request
            for request in self._validation(epoch):
                yield _VALIDATE, request

    def _validation(self, epoch: int) -> list[Request]:
        """List the batches that this rank validates on after an epoch."""
        done, settings = epoch + 1, self.settings
        due = done % settings.validate_every == 0 or done == settings.epochs
        return self.validation if due else []

    def _steps(self, epoch: int) -> list[tuple[FrameGroup, ...]]:
        return epoch_steps(self.data[0].groups, self.settings.batch_size, self.seed, epoch)

    def _requests(self, step: tuple[FrameGroup, ...], epoch: int, number: int) -> list[Request]:
        micro, ranks = self.settings.micro_batch, self.ranks
        even = is_cut(self.settings, ranks)
        return rank_requests(step, micro, epoch, number, ranks.rank, ranks.world, even=even)

    def run_epoch(self, epoch: int, batches: Iterator[tuple[Request, Batch]]) -> Epoch:
        """Take the steps of an epoch that are left, validate, and keep the state."""
        lr = cosine(self.settings, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        steps = self._steps(epoch)
        todo = range(self.state.step, len(steps))
        self.module.train()
        for number in track(todo, f"epoch {epoch + 1}/{self.settings.epochs}", len(todo),
                            self.runtime):  # fmt: skip
            expected = len(self._requests(steps[number], epoch, number))
            loss, due = self._step(expected, batches)
            self.state.loss_sum += loss
            self.state.step = number + 1
            if due:
                self._save()
        self.ranks.share(self.trained().values())
        part = islice(batches, len(self._validation(epoch)))
        miou = validate(self.model, part, self.settings, self.ranks)
        return self._close(Epoch(epoch, lr, self.state.loss_sum / len(steps), miou))

    def _step(self, expected: int, batches: Iterator[tuple[Request, Batch]]) -> list[float]:
        """Take one optimiser step; return its loss over all ranks, and whether to save now."""
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in range(expected):
            request, batch = next(batches)
            torch.manual_seed(_step_seed(self.seed, request, part, self.ranks.rank))
            with _Explaining(batch, self.settings):
                total += self._backward(batch.to(self.ranks.device), request)
        self.ranks.sum_gradients(self.parameters)
        self.optimizer.step()
        return self.ranks.total(total, self._due())

    def _backward(self, batch: Batch, request: Request) -> float:
        device = self.ranks.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.settings.bf16):
            loss = self.model.loss(batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._not_finite(value, request)
        (loss * request.share).backward()
        return value * request.share

    def _not_finite(self, value: float, request: Request) -> AvsynthError:
        path = self.path.with_name("not-finite.json")
        keys = [key for group in request.groups for key in group.keys]
        content = {"epoch": request.epoch, "step": request.step, "loss": str(value), "keys": keys}
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        where = f"training, epoch {request.epoch}, step {request.step}"
        fix = f"Look at the samples named in {path}; lower train.lr, or set train.bf16 to false."
        return AvsynthError(where, "a finite loss", str(value), fix)

    def _close(self, done: Epoch) -> Epoch:
        state = self.state
        state.history.append({name: getattr(done, name) for name in Epoch.__slots__})
        miou = done.val_miou
        if miou is not None and (miou > state.best_miou or not state.best_weights):
            state.best_miou, state.best_epoch = miou, done.epoch
            state.best_weights = {n: whole(t).cpu().clone() for n, t in self.trained().items()}
        state.epoch, state.step, state.loss_sum = done.epoch + 1, 0, 0.0
        if self.ranks.total(self._due())[0]:
            self._save()
        return done

    def _due(self) -> float:
        """Say, as a number to be summed over the ranks, whether the state is to be saved."""
        return float(self.ranks.leads and time.monotonic() - self.saved_at >= SAVE_EVERY_S)

    def _save(self) -> None:
        """Write the state, whole whatever the ranks hold; every rank must call this."""
        weights = {name: whole(tensor) for name, tensor in self.trained().items()}
        optimizer = optimizer_state(self.optimizer)
        if self.ranks.leads:
            write_state(self.path, replace(self.state, weights=weights, optimizer=optimizer))
        self.saved_at = time.monotonic()


def cosine(settings: TrainingParams, epoch: int) -> float:
    """Return the learning rate of an epoch: half a cosine from ``lr`` down to ``min_lr``."""
    wave = (1 + math.cos(math.pi * epoch / settings.epochs)) / 2
    return settings.min_lr + (settings.lr - settings.min_lr) * wave


def validation_requests(split: Split, settings: TrainingParams, ranks: Ranks) -> list[Request]:
    """Cut a split into a rank's batches; where all must run equally often some count nothing."""
    parts = enumerate(in_turn(split.groups, settings.micro_batch))
    requests = [Request(0, number, part, 1.0) for number, part in parts]
    if is_cut(settings, ranks):
        requests += [replace(requests[0], share=0.0)] * (-len(requests) % ranks.world)
    return requests[ranks.rank :: ranks.world]


def validate(
    model: AvsModel,
    batches: Iterator[tuple[Request, Batch]],
    settings: TrainingParams,
    ranks: Ranks,
) -> float | None:
    """Compute the mean IoU over the frames of all ranks' batches, 0..1; None of no frames."""
    _module(model).eval()
    total = count = 0.0
    with torch.no_grad(), torch.autocast(ranks.device.type, torch.bfloat16, settings.bf16):
        for request, batch in batches:
            moved = batch.to(ranks.device)
            assert moved.mask is not None
            iou = frame_iou(model(moved).logits.float(), moved.mask)
            total += request.share * float(iou.double().sum())
            count += request.share * len(iou)
    total, count = ranks.total(total, count)
    return total / count if count else None


def _module(model: AvsModel) -> nn.Module:
    assert isinstance(model, nn.Module)
    return model


def _check_agreement(state: State, path: Path, ranks: Ranks) -> None:
    """Refuse to begin where the ranks have not read the same state."""
    sums = ranks.total(state.epoch, state.step, state.epoch**2, state.step**2)
    if sums != [ranks.world * v for v in (state.epoch, state.step, state.epoch**2, state.step**2)]:
        raise CheckpointError(
            str(path),
            "one state, read by every process",
            f"epoch {state.epoch}, step {state.step} in process {ranks.rank}, another elsewhere",
            "Put the project on a path that all nodes share.",
        )


def _optimizer(parameters: list[nn.Parameter], settings: TrainingParams) -> torch.optim.Optimizer:
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.optimizer]
    return kind(parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)


def _step_seed(seed: int, request: Request, part: int, rank: int) -> int:
    return draw(seed, "step", *map(str, (request.epoch, request.step, part, rank))) >> 1


class _Explaining:
    """Turn an out-of-memory fault into a message that says what to change."""

    def __init__(self, batch: Batch, settings: TrainingParams) -> None:
        self.batch, self.settings = batch, settings

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: object) -> None:
        cpu = isinstance(error, RuntimeError) and "allocate memory" in str(error)
        if cpu or isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
            size = self.batch.image.shape[-1]
            raise AvsynthError(
                "training",
                "memory for a step",
                f"none left with {len(self.batch)} frames of {size} x {size} px at once",
                f"Lower train.micro_batch (now {self.settings.micro_batch}): the effective batch "
                f"stays {self.settings.batch_size}. Or set bf16 to true, or lower input_size.",
            ) from error
