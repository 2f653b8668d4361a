"""Checkpoints of the trained tensors, with hashes of the frozen ones.

A safetensors file with the trained tensors of any `AvsModel`. Its metadata has one entry,
``avsynth``, JSON of `CheckpointInfo`: the model, its parameters, and a hash of each frozen part, so
that trained tensors are never loaded onto another backbone unnoticed. Position tables depend on
the input size and are excluded from the hashes: a model trained at 256 px may be used at 1024 px.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from avsynth.core.files import atomic_file, sync
from avsynth.core.hashing import tensor_digest
from avsynth.formats.safe_pickle import first_line
from avsynth.loading.batch import AvsModel
from avsynth.models.backbones.sam import interpolate
from avsynth.models.backbones.weights import check_finite
from avsynth.runtime.errors import CheckpointError

_FORMAT = 2
_PART = re.compile(r"\w[\w.]{0,199}", re.ASCII)
_SIZED = ("pos_embed", "rel_pos_h", "rel_pos_w")


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """The metadata of a checkpoint."""

    model: str
    """`AvsModel.name`."""
    architecture: str
    """`AvsModel.architecture`."""
    input_size: int
    parameters: dict[str, Any]
    """The builder's arguments, besides backbone and VGGish."""
    frozen: dict[str, str]
    """Part of the model -> sha256 of its frozen tensors; a part without any is absent."""
    num_trained: int
    """Trained numbers in the file."""
    format: int = _FORMAT


def save_trained(model: AvsModel, path: Path, parameters: Mapping[str, Any]) -> CheckpointInfo:
    """Write the trained tensors of a model; the same model gives the same bytes.

    Args:
        model: with its trained weights.
        path: a ``.safetensors`` file; written atomically.
        parameters: the builder's arguments, JSON data.

    Returns:
        The metadata that was written with the tensors.
    """
    tensors = _trained(model)
    info = CheckpointInfo(
        model=model.name,
        architecture=model.architecture,
        input_size=model.input_size,
        parameters=dict(parameters),
        frozen=frozen_hashes(model),
        num_trained=sum(t.numel() for t in tensors.values()),
    )
    whole = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    with atomic_file(path) as temporary:
        try:
            save_file(whole, temporary, {"avsynth": json.dumps(asdict(info), sort_keys=True)})
        except SafetensorError as error:  # it hides the system's error
            raise OSError(first_line(error)) from error
        sync(temporary)  # The state of the run is removed after this.
    return info


def read_info(path: Path) -> CheckpointInfo:
    """Read the metadata of a checkpoint, without its tensors.

    Raises:
        CheckpointError: the file is absent, damaged or not written by `save_trained`.
    """
    with _opened(path) as file:
        text = (file.metadata() or {}).get("avsynth")
    try:
        info = _parse_info(text or "")
    except (ValueError, TypeError, RecursionError) as e:
        fix = "Use a checkpoint that avsynth wrote."
        found = f"other metadata ({first_line(e)})" if text else "another file"
        raise CheckpointError(str(path), "a checkpoint of avsynth", found, fix) from e
    if info.format != _FORMAT:
        fix = "Use the version of avsynth that wrote it."
        raise CheckpointError(str(path), f"format {_FORMAT}", f"format {info.format}", fix)
    return info


def _parse_info(text: str) -> CheckpointInfo:
    """Parse the metadata; names and digests in it may become part of code and pages.

    Raises:
        ValueError: a value is not what `save_trained` writes.
        TypeError: a key is missing or unknown.
    """
    info = CheckpointInfo(**json.loads(text, parse_constant=_no_number))
    faults = {
        "format": type(info.format) is not int,
        "model": not _is_name(info.model),
        "architecture": not _is_name(info.architecture),
        "input_size": type(info.input_size) is not int or info.input_size <= 0,
        "num_trained": type(info.num_trained) is not int or info.num_trained < 0,
        "parameters": not isinstance(info.parameters, dict)
        or not all(name.isidentifier() and not iskeyword(name) for name in info.parameters),
        "frozen": not isinstance(info.frozen, dict)
        or not all(_PART.fullmatch(part) and _is_digest(d) for part, d in info.frozen.items()),
    }
    if wrong := [name for name, found in faults.items() if found]:
        raise ValueError(f"bad {', '.join(wrong)}")
    return info


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def load_trained(model: AvsModel, path: Path) -> CheckpointInfo:
    """Load trained tensors into a model that was built with the checkpoint's parameters.

    Raises:
        CheckpointError: the file is damaged, holds NaN, or is of another model or backbone.
    """
    info = read_info(path)
    _check_backbone(model, info, path)
    slots = _trained(model)
    with _opened(path) as file:
        names = set(file.keys())
        if names != set(slots):
            other = sorted(names ^ set(slots))
            raise CheckpointError(
                str(path),
                f"the {len(slots)} trained tensors of {model.name} as built here",
                f"{len(names)}; {len(other)} differ, the first is {other[0]}",
                f"Build the model with the checkpoint's parameters: {json.dumps(info.parameters)}",
            )
        loaded = {name: file.get_tensor(name) for name in sorted(names)}
    for name, tensor in loaded.items():
        if tensor.shape != slots[name].shape and not name.endswith(_SIZED):
            found = f"shape {tuple(tensor.shape)}"
            fix = f"Build the model with the checkpoint's parameters: {json.dumps(info.parameters)}"
            expected = f"{name} of shape {tuple(slots[name].shape)}"
            raise CheckpointError(str(path), expected, found, fix)
    check_finite(str(path), loaded)
    with torch.no_grad():
        for name, tensor in loaded.items():
            slots[name].copy_(_resized(name, tensor, slots[name]))
    return info


def frozen_hashes(model: AvsModel) -> dict[str, str]:
    """Return the sha256 of the frozen tensors of each part of the model that has any."""
    trained = set(model.trainable_names())
    parts: dict[str, list[tuple[str, Tensor]]] = {}
    for name, tensor in sorted(_state(model).items()):
        if name not in trained:
            hashed = parts.setdefault(_part_of(name), [])
            if not name.endswith(_SIZED):
                hashed.append((name, tensor))
    return {part: tensor_digest(tensors) for part, tensors in parts.items()}


def _part_of(name: str) -> str:
    """Return the part that a tensor belongs to: one of SAM's three, else a child of the model."""
    parts = name.split(".")
    return ".".join(parts[:2] if parts[0] == "sam" else parts[:1])


def _state(model: AvsModel) -> dict[str, Tensor]:
    state: dict[str, Tensor] = cast(nn.Module, model).state_dict()
    return state


def _trained(model: AvsModel) -> dict[str, Tensor]:
    state = _state(model)
    return {name: state[name] for name in model.trainable_names()}


def _check_backbone(model: AvsModel, info: CheckpointInfo, path: Path) -> None:
    """Raise if the model, its architecture, or its frozen weights differ from the checkpoint's."""
    if model.name != info.model:
        fix = f"Build {info.model}, or use a checkpoint of {model.name}."
        raise CheckpointError(str(path), model.name, info.model, fix)
    here, there = model.architecture, info.architecture
    fix = "Build the model on the backbone that the checkpoint was trained on."
    if here != there:
        raise CheckpointError(str(path), f"backbone {here}", f"backbone {there}", fix)
    hashes = frozen_hashes(model)
    for part in sorted(hashes.keys() & info.frozen.keys()):
        if hashes[part] != info.frozen[part]:
            raise CheckpointError(
                str(path),
                f"backbone {here}, {part} {hashes[part][:12]}",
                f"backbone {there}, {part} {info.frozen[part][:12]}",
                fix,
            )


def _resized(name: str, tensor: Tensor, slot: Tensor) -> Tensor:
    """Return a trained position table at the input size of its slot."""
    return tensor if tensor.shape == slot.shape else interpolate(name, tensor, slot)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; raise `CheckpointError` if it is damaged."""
    fix = "Train the model first, or correct the path."
    if path.exists() and not path.is_file():
        raise CheckpointError(str(path), "a checkpoint file", "a folder, pipe or device", fix)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError as e:
        raise CheckpointError(str(path), "a checkpoint file", "no such file", fix) from e
    except (SafetensorError, OSError, ValueError, TypeError) as e:
        found = f"a file that cannot be read ({first_line(e)})"
        fix = "Write or copy the file again."
        raise CheckpointError(str(path), "a whole safetensors file", found, fix) from e
