"""`RunState`: the saved state of an unfinished run, written atomically, resumed by its own run."""

import errno
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avsynth.core.files import atomic_file, sync
from avsynth.formats.safe_pickle import UNREADABLE, first_line
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
        except RuntimeError as error:  # such as: unexpected pos 64 vs 0
            found = "a file that could not be written to its end, as when the disk is full"
            raise OSError(errno.EIO, found) from error
        sync(temporary)


def read_state(path: Path, fingerprint: str) -> RunState | None:
    """Read a state; return None if the file is absent or belongs to another run.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        if not path.is_file() or not path.stat().st_size:
            raise ValueError("an empty file" if path.is_file() else "a folder, pipe or device")
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = RunState(**content)
        _check_types(state)
    except UNREADABLE as error:
        fix = f"Remove {path} and run the same command again; the run starts from its beginning."
        raise CheckpointError(str(path), "the state of a run", first_line(error), fix) from None
    return state if state.fingerprint == fingerprint else None


def _check_types(state: RunState) -> None:
    """Check that every field has the type of its default.

    Raises:
        TypeError: one has not.
    """
    example = RunState("")
    for name in (f.name for f in fields(RunState)):
        value, wanted = getattr(state, name), type(getattr(example, name))
        if not isinstance(value, wanted) and not (wanted is float and isinstance(value, int)):
            raise TypeError(f"{name} is a {type(value).__name__}")
    for weights in (state.weights, state.best_weights):
        if not all(isinstance(tensor, Tensor) for tensor in weights.values()):
            raise TypeError("weights that are no tensors")
