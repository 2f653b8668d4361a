"""`RunState`: the saved state of an unfinished run, written atomically, resumed by its own run."""

import pickle
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avsynth.core.files import atomic_file
from avsynth.runtime.errors import CheckpointError


@dataclass(slots=True)
class RunState:
    """All that is needed to resume a run: plain tensors, numbers and text."""

    fingerprint: str
    """Hash of the run's inputs."""
    epoch: int = 0
    """The current or next epoch."""
    step: int = 0
    """The next step of the epoch."""
    loss_sum: float = 0.0
    """Sum of the losses of the epoch's steps so far."""
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best_epoch: int = -1
    best_miou: float = -1.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


def write_state(path: Path, state: RunState) -> None:
    """Write a state; the previous one is replaced once the new one is complete.

    Raises:
        SpaceError: the disk is full or the folder cannot be written.
    """
    content = {f.name: getattr(state, f.name) for f in fields(RunState)}
    with atomic_file(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch's own writer hides the system's error
            raise OSError(str(error).splitlines()[0]) from error


def read_state(path: Path, fingerprint: str) -> RunState | None:
    """Read a state; return None if the file is absent or belongs to another run.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = RunState(**content)
    except (RuntimeError, EOFError, TypeError, ValueError, pickle.UnpicklingError) as error:
        found = str(error).strip().splitlines()[0][:160]
        fix = f"Remove {path.name} to start the run again."
        raise CheckpointError(str(path), "the state of a run", found, fix) from None
    return state if state.fingerprint == fingerprint else None
