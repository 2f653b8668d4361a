"""The one contract between data and models: a `Batch` in, mask logits at the frame's size out.

Shape letters: ``N`` frames in the batch (``N = B * T``: the ``T`` frames of one clip are
adjacent), ``H, W`` the model's input size, ``Hf, Wf`` the frame size that scores are taken at.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames with their second of sound, on one device.

    Audio comes as a log-mel, as a frozen VGGish embedding, or both; a model that can use the
    embedding skips its own VGGish when it is present.
    """

    keys: tuple[str, ...]
    """N sample keys."""
    image: Tensor
    """uint8 ``[N, 3, H, W]``, RGB, already resized to the model's input size."""
    frame_size: tuple[int, int]
    """``(Hf, Wf)``: the size of the logits that the model must return."""
    logmel: Tensor | None = None
    """float32 ``[N, 1, 96, 64]``, VGGish log-mel of the frame's second, or None."""
    embedding: Tensor | None = None
    """float32 ``[N, 128]``, VGGish embedding of that second, or None."""
    waveform: Tensor | None = None
    """float32 ``[N, S]``, mono 16 kHz in -1..1, or None (only AV-SAM's front end needs it)."""
    mask: Tensor | None = None
    """uint8 ``[N, Hf, Wf]`` in {0, 1}, the ground truth, or None."""
    num_frames: int = 1
    """T: frames per clip, adjacent in N."""
    image_embedding: Tensor | None = None
    """float ``[N, C, h, w]``, the frozen image encoder's output for ``image``, or None. A model
    that leaves the image encoder as it is takes it and skips the encoder."""

    def __len__(self) -> int:
        """Count the frames, N."""
        return len(self.keys)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """Return the batch with every tensor on ``device``."""
        moved = {
            name: value.to(device, non_blocking=non_blocking)
            for name in ("image", "logmel", "embedding", "waveform", "image_embedding", "mask")
            if (value := getattr(self, name)) is not None
        }
        return replace(self, **moved)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of a batch."""

    logits: Tensor
    """float ``[N, Hf, Wf]``: foreground where > 0."""


@runtime_checkable
class AvsModel(Protocol):
    """What training and evaluation ask of a model (a `torch.nn.Module` with these on top)."""

    name: str
    """The key in `avsynth.models.MODELS`."""
    input_size: int
    """Side of the square input image in pixels."""

    def __call__(self, batch: Batch) -> Prediction:
        """Segment what sounds in every frame."""
        ...

    def trainable_names(self) -> list[str]:
        """Name the parameters (and trained buffers) that training changes, sorted."""
        ...

    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar training loss of the paper for a batch with masks."""
        ...
