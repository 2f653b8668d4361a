"""`ShardDataset`: from shards (and the audio bank) to `Batch`, for training and evaluation.

A batch is assembled inside the worker. Images stay uint8 until they are on the device, and frozen
audio embeddings come from the bank, so that a sample costs a JPEG and two small reads.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from avsynth.formats.shards import ShardReader
from avsynth.loading.audio_bank import AudioEmbeddings
from avsynth.loading.batch import Batch
from avsynth.loading.decode import (
    allocate_images,
    decode_image,
    decode_logmel,
    decode_mask,
    decode_waveform,
)
from avsynth.loading.sampler import FrameGroup, Request
from avsynth.runtime.errors import AvsynthError, DataError
from avsynth.runtime.options import Runtime


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """What a model needs of a sample."""

    input_size: int
    """Side of the images in pixels."""
    frame_size: tuple[int, int] | None
    """``(H, W)`` of masks and logits; None for the image's own, one clip in a batch."""
    waveform: bool = False
    """Load the second's waveform too."""


class ShardDataset(Dataset[tuple[Request, Batch]]):
    """Map a `Request` to its `Batch`.

    Args:
        reader: of one split.
        spec: what to load.
        bank: where given, audio embeddings are sampled from it in every epoch; otherwise a
            sample brings its own log-mel.
    """

    def __init__(
        self, reader: ShardReader, spec: SampleSpec, bank: AudioEmbeddings | None = None
    ) -> None:
        self.reader, self.spec, self.bank = reader, spec, bank

    def __getitem__(self, request: Request) -> tuple[Request, Batch]:
        """Load a batch.

        Raises:
            DataError: a sample is damaged; its key is named.
        """
        keys = [key for group in request.groups for key in group.keys]
        parts = [self.reader.parts(key) for key in keys]
        side, frame_size = self.spec.input_size, self.spec.frame_size
        images, masks, audio = allocate_images(len(keys), side), [], []
        for key, found, image in zip(keys, parts, images, strict=True):
            with self.reader.naming(key):
                decode_image(_image(found), side, out=image)
                masks.append(decode_mask(found["mask.png"], frame_size))
                audio.append(self.read_audio(key, found))
        sizes = {tuple(mask.shape) for mask in masks}
        if len(sizes) > 1:
            fix = "Set a frame size, or put one clip in a batch."
            raise DataError("batch", "frames of one size", f"{sorted(sizes)}", fix)
        bank = self.bank
        embeddings = None if bank is None else _sample(bank, request.groups, request.epoch)
        logmels, waveforms = zip(*audio, strict=True)
        return request, Batch(
            keys=tuple(keys),
            image=images,
            frame_size=(masks[0].shape[0], masks[0].shape[1]),
            logmel=torch.stack(logmels) if embeddings is None else None,
            audio_embedding=embeddings,
            waveform=torch.stack(waveforms) if self.spec.waveform else None,
            mask=torch.stack(masks),
            num_frames=len(request.groups[0].keys),
        )

    def logmels(self, keys: Sequence[str]) -> Tensor:
        """Load the log-mels of some samples and nothing else: float32 ``[n, 1, 96, 64]``.

        Raises:
            DataError: a sample is damaged; its key is named.
        """
        found = []
        for key in keys:
            with self.reader.naming(key):
                found.append(decode_logmel(self.reader.parts(key)["logmel.npy"]))
        return torch.stack(found)

    def read_audio(self, key: str, parts: dict[str, bytes]) -> tuple[Tensor | None, Tensor | None]:
        """Return a sample's log-mel (None where the bank provides embeddings) and waveform."""
        logmel = decode_logmel(parts["logmel.npy"]) if self.bank is None else None
        return logmel, decode_waveform(parts["audio.flac"]) if self.spec.waveform else None


@dataclass(frozen=True, slots=True)
class SplitData:
    """A dataset and the groups of its frames that are used, in order."""

    dataset: ShardDataset
    groups: Sequence[FrameGroup]


def load(
    dataset: Dataset[tuple[Request, Batch]], requests: Iterable[object], runtime: Runtime
) -> Iterator[tuple[Request, Batch]]:
    """Yield a batch for each request, in order; several workers load ahead.

    The batches do not depend on the number of workers.

    Args:
        dataset: e.g. a `ShardDataset`.
        requests: indices of the dataset, one after the other.
        runtime: workers.

    Raises:
        DataError: a sample is damaged; raised when its request is due.
    """
    results = DataLoader(
        _ErrorsAsValues(dataset),
        batch_size=None,
        sampler=requests,
        num_workers=runtime.workers if runtime.workers > 1 else 0,
        collate_fn=_unchanged,
    )
    for result in results:
        if isinstance(result, AvsynthError):
            raise result
        yield result


Result = tuple[Request, Batch] | AvsynthError


class _ErrorsAsValues(Dataset[Result]):
    """Return errors as values, because DataLoader would wrap them in RuntimeError."""

    def __init__(self, dataset: Dataset[tuple[Request, Batch]]) -> None:
        self.dataset = dataset

    def __getitem__(self, request: object) -> Result:
        try:
            return cast(Result, self.dataset[request])
        except AvsynthError as error:
            return error


def _unchanged(loaded: Any) -> Any:
    return loaded


def _sample(bank: AudioEmbeddings, groups: Iterable[FrameGroup], epoch: int) -> Tensor:
    rows = [bank.sample(group.category, epoch, key) for group in groups for key in group.keys]
    return torch.stack([torch.from_numpy(row.copy()) for row in rows])


def _image(parts: dict[str, bytes]) -> bytes:
    return parts["image.jpg"] if "image.jpg" in parts else parts["image.png"]
