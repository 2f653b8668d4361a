"""`Summary`: the trained and frozen parameters of each system, counted on the built modules."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from avsynth.models import MODELS
from avsynth.models.backbones.sam import build_sam
from avsynth.models.backbones.vggish import build_vggish

_PARTS = {
    "sam.image_encoder": "image encoder",
    "sam.prompt_encoder": "prompt encoder",
    "sam.mask_decoder": "mask decoder",
    "audio_encoder": "VGGish",
}


@dataclass(frozen=True, slots=True)
class Summary:
    """One system on one backbone."""

    model: str
    architecture: str
    input_size: int
    trainable: int
    """Parameters that a loss reaches."""
    total: int
    """All parameters, with those of VGGish if the system uses it."""
    frozen: str
    """The parts of the backbone that do not train, e.g. ``image encoder, VGGish``."""

    @property
    def share(self) -> float:
        """Return trainable over total, 0..1."""
        return self.trainable / self.total


def describe(
    architecture: str = "vit_b", input_size: int = 1024, names: Sequence[str] = tuple(MODELS)
) -> list[Summary]:
    """Count the parameters of systems built with default parameters, on the meta device.

    Args:
        architecture: a key of `avsynth.models.backbones.architectures.ARCHITECTURES`.
        input_size: side of the square input in pixels.
        names: keys of `avsynth.models.MODELS`.
    """
    size = "tiny" if architecture == "tiny" else "full"
    rows = []
    for name in names:
        with torch.device("meta"):
            model = MODELS[name](build_sam(architecture, input_size), build_vggish(size=size))
        assert isinstance(model, nn.Module)
        rows.append(_count(name, architecture, input_size, model))
    return rows


def _count(name: str, architecture: str, input_size: int, model: nn.Module) -> Summary:
    parameters = dict(model.named_parameters())
    trained = {n for n, p in parameters.items() if p.requires_grad}
    frozen = []
    for path, title in _PARTS.items():
        inside = {n for n in parameters if n.startswith(f"{path}.")}
        if inside and not inside & trained:
            frozen.append(title)
    return Summary(
        model=name,
        architecture=architecture,
        input_size=input_size,
        trainable=sum(parameters[n].numel() for n in trained),
        total=sum(p.numel() for p in parameters.values()),
        frozen=", ".join(frozen) or "nothing",
    )


def table(rows: Sequence[Summary]) -> str:
    """Return summaries as a Markdown table, one line each."""
    lines = [
        "| model | backbone | input px | trainable | total | share | frozen |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {r.model} | {r.architecture} | {r.input_size} | {r.trainable:,} | {r.total:,} "
        f"| {100 * r.share:.3f} % | {r.frozen} |"
        for r in rows
    ]
    return "\n".join(lines)
