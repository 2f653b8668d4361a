"""How a model's tensors are stored and its encoder is run while it trains.

The blocks of the image encoder are nearly all of a model's weights, activations and computation.
They can be recomputed in the backward pass, compiled, and sharded over the ranks (FSDP2: every
rank holds 1 / world of each tensor, and a block is gathered only while it runs). With none of
these a model is only moved to the rank's device.
"""

import copy
import os
import shutil
import warnings
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from avsynth.core.params.experiments import TrainingParams
from avsynth.loading.batch import BlockwiseModel
from avsynth.runtime.errors import ConfigError
from avsynth.training.distributed import Ranks, is_dtensor


def prepare(module: nn.Module, training: TrainingParams, ranks: Ranks) -> nn.Module:
    """Prepare a model for training.

    Args:
        module: an `avsynth.loading.batch.AvsModel`; for ``checkpointing`` and ``compile`` also a
            `BlockwiseModel`.
        training: ``checkpointing``, ``compile`` and ``shard`` are used.
        ranks: the processes that train together; a single one shards nothing.

    Returns:
        The model itself on the rank's device; or, sharded over the ranks, a copy of it, so that the
        model keeps its own weights whole.

    Raises:
        ConfigError: a switch needs encoder blocks that the model does not have, or compiling needs
            a C++ compiler that is not installed.
    """
    sharded = is_sharded(training, ranks)
    if sharded:
        module = _copy_of(module)
    if not (sharded or training.checkpointing or training.compile):
        return module.to(ranks.device)
    blocks = _encoder_blocks(module, training, sharded)
    if training.compile:
        _check_compiler()
        import torch._dynamo as dynamo

        # Windows and whole grids, with gradients and without, whole batches and an epoch's last.
        dynamo.config.recompile_limit = 64
        for block in blocks:
            block.compile()
    return _shard(module, blocks, ranks) if sharded else module.to(ranks.device)


def is_sharded(training: TrainingParams, ranks: Ranks) -> bool:
    """Return whether the ranks hold the model in shards; then they must run it equally often."""
    return training.shard == "fsdp2" and ranks.world > 1


def full_tensor(tensor: Tensor) -> Tensor:
    """Return a tensor gathered from its shards; every rank must call this."""
    return tensor.full_tensor() if is_dtensor(tensor) else tensor


def copy_into(tensor: Tensor, value: Tensor) -> None:
    """Copy a full value, the same on every rank, into a tensor that may be sharded."""
    tensor.copy_(_like(value, tensor))


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimiser's state in full tensors; every rank must call this."""
    content: dict[str, Any] = optimizer.state_dict()
    content["state"] = {
        number: {n: full_tensor(v) if isinstance(v, Tensor) else v for n, v in slots.items()}
        for number, slots in content["state"].items()
    }
    return content


def load_optimizer(optimizer: torch.optim.Optimizer, content: dict[str, Any]) -> None:
    """Load what `optimizer_state` returned, sharded as the optimiser's parameters are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state = {
        number: {
            name: _like(value, parameters[number]) if value.shape == parameters[number].shape
            else value
            for name, value in slots.items()
        }
        for number, slots in content["state"].items()
    }  # fmt: skip
    optimizer.load_state_dict({**content, "state": state})


def _like(value: Tensor, tensor: Tensor) -> Tensor:
    if not is_dtensor(tensor):
        return value
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = tensor.device_mesh, tensor.placements
    # None: every rank takes its shard from its own copy, and nothing is sent.
    return distribute_tensor(value.to(tensor.device), mesh, placements, src_data_rank=None)


def _copy_of(module: nn.Module) -> nn.Module:
    """Copy a model but not its weights: both share them."""
    known = {id(p): nn.Parameter(p.data, p.requires_grad) for p in module.parameters()}
    return copy.deepcopy(module, known)


def _encoder_blocks(
    module: nn.Module, training: TrainingParams, sharded: bool
) -> Sequence[nn.Module]:
    """Set how the encoder runs and return its blocks; a model without blocks is sharded whole."""
    if isinstance(module, BlockwiseModel):
        return module.encoder_blocks(checkpointing=training.checkpointing, sharded=sharded)
    switches = {"checkpointing": training.checkpointing, "compile": training.compile}
    on = [f"train.{name}" for name, value in switches.items() if value]
    if on:
        where, fix = " and ".join(on), f"Set {on[0]} to false, or write that method."
        found = f"{type(module).__name__}, which has none"
        raise ConfigError(where, "a model with the method encoder_blocks", found, fix)
    return ()


def _shard(module: nn.Module, blocks: Sequence[nn.Module], ranks: Ranks) -> nn.Module:
    """Shard every block, then the other parameters; gradients are summed, not averaged."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    mesh = init_device_mesh(ranks.device.type, (ranks.world,))
    for part in (*blocks, module):
        fully_shard(part, mesh=mesh)
        sharded = cast(FSDPModule, part)
        sharded.set_force_sum_reduction_for_comms(True)
        sharded.set_gradient_divide_factor(1.0)
    # Logits may be a view, of which FSDP warns; no code changes them in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")
    return module


def _check_compiler() -> None:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        fix = "Install one (apt install g++), name it in CXX, or set train.compile to false."
        raise ConfigError("train.compile", "a C++ compiler", f"no {compiler}", fix)
