"""Reader of published weight files that runs no code from them and checks names and shapes."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from avsynth.runtime.errors import CheckpointError


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a ``.pth`` file of tensors by name (``torch.load`` with ``weights_only=True``).

    Raises:
        CheckpointError: the file is absent, cut short, or not a dictionary of tensors.
    """
    fix = "Download the file again and compare its size and checksum with the publisher's."
    if not path.is_file():
        raise CheckpointError(str(path), "a checkpoint file", "no such file", fix)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError, OSError) as e:
        size = path.stat().st_size
        reason = str(e).strip().splitlines()[0][:160] if str(e).strip() else type(e).__name__
        found = f"{size:,} bytes that cannot be read ({reason})"
        raise CheckpointError(str(path), "a whole PyTorch file of plain tensors", found, fix) from e
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        found = f"a {type(state).__name__} with other contents"
        raise CheckpointError(str(path), "a dictionary of tensors by name", found, fix)
    return state


def check_weights(
    where: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str
) -> None:
    """Compare names and shapes with what the network ``what`` needs.

    Raises:
        CheckpointError: a name is missing or unknown, or a shape differs.
    """
    missing = sorted(expected.keys() - state.keys())
    unknown = sorted(state.keys() - expected.keys())
    if missing or unknown:
        found = "; ".join(
            f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for kind, names in (("missing", missing), ("unknown", unknown))
            if names
        )
        fix = f"Use the checkpoint of {what}."
        raise CheckpointError(where, f"the {len(expected)} tensors of {what}", found, fix)
    for name in sorted(expected):
        if state[name].shape != expected[name].shape:
            raise CheckpointError(
                where,
                f"{name} of shape {tuple(expected[name].shape)}",
                f"shape {tuple(state[name].shape)}",
                f"Use the checkpoint of {what}.",
            )
