"""Selection of the parameters of a model that train."""

from collections.abc import Iterable

from torch import nn


def train_only(model: nn.Module, parts: Iterable[nn.Module | nn.Parameter]) -> None:
    """Freeze every parameter of ``model`` except those of ``parts``."""
    model.requires_grad_(False)
    for part in parts:
        part.requires_grad_(True)


def trained_names(model: nn.Module) -> list[str]:
    """Return the sorted names of trained parameters and of the running statistics beside them."""
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    for path, module in model.named_modules():
        if any(p.requires_grad for p in module.parameters(recurse=False)):
            names += [f"{path}.{name}" for name, _ in module.named_buffers(recurse=False)]
    return sorted(names)
