"""The contract between data and models: a `Batch` in, mask logits at the frame's size out.

Shape letters: ``N`` frames in the batch (``N = B * T``: the ``T`` frames of one clip are
adjacent), ``H, W`` the model's input size, ``Hf, Wf`` the frame size that scores are taken at,
``D`` the width of an audio embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from avsynth.runtime.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames with their second of audio, on one device.

    Audio comes as a log-mel, as the output of the model's own audio encoder, or both. A model
    that has an audio encoder skips it where the embedding is present.
    """

    keys: tuple[str, ...]
    """N sample keys."""
    image: Tensor
    """uint8 ``[N, 3, H, W]``, RGB, already resized to the model's input size."""
    frame_size: tuple[int, int]
    """``(Hf, Wf)``: the size of the logits that the model must return."""
    logmel: Tensor | None = None
    """float32 ``[N, 1, 96, 64]``, VGGish log-mel of the frame's second, or None."""
    audio_embedding: Tensor | None = None
    """float32 ``[N, D]``, the model's frozen audio encoder applied to that second, or None."""
    waveform: Tensor | None = None
    """float32 ``[N, S]``, mono 16 kHz in -1..1, or None (see `AvsModel.needs_waveform`)."""
    mask: Tensor | None = None
    """uint8 ``[N, Hf, Wf]`` in {0, 1}, the ground truth, or None."""
    num_frames: int = 1
    """T: frames per clip, adjacent in N."""

    def __len__(self) -> int:
        """Count the frames, N."""
        return len(self.keys)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """Return the batch with every tensor on ``device``."""
        moved = {
            name: value.to(device, non_blocking=non_blocking)
            for name in ("image", "logmel", "audio_embedding", "waveform", "mask")
            if (value := getattr(self, name)) is not None
        }
        return replace(self, **moved)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's output for a batch."""

    logits: Tensor
    """float ``[N, Hf, Wf]``: foreground where > 0."""


class AudioEncoder(Protocol):
    """A frozen `torch.nn.Module` that turns log-mels into audio embeddings."""

    embedding_dim: int
    """Width of its output, D."""

    def __call__(self, logmel: Tensor) -> Tensor:
        """Embed float32 ``[N, 1, 96, 64]`` as float ``[N, D]``."""
        ...


@runtime_checkable
class AvsModel(Protocol):
    """What the library requires of a model: a `torch.nn.Module` with these attributes.

    All of them are set when the model is constructed. A name in ``trainable_names`` is a key of
    ``state_dict()``; checkpoints hold these tensors and a hash of all others.
    """

    name: str
    """The key in `avsynth.models.MODELS`, or any name for a model that is not listed there."""
    architecture: str
    """The backbone's name, e.g. ``vit_b``; a checkpoint is refused by a model with another."""
    input_size: int
    """Side of the square input image in pixels."""
    needs_waveform: bool
    """Whether batches must carry the waveform."""
    needs_whole_clips: bool
    """Whether the frames of a clip must stay together in a batch, in their order."""
    audio_encoder: AudioEncoder | None
    """The frozen network behind ``Batch.audio_embedding``. Training computes it once per second of
    audio and keeps the results; None: training passes log-mels (and waveforms) instead."""
    ground_truth_use: str | None
    """The prompt that an oracle takes from the ground truth: ``automatic`` (the proposal of highest
    IoU), or a count and a kind, e.g. ``3 points``. None for a model that predicts without it."""

    def __call__(self, batch: Batch) -> Prediction:
        """Segment the sounding objects in every frame."""
        ...

    def trainable_names(self) -> list[str]:
        """Return the names of the parameters and buffers that training changes, sorted."""
        ...

    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar training loss for a batch with masks."""
        ...


@runtime_checkable
class BlockwiseModel(Protocol):
    """What an `AvsModel` offers beside the contract when its image encoder is a stack of blocks.

    ``train.checkpointing`` and ``train.compile`` need it; ``train.shard`` then shards each block.
    """

    def encoder_blocks(
        self, *, checkpointing: bool = False, sharded: bool = False
    ) -> Sequence[nn.Module]:
        """Set how the encoder runs and return its blocks.

        Args:
            checkpointing: recompute each block in the backward pass.
            sharded: the parameters will be sharded over processes that must all run every block:
                keep neither copies of weights nor a cache of the encoder's outputs.
        """
        ...


def check_model(model: object) -> None:
    """Check that a model meets `AvsModel`, before time is spent on it.

    Raises:
        ConfigError: it is not a `torch.nn.Module`, an attribute is missing, its trainable names and
            its parameters differ, or its audio encoder is trained or hidden.
    """
    where = f"model {getattr(model, 'name', type(model).__name__)}"
    fix = "See docs/models.md, section 'A model of your own'."
    if not isinstance(model, nn.Module):
        raise ConfigError(where, "a torch.nn.Module", type(model).__name__, fix)
    checked: AvsModel = cast(Any, model)
    required = (*AvsModel.__annotations__, "trainable_names", "loss")
    missing = [name for name in required if not hasattr(model, name)]
    if missing:
        fix = f"Set them in its constructor. {fix}"
        raise ConfigError(where, "the attributes of AvsModel", f"no {', '.join(missing)}", fix)
    names = set(checked.trainable_names())
    unknown = sorted(names - set(model.state_dict()))
    if unknown:
        fix = "Return names of model.state_dict() from trainable_names()."
        raise ConfigError(where, "trainable names of its tensors", f"{unknown[0]!r}", fix)
    unnamed = [n for n, p in model.named_parameters() if p.requires_grad and n not in names]
    if names and unnamed:
        fix = "Name it in trainable_names(), or set its requires_grad to False."
        raise ConfigError(where, "a name for what is trained", f"{unnamed[0]!r} is not named", fix)
    if checked.audio_encoder is None and "audio_encoder" in dict(model.named_children()):
        fix = "Remove the attribute of the class: it hides the module that the constructor sets."
        raise ConfigError(where, "one audio_encoder", "None in the class, and a module", fix)
    trained = sorted(name for name in names if name.startswith("audio_encoder."))
    if trained:
        fix = "Freeze the audio encoder, or set audio_encoder to None and use log-mels."
        raise ConfigError(where, "a frozen audio_encoder", f"{trained[0]} is trained", fix)
