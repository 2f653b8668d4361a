"""Where a model's tensors lie while it trains, and how its encoder's blocks are run.

The blocks of the image encoder are nearly all of a model's weights, activations and work. They
can be recomputed in the backward pass, compiled, and cut over the ranks (FSDP2: every rank keeps
1 / world of each tensor, and a block is put together only while it runs). A model without any of
this is moved to the rank's device, and that is all.
"""

import copy
import os
import shutil
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from avsynth.core.params.experiments import TrainingParams
from avsynth.runtime.errors import ConfigError
from avsynth.training.distributed import Ranks, lies_in_parts


def placed(module: nn.Module, settings: TrainingParams, ranks: Ranks) -> nn.Module:
    """Ready a model for training as its settings say.

    Args:
        module: a model whose backbone is ``sam``, where a switch is on.
        settings: ``checkpointing``, ``compile`` and ``shard`` are looked at.
        ranks: the processes that train together; one alone has nothing to cut.

    Returns:
        The model itself on the rank's device; or, cut over the ranks, a twin of it that takes no
        weights away from it.

    Raises:
        ConfigError: compiling is asked for, and there is no C++ compiler.
    """
    cut = is_cut(settings, ranks)
    if cut:
        module = _twin(module)
    if settings.checkpointing:
        _encoder(module).checkpointing = True
    if settings.compile:
        _check_compiler()
        import torch._dynamo as dynamo

        # Windows and whole grids, with gradients and without, whole batches and an epoch's last.
        dynamo.config.recompile_limit = 64
        for block in _encoder(module).blocks:
            block.compile()
    return _cut_over(module, ranks) if cut else module.to(ranks.device)


def is_cut(settings: TrainingParams, ranks: Ranks) -> bool:
    """Say whether the ranks hold a model together; then they must run it equally often."""
    return settings.shard == "fsdp2" and ranks.world > 1


def whole(tensor: Tensor) -> Tensor:
    """Put a tensor together that may be cut; every rank must ask."""
    return tensor.full_tensor() if lies_in_parts(tensor) else tensor


def fill(tensor: Tensor, value: Tensor) -> None:
    """Copy a whole value, the same on every rank, into a tensor that may be cut."""
    tensor.copy_(_like(value, tensor))


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimiser's state in whole tensors: that of one process; every rank must ask."""
    content: dict[str, Any] = optimizer.state_dict()
    content["state"] = {
        number: {n: whole(v) if isinstance(v, Tensor) else v for n, v in slots.items()}
        for number, slots in content["state"].items()
    }
    return content


def load_optimizer(optimizer: torch.optim.Optimizer, content: dict[str, Any]) -> None:
    """Take over what `optimizer_state` returned, cut as the optimiser's parameters are."""
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
    if not lies_in_parts(tensor):
        return value
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = tensor.device_mesh, tensor.placements
    # None: every rank cuts its part out of its own copy, and nothing is sent.
    return distribute_tensor(value.to(tensor.device), mesh, placements, src_data_rank=None)


def _twin(module: nn.Module) -> nn.Module:
    """Copy a model without its weights, which both then have in common."""
    known = {id(p): nn.Parameter(p.data, p.requires_grad) for p in module.parameters()}
    return copy.deepcopy(module, known)


def _encoder(module: nn.Module) -> Any:
    return module.get_submodule("sam.image_encoder")


def _cut_over(module: nn.Module, ranks: Ranks) -> nn.Module:
    """Cut every block, then what is left, over the ranks; gradients are summed, not averaged."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    # The rounded copies would stay whole; and with a cache some ranks would skip the encoder,
    # which the others wait for.
    _encoder(module).rounded_once = False
    module.get_submodule("sam").recall = None
    mesh = init_device_mesh(ranks.device.type, (ranks.world,))
    for part in (*_encoder(module).blocks, module):
        fully_shard(part, mesh=mesh)
        part.set_force_sum_reduction_for_comms(True)
        part.set_gradient_divide_factor(1.0)
    # Logits may be a view, of which FSDP warns; nobody changes them in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")
    return module


def _check_compiler() -> None:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        fix = "Install one (apt install g++), name it in CXX, or set train.compile to false."
        raise ConfigError("train.compile", "a C++ compiler", f"no {compiler}", fix)
