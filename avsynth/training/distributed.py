"""`Ranks`: the processes that train together, one or several, and sums over them.

``torchrun`` starts the processes and sets their environment. Gradients are summed here, after the
backward pass, so a rank may run several backward passes in a step, or none.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

import torch
import torch.distributed as dist
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the outputs."""
        return self.rank == 0

    def all_reduce_sum(self, *values: float) -> list[float]:
        """Return each number summed over all ranks, in float64."""
        if self.world == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return [float(value) for value in tensor]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients over all ranks in place; an absent gradient counts as zero.

        Those of sharded parameters have been summed in the backward pass.
        """
        if self.world == 1:
            return
        trained = [p for p in parameters if not is_dtensor(p)]
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for kind in sorted({p.dtype for p in trained}, key=str):
            grads = [p.grad for p in trained if p.dtype == kind and p.grad is not None]
            flat = torch.cat([grad.flatten() for grad in grads])
            dist.all_reduce(flat)
            pieces = flat.split([grad.numel() for grad in grads])
            for grad, piece in zip(grads, pieces, strict=True):
                grad.copy_(piece.view_as(grad))

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Copy rank 0's values of tensors that are not sharded to every rank, in place."""
        if self.world > 1:
            for tensor in tensors:
                if not is_dtensor(tensor):
                    dist.broadcast(tensor, 0)


def is_dtensor(tensor: Tensor) -> "TypeGuard[DTensor]":
    """Return whether a tensor is sharded (a DTensor, whose import takes a second)."""
    return hasattr(tensor, "full_tensor")


@contextmanager
def init_distributed(device: str) -> Iterator[Ranks]:
    """Yield this process's `Ranks`: those of ``torchrun``'s process group, or one alone.

    An existing process group, as under Ray Train, is used and not destroyed.

    Args:
        device: ``cpu``, ``cuda`` (each rank takes its own) or ``cuda:N``.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device("cuda", local) if device.startswith("cuda") else torch.device(device)
    if dist.is_initialized():
        yield Ranks(dist.get_rank(), dist.get_world_size(), place)
        return
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if world == 1:
        yield Ranks(0, 1, torch.device(device))
        return
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Ranks(rank, world, place)
    finally:
        dist.destroy_process_group()
