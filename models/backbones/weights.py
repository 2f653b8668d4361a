"""Reader of published weight files that runs no code from them and checks names and shapes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avsynth.formats.safe_pickle import UNREADABLE, first_line
from avsynth.runtime.errors import CheckpointError

_NESTED_IN = ("state_dict", "model", "model_state_dict")
"""Keys under which training programs store the weights beside their own state."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a ``.pth`` file of tensors by name (``torch.load`` with ``weights_only=True``).

    Tensors of half or double precision are converted to float32. The dictionary may lie under
    ``state_dict``, ``model`` or ``model_state_dict`` of another one.

    Raises:
        CheckpointError: the file is absent, cut short, or not a dictionary of tensors.
    """
    fix = "Download the file again and compare its size and checksum with the publisher's."
    if not path.is_file():
        raise CheckpointError(str(path), "a checkpoint file", "no such file", fix)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as e:
        size = path.stat().st_size
        found = f"{size:,} bytes that cannot be read ({first_line(e)})"
        raise CheckpointError(str(path), "a whole PyTorch file of plain tensors", found, fix) from e
    for key in _NESTED_IN:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if fault := _fault(state):
        fix = "Save the model's state_dict, names with tensors, and name that file."
        raise CheckpointError(str(path), "a dictionary of tensors by name", fault, fix)
    return {name: t.float() if t.is_floating_point() else t for name, t in state.items()}


def _fault(state: Any) -> str:
    """Return why something is no dictionary of plain tensors by name; empty if it is one."""
    if not isinstance(state, dict):
        return f"a {type(state).__name__}"
    for name, tensor in state.items():
        if not isinstance(name, str):
            return f"the key {str(name)[:40]!r} of type {type(name).__name__}"
        if not isinstance(tensor, Tensor):
            return f"{name[:80]!r} of type {type(tensor).__name__}"
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            return f"{name[:80]!r}, a sparse, quantised or empty tensor"
    return ""


def check_weights(
    where: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str
) -> None:
    """Compare names, shapes and types with what the network ``what`` needs.

    Raises:
        CheckpointError: a name is missing or unknown, a shape or type differs, or a number is not
            finite.
    """
    fix = f"Use the checkpoint of {what}."
    missing = sorted(expected.keys() - state.keys())
    unknown = sorted(state.keys() - expected.keys())
    if missing or unknown:
        found = "; ".join(
            f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for kind, names in (("missing", missing), ("unknown", unknown))
            if names
        )
        raise CheckpointError(where, f"the {len(expected)} tensors of {what}", found, fix)
    for name in sorted(expected):
        if state[name].shape != expected[name].shape:
            wanted = f"{name} of shape {tuple(expected[name].shape)}"
            raise CheckpointError(where, wanted, f"shape {tuple(state[name].shape)}", fix)
        if state[name].dtype != expected[name].dtype:
            wanted = f"{name} of type {expected[name].dtype}"
            raise CheckpointError(where, wanted, str(state[name].dtype), fix)
    check_finite(where, state)


def check_finite(where: str, state: Mapping[str, Tensor]) -> None:
    """Check that every number is finite.

    Raises:
        CheckpointError: a tensor holds NaN or infinity; it names the tensor.
    """
    # A sum is not finite if one of its terms is not; a sum of float32 in float64 cannot overflow.
    bad = [
        name
        for name, tensor in sorted(state.items())
        if tensor.is_floating_point() and not tensor.sum(dtype=torch.float64).isfinite()
    ]
    if bad:
        found = f"NaN or infinity in {len(bad)} of {len(state)}, the first is {bad[0]}"
        fix = "Use another checkpoint: these weights were damaged, or saved after training failed."
        raise CheckpointError(where, "tensors of finite numbers", found, fix)
