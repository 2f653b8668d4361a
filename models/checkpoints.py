"""Checkpoints that hold what was trained, and name what was not.

A safetensors file with the trained tensors only. Its metadata has one entry, ``avsynth``, JSON of
`CheckpointInfo`: the model, its parameters, and a hash for each frozen part of the backbone, so
that trained tensors are never put onto another backbone unnoticed. Position tables depend on the
input size and are left out of the hashes: a model trained at 256 px may be tried at 1024 px.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from avsynth.core.files import atomic_file
from avsynth.core.hashing import tensor_digest
from avsynth.models.backbones.sam import interpolate
from avsynth.runtime.errors import CheckpointError

_FORMAT = 1
_PARTS = ("sam.image_encoder", "sam.prompt_encoder", "sam.mask_decoder", "vggish")
_SIZED = ("pos_embed", "rel_pos_h", "rel_pos_w")


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What a checkpoint says of itself."""

    model: str
    """Key in `avsynth.models.MODELS`."""
    architecture: str
    """Key in `avsynth.models.backbones.architectures.ARCHITECTURES`."""
    input_size: int
    parameters: dict[str, Any]
    """What the builder was called with, besides backbone and VGGish."""
    frozen: dict[str, str]
    """Part of the backbone -> sha256 of its frozen tensors; a part without any is absent."""
    num_trained: int
    """Trained numbers in the file."""
    format: int = _FORMAT


def save_trained(model: Any, path: Path, parameters: Mapping[str, Any]) -> CheckpointInfo:
    """Write the trained tensors of a model; the same model gives the same bytes.

    Args:
        model: one of the six systems.
        path: a ``.safetensors`` file; it appears whole or not at all.
        parameters: what the builder was called with, JSON data.

    Returns:
        what was written beside the tensors.
    """
    tensors = _trained(model)
    info = CheckpointInfo(
        model=model.name,
        architecture=model.sam.architecture,
        input_size=model.input_size,
        parameters=dict(parameters),
        frozen=frozen_hashes(model),
        num_trained=sum(t.numel() for t in tensors.values()),
    )
    whole = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    with atomic_file(path) as temporary:
        save_file(whole, temporary, {"avsynth": json.dumps(asdict(info), sort_keys=True)})
    return info


def read_info(path: Path) -> CheckpointInfo:
    """Read what a checkpoint says of itself, without its tensors.

    Raises:
        CheckpointError: the file is absent, damaged or not written by `save_trained`.
    """
    with _opened(path) as file:
        text = (file.metadata() or {}).get("avsynth")
    try:
        info = CheckpointInfo(**json.loads(text or ""))
    except (ValueError, TypeError) as e:
        fix = "Give a checkpoint that avsynth wrote."
        raise CheckpointError(str(path), "a checkpoint of avsynth", "another file", fix) from e
    if info.format != _FORMAT:
        fix = "Use the version of avsynth that wrote it."
        raise CheckpointError(str(path), f"format {_FORMAT}", f"format {info.format}", fix)
    return info


def load_trained(model: Any, path: Path) -> CheckpointInfo:
    """Put trained tensors into a model that was built as the checkpoint's was.

    Raises:
        CheckpointError: the file is damaged, or of another model or backbone.
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
    with torch.no_grad():
        for name, tensor in loaded.items():
            slots[name].copy_(_resized(name, tensor, slots[name]))
    return info


def frozen_hashes(model: nn.Module) -> dict[str, str]:
    """Hash the frozen tensors of each part of the backbone that the model has."""
    trained = set(_trained(model))
    state = dict(sorted(model.state_dict().items()))
    hashes: dict[str, str] = {}
    for part in _PARTS:
        names = [n for n in state if n.startswith(f"{part}.") and n not in trained]
        if names:
            hashes[part] = tensor_digest((n, state[n]) for n in names if not n.endswith(_SIZED))
    return hashes


def _trained(model: Any) -> dict[str, Tensor]:
    state = model.state_dict()
    return {name: state[name] for name in model.trainable_names()}


def _check_backbone(model: Any, info: CheckpointInfo, path: Path) -> None:
    """Refuse another model, another architecture, or the same with other weights."""
    if model.name != info.model:
        fix = f"Build {info.model}, or give a checkpoint of {model.name}."
        raise CheckpointError(str(path), model.name, info.model, fix)
    here, there = model.sam.architecture, info.architecture
    fix = "Build the model on the backbone that the checkpoint was trained on."
    if here != there:
        raise CheckpointError(str(path), f"backbone SAM {here}", f"backbone SAM {there}", fix)
    hashes = frozen_hashes(model)
    for part in sorted(hashes.keys() & info.frozen.keys()):
        if hashes[part] != info.frozen[part]:
            raise CheckpointError(
                str(path),
                f"backbone SAM {here}, {part} {hashes[part][:12]}",
                f"backbone SAM {there}, {part} {info.frozen[part][:12]}",
                fix,
            )


def _resized(name: str, tensor: Tensor, slot: Tensor) -> Tensor:
    """Interpolate a trained position table to another input size."""
    return tensor if tensor.shape == slot.shape else interpolate(name, tensor, slot)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; damage becomes a `CheckpointError`."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError as e:
        fix = "Train the model first, or correct the path."
        raise CheckpointError(str(path), "a checkpoint file", "no such file", fix) from e
    except (SafetensorError, OSError) as e:
        found = f"a file that cannot be read ({e})"
        fix = "Write or copy the file again."
        raise CheckpointError(str(path), "a whole safetensors file", found, fix) from e
