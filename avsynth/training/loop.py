"""One training loop for every model: exact resume, best weights by validation, any world size.

A step is defined by its global batch of ``batch_size`` frames. It does not depend on the number of
devices and of their micro-batches: the loss of a micro-batch is weighted by its number of frames.
All randomness of a step is seeded by (seed, epoch, step, micro-batch, rank). A run that was killed
resumes from its last saved state and reaches the same weights.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from avsynth.core.files import atomic_file
from avsynth.core.hashing import draw
from avsynth.core.params.experiments import TrainingParams
from avsynth.loading.batch import AvsModel, Batch, check_model
from avsynth.loading.dataset import SplitData, load
from avsynth.loading.sampler import FrameGroup, Request, epoch_steps, in_turn, rank_requests
from avsynth.metrics.frames import frame_iou
from avsynth.runtime.errors import AvsynthError, CheckpointError, DataError
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track
from avsynth.training.distributed import Ranks
from avsynth.training.parallel import (
    copy_into,
    full_tensor,
    is_sharded,
    load_optimizer,
    optimizer_state,
    prepare,
)
from avsynth.training.run_state import RunState, read_state, write_state

SAVE_EVERY_S = 60.0
"""Time between two saved states; a killed run loses this much and the step it was in."""


@dataclass(frozen=True, slots=True)
class Run:
    """The identity of a run: its state file, inputs and seed."""

    state: Path
    """File of the state until the run is complete."""
    fingerprint: str
    """Hash of the run's inputs: a state with another fingerprint is not resumed."""
    seed: int
    """Seed of order and dropout."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The results of an epoch."""

    epoch: int
    lr: float
    train_loss: float
    val_miou: float | None
    """None if the epoch was not validated."""


@dataclass(slots=True)
class Trained:
    """The results of a run; the model now holds the best weights."""

    best_epoch: int
    best_miou: float
    history: list[Epoch] = field(default_factory=list)
    effective_batch: int = 0
    """Frames in a step, all devices and micro-batches together."""


def train(
    model: AvsModel,
    data: tuple[SplitData, SplitData],
    training: TrainingParams,
    run: Run,
    *,
    ranks: Ranks,
    runtime: Runtime,
    report: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train a model; it then holds the weights of its best epoch.

    Args:
        model: on any device; moved to the rank's, unless it is sharded over the ranks.
        data: training and validation splits.
        training: optimiser, schedule and batch.
        run: its seed, and its state to resume from.
        ranks: the processes that train together.
        runtime: loader workers.
        report: called by rank 0 after every epoch, also for the earlier ones of a resumed run.

    Raises:
        AvsynthError: the loss is not finite (the batch's keys are saved), or memory ran out.
        ConfigError: the model does not meet `AvsModel`.
        DataError: the training or validation split is empty.
        SpaceError: the state cannot be saved; the previous one is kept.
    """
    check_model(model)
    if not data[0].groups or not data[1].groups:
        where = str(data[0].dataset.reader.folder)
        found = f"{len(data[0].groups)} and {len(data[1].groups)}"
        raise DataError(where, "samples to train and to validate on", found, "Build more data.")
    if not model.trainable_names():
        return _validate_once(model, data[1], training, ranks, runtime, report)
    loop = _Loop(model, data, training, run, ranks, runtime)
    for earlier in loop.state.history:
        report(Epoch(**earlier))
    batches = load(_TrainThenVal(data), loop.requests(), runtime)
    for epoch in range(loop.state.epoch, training.epochs):
        done = loop.run_epoch(epoch, batches)
        if ranks.is_main:
            report(done)
    loop.load_best()
    history = [Epoch(**one) for one in loop.state.history]
    return Trained(loop.state.best_epoch, loop.state.best_miou, history, training.batch_size)


def _validate_once(
    model: AvsModel,
    split: SplitData,
    training: TrainingParams,
    ranks: Ranks,
    runtime: Runtime,
    report: Callable[[Epoch], None],
) -> Trained:
    """Validate a model that trains nothing."""
    _module(model).to(ranks.device)
    batches = load(split.dataset, validation_requests(split, training, ranks), runtime)
    miou = validate(model, batches, training, ranks)
    assert miou is not None
    done = Epoch(0, 0.0, 0.0, miou)
    if ranks.is_main:
        report(done)
    return Trained(0, miou, [done], training.batch_size)


class _TrainThenVal(Dataset[tuple[Request, Batch]]):
    """The training and validation data as one dataset, so that one set of workers serves both."""

    def __init__(self, data: tuple[SplitData, SplitData]) -> None:
        self.datasets = [split.dataset for split in data]

    def __getitem__(self, index: tuple[int, Request]) -> tuple[Request, Batch]:
        which, request = index
        return self.datasets[which][request]


_TRAIN, _VALIDATE = 0, 1


class _Loop:
    """The state of a run and the methods that advance it."""

    def __init__(
        self,
        model: AvsModel,
        data: tuple[SplitData, SplitData],
        training: TrainingParams,
        run: Run,
        ranks: Ranks,
        runtime: Runtime,
    ) -> None:
        self.data, self.training, self.seed = data, training, run.seed
        self.ranks, self.runtime = ranks, runtime
        self.path = run.state
        self.original, self.module = _module(model), prepare(_module(model), training, ranks)
        self.model = cast(AvsModel, self.module)
        self.names = model.trainable_names()
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.optimizer = _optimizer(self.parameters, training)
        self.state = read_state(run.state, run.fingerprint) or RunState(run.fingerprint)
        _check_agreement(self.state, run.state, ranks)
        if self.state.weights:
            self._load(self.module, self.state.weights)
            load_optimizer(self.optimizer, self.state.optimizer)
            self.state.weights, self.state.optimizer = {}, {}
        self.validation = validation_requests(data[_VALIDATE], training, ranks)
        self.saved_at = time.monotonic()

    def trained(self) -> dict[str, Tensor]:
        """Return the tensors that training changes; they share memory with the model."""
        tensors = self.module.state_dict()
        return {name: tensors[name] for name in self.names}

    def _load(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        tensors = module.state_dict()
        for name in self.names:
            copy_into(tensors[name], weights[name])

    def load_best(self) -> None:
        """Copy the weights of the best epoch into the unsharded model."""
        self._load(self.original, self.state.best_weights)

    def requests(self) -> Iterator[tuple[int, Request]]:
        """Yield this rank's remaining requests: training, then validation, epoch by epoch."""
        for epoch in range(self.state.epoch, self.training.epochs):
            first = self.state.step if epoch == self.state.epoch else 0
            steps = self._steps(epoch)
            for number in range(first, len(steps)):
                for request in self._requests(steps[number], epoch, number):
                    yield _TRAIN, request
            for request in self._validation(epoch):
                yield _VALIDATE, request

    def _validation(self, epoch: int) -> list[Request]:
        """Return this rank's validation requests after an epoch."""
        done, training = epoch + 1, self.training
        due = done % training.validate_every == 0 or done == training.epochs
        return self.validation if due else []

    def _steps(self, epoch: int) -> list[tuple[FrameGroup, ...]]:
        return epoch_steps(self.data[0].groups, self.training.batch_size, self.seed, epoch)

    def _requests(self, step: tuple[FrameGroup, ...], epoch: int, number: int) -> list[Request]:
        micro, ranks = self.training.micro_batch, self.ranks
        even = is_sharded(self.training, ranks)
        return rank_requests(step, micro, epoch, number, ranks.rank, ranks.world, even=even)

    def run_epoch(self, epoch: int, batches: Iterator[tuple[Request, Batch]]) -> Epoch:
        """Run the remaining steps of an epoch, validate, and record the results."""
        lr = cosine(self.training, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        steps = self._steps(epoch)
        todo = range(self.state.step, len(steps))
        self.module.train()
        for number in track(todo, f"epoch {epoch + 1}/{self.training.epochs}", len(todo),
                            self.runtime):  # fmt: skip
            expected = len(self._requests(steps[number], epoch, number))
            loss, due = self._step(expected, batches)
            self.state.loss_sum += loss
            self.state.step = number + 1
            if due:
                self._save()
        self.ranks.broadcast(self.trained().values())
        part = islice(batches, len(self._validation(epoch)))
        miou = validate(self.model, part, self.training, self.ranks)
        return self._close(Epoch(epoch, lr, self.state.loss_sum / len(steps), miou))

    def _step(self, expected: int, batches: Iterator[tuple[Request, Batch]]) -> list[float]:
        """Run one optimiser step; return its loss over all ranks, and whether to save now."""
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in range(expected):
            request, batch = next(batches)
            torch.manual_seed(_step_seed(self.seed, request, part, self.ranks.rank))
            with _explain_out_of_memory(batch, self.training):
                total += self._backward(batch.to(self.ranks.device), request)
        self.ranks.sum_gradients(self.parameters)
        self.optimizer.step()
        return self.ranks.all_reduce_sum(total, self._due())

    def _backward(self, batch: Batch, request: Request) -> float:
        device = self.ranks.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.training.bf16):
            loss = self.model.loss(batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._not_finite(value, request)
        (loss * request.weight).backward()
        return value * request.weight

    def _not_finite(self, value: float, request: Request) -> AvsynthError:
        path = self.path.with_name("not-finite.json")
        keys = [key for group in request.groups for key in group.keys]
        content = {"epoch": request.epoch, "step": request.step, "loss": str(value), "keys": keys}
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        where = f"training, epoch {request.epoch}, step {request.step}"
        fix = f"Check the samples named in {path}; lower train.lr, or set train.bf16 to false."
        return AvsynthError(where, "a finite loss", str(value), fix)

    def _close(self, done: Epoch) -> Epoch:
        state = self.state
        state.history.append({name: getattr(done, name) for name in Epoch.__slots__})
        miou = done.val_miou
        if miou is not None and (miou > state.best_miou or not state.best_weights):
            state.best_miou, state.best_epoch = miou, done.epoch
            state.best_weights = {
                n: full_tensor(t).cpu().clone() for n, t in self.trained().items()
            }
        state.epoch, state.step, state.loss_sum = done.epoch + 1, 0, 0.0
        if self.ranks.all_reduce_sum(self._due())[0]:
            self._save()
        return done

    def _due(self) -> float:
        """Return 1.0 if the state must be saved now, else 0.0: a number to sum over the ranks."""
        return float(self.ranks.is_main and time.monotonic() - self.saved_at >= SAVE_EVERY_S)

    def _save(self) -> None:
        """Write the state in full tensors; every rank must call this."""
        weights = {name: full_tensor(tensor) for name, tensor in self.trained().items()}
        optimizer = optimizer_state(self.optimizer)
        if self.ranks.is_main:
            write_state(self.path, replace(self.state, weights=weights, optimizer=optimizer))
        self.saved_at = time.monotonic()


def cosine(training: TrainingParams, epoch: int) -> float:
    """Return the learning rate of an epoch: half a cosine from ``lr`` down to ``min_lr``."""
    wave = (1 + math.cos(math.pi * epoch / training.epochs)) / 2
    return training.min_lr + (training.lr - training.min_lr) * wave


def validation_requests(split: SplitData, training: TrainingParams, ranks: Ranks) -> list[Request]:
    """Return this rank's validation batches, padded with zero-weight batches if sharded.

    Ranks that hold one model in shards must run it equally often.
    """
    parts = enumerate(in_turn(split.groups, training.micro_batch))
    requests = [Request(0, number, part, 1.0) for number, part in parts]
    if is_sharded(training, ranks):
        requests += [replace(requests[0], weight=0.0)] * (-len(requests) % ranks.world)
    return requests[ranks.rank :: ranks.world]


def validate(
    model: AvsModel,
    batches: Iterator[tuple[Request, Batch]],
    training: TrainingParams,
    ranks: Ranks,
) -> float | None:
    """Compute the mean IoU over the frames of all ranks' batches, 0..1; None without frames."""
    _module(model).eval()
    total = count = 0.0
    with torch.no_grad(), torch.autocast(ranks.device.type, torch.bfloat16, training.bf16):
        for request, batch in batches:
            moved = batch.to(ranks.device)
            assert moved.mask is not None
            iou = frame_iou(model(moved).logits.float(), moved.mask)
            total += request.weight * float(iou.double().sum())
            count += request.weight * len(iou)
    total, count = ranks.all_reduce_sum(total, count)
    return total / count if count else None


def _module(model: AvsModel) -> nn.Module:
    assert isinstance(model, nn.Module)
    return model


def _check_agreement(state: RunState, path: Path, ranks: Ranks) -> None:
    """Check that all ranks have read the same state."""
    sums = ranks.all_reduce_sum(state.epoch, state.step, state.epoch**2, state.step**2)
    if sums != [ranks.world * v for v in (state.epoch, state.step, state.epoch**2, state.step**2)]:
        raise CheckpointError(
            str(path),
            "one state, read by every process",
            f"epoch {state.epoch}, step {state.step} in process {ranks.rank}, another elsewhere",
            "Put the project on a path that all nodes share.",
        )


def _optimizer(parameters: list[nn.Parameter], training: TrainingParams) -> torch.optim.Optimizer:
    kinds: dict[str, type[torch.optim.Adam]] = {
        "adamw": torch.optim.AdamW,
        "adam": torch.optim.Adam,
    }
    kind = kinds[training.optimizer]
    return kind(parameters, lr=training.lr, weight_decay=training.weight_decay, fused=True)


def _step_seed(seed: int, request: Request, part: int, rank: int) -> int:
    return draw(seed, "step", *map(str, (request.epoch, request.step, part, rank))) >> 1


@contextmanager
def _explain_out_of_memory(batch: Batch, training: TrainingParams) -> Iterator[None]:
    """Replace an out-of-memory error by one that names the parameters to change."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.cuda.OutOfMemoryError is a RuntimeError
        cpu = "allocate memory" in str(error)
        if not cpu and not isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
            raise
        size = batch.image.shape[-1]
        raise AvsynthError(
            "training",
            "memory for a step",
            f"none left with {len(batch)} frames of {size} x {size} px at once",
            f"Lower train.micro_batch (now {training.micro_batch}): the effective batch "
            f"stays {training.batch_size}. Or set bf16 to true, or lower input_size.",
        ) from error
