"""Small models and batches for the tests of the six systems."""

from typing import Any

import torch
from torch import nn

from avsynth.loading.batch import Batch
from avsynth.models import MODELS
from avsynth.models.backbones.sam import build_sam
from avsynth.models.backbones.vggish import build_vggish

SMALL: dict[str, dict[str, Any]] = {"sam_oracle": {"prompt": "points"}, "save": {}}
"""Parameters that keep a system quick; the others run as they are."""

TRAINED = sorted(set(MODELS) - {"sam_oracle"})


def make_batch(
    frames: int = 2, size: int = 64, *, num_frames: int = 1, seed: int = 0, embedded: bool = False
) -> Batch:
    """Return random images, audio and masks; frames are ``size`` high and ``size + 6`` wide."""
    rng = torch.Generator().manual_seed(seed)
    mask = torch.zeros(frames, size, size + 6, dtype=torch.uint8)
    for index in range(frames):
        mask[index, 4 + index : 20 + 2 * index, 8:40] = 1
    return Batch(
        keys=tuple(f"dog-{index:010d}" for index in range(frames)),
        image=torch.randint(0, 256, (frames, 3, size, size), dtype=torch.uint8, generator=rng),
        frame_size=(size, size + 6),
        logmel=torch.randn(frames, 1, 96, 64, generator=rng) - 2,
        audio_embedding=torch.rand(frames, 128, generator=rng) if embedded else None,
        waveform=torch.randn(frames, 16_000, generator=rng) * 0.1,
        mask=mask,
        num_frames=num_frames,
    )


def make_model(name: str, size: int = 64, *, spread: bool = False, **parameters: Any) -> Any:
    """Build a system on the tiny backbone, in eval mode.

    With ``spread`` its trained parameters are moved off the values at which it starts: layers
    that start at zero would hide what does not work.
    """
    chosen = {**SMALL.get(name, {}), **parameters}
    model = MODELS[name](build_sam("tiny", size), build_vggish(size="tiny"), **chosen)
    assert isinstance(model, nn.Module)
    if spread:
        rng = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter += 0.05 * torch.randn(parameter.shape, generator=rng)
    return model.eval()
