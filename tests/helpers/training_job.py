"""A training run that a test starts, kills, and starts again in other numbers of processes.

``python -m tests.helpers.training_job JOB.json`` trains a model to its end; the leading process
writes the weights beside the job, to ``JOB.pt``.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avsynth.loading.batch import Batch
from avsynth.models.backbones.sam import build_sam
from avsynth.models.backbones.vggish import build_vggish
from avsynth.models.sama_avs import build_sama_avs
from avsynth.runtime.options import Runtime
from avsynth.training import loop as training
from avsynth.training.distributed import init_distributed
from avsynth.training.run_state import RunState, read_state
from tests.helpers.small import SETTINGS, SmallModel, small_split

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """What is trained, and how."""

    shards: str
    state: str
    """A path; ``{rank}`` in it stands for the process, as where nodes share no disk."""
    model: str = "small"
    """``small``; ``frozen`` and ``trained``: SAMA-AVS with such an image encoder."""
    slowness_s: float = 0.0
    """Of a forward pass, so that a test can kill the run in the middle of an epoch."""
    dropout: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    """What differs from `SETTINGS`."""


def build(job: Job) -> Any:
    """Build the job's model."""
    if job.model != "small":
        trained = job.model == "trained"
        vggish = build_vggish(None, size="tiny")
        return build_sama_avs(build_sam("tiny", 32), vggish, train_image_encoder=trained)
    model = SmallModel()
    model.drop.p = job.dropout
    return model


def run(job: Job) -> dict[str, Tensor] | None:
    """Train to the end; return the weights to the leading process."""
    torch.set_num_threads(1)
    model = build(job)
    if job.slowness_s:
        loss = type(model).loss

        def slow(self: Any, batch: Batch) -> Tensor:
            time.sleep(job.slowness_s)
            return loss(self, batch)

        type(model).loss = slow  # of the class: the model that trains may be a copy
    splits = [small_split(Path(job.shards), s, size=model.input_size) for s in ("train", "val")]
    with init_distributed("cpu") as ranks:
        training.train(
            model,
            (splits[0], splits[1]),
            SETTINGS.model_copy(update=job.settings),
            training.Run(Path(job.state.format(rank=ranks.rank)), "job", seed=1),
            ranks=ranks,
            runtime=Runtime(quiet=True),
        )
    return dict(model.state_dict()) if ranks.is_main else None


def start(job: Job, name: str, launcher: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
    """Start a job in a process of its own, or in several: those of ``torchrun``'s options.

    What they say goes beside the state, to ``<name>.log``.
    """
    path = Path(job.state).with_name(f"{name}.json")
    path.write_text(json.dumps(asdict(job)))
    torchrun = ["-m", "torch.distributed.run", *launcher] if launcher else []
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, *torchrun, "-m", "tests.helpers.training_job", str(path)]
    with path.with_suffix(".log").open("w") as log:
        return subprocess.Popen(command, cwd=REPOSITORY, env=quiet, stderr=log)


def kill_at(process: "subprocess.Popen[bytes]", job: Job, epoch: int, step: int) -> RunState:
    """Wait until a run has saved this step, kill all of its processes; return what is left."""
    path = Path(job.state)
    try:
        until = time.monotonic() + 120
        while not (found := read_state(path, "job")) or (found.epoch, found.step) < (epoch, step):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in [*map(int, ranks), process.pid]:
            os.kill(pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    left = read_state(path, "job")
    assert left is not None
    assert left.epoch < SETTINGS.model_copy(update=job.settings).epochs
    return left


def weights(job: Job, name: str, launcher: Sequence[str] = ()) -> dict[str, Tensor]:
    """Run a job to its end and read its weights."""
    path = Path(job.state).with_name(f"{name}.pt")
    assert start(job, name, launcher).wait(timeout=400) == 0, path.with_suffix(".log").read_text()
    loaded: dict[str, Tensor] = torch.load(path)
    return loaded


if __name__ == "__main__":
    training.SAVE_EVERY_S = 0.0
    path = Path(sys.argv[1])
    trained = run(Job(**json.loads(path.read_text())))
    if trained is not None:
        torch.save(trained, path.with_suffix(".pt"))
