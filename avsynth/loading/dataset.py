"""Shards (and the audio bank) -> `Batch`: what training and evaluation read.

A batch is put together inside the worker, pictures stay uint8 until they are on the device, and
frozen sound embeddings come from the bank: a sample costs a JPEG and two small reads.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from avsynth.formats.shards import ShardReader
from avsynth.loading.audio_bank import Sounds
from avsynth.loading.batch import Batch
from avsynth.loading.decode import (
    decode_image,
    decode_logmel,
    decode_mask,
    decode_waveform,
    room_for_images,
)
from avsynth.loading.sampler import FrameGroup, Request
from avsynth.runtime.errors import AvsynthError, DataError
from avsynth.runtime.options import Runtime


@dataclass(frozen=True, slots=True)
class View:
    """What a model wants to see and hear of a sample."""

    input_size: int
    """Side of the pictures in pixels."""
    frame_size: tuple[int, int] | None
    """``(H, W)`` of masks and logits; None for the picture's own, one clip in a batch."""
    waveform: bool = False
    """Load the second's waveform, too."""


class ShardDataset(Dataset[tuple[Request, Batch]]):  # type: ignore[misc]
    """Answers requests with batches.

    Args:
        reader: of one split.
        view: what to load.
        bank: where given, embeddings of sound are drawn from it in every epoch; otherwise a
            sample brings its own log-mel.
    """

    def __init__(self, reader: ShardReader, view: View, bank: Sounds | None = None) -> None:
        self.reader, self.view, self.bank = reader, view, bank

    def __getitem__(self, request: Request) -> tuple[Request, Batch]:
        """Load a batch.

        Raises:
            DataError: a sample is damaged; says which.
        """
        keys = [key for group in request.groups for key in group.keys]
        parts = [self._parts(key) for key in keys]
        side, frame_size = self.view.input_size, self.view.frame_size
        images, masks, heard = room_for_images(len(keys), side), [], []
        for key, found, image in zip(keys, parts, images, strict=True):
            with _Naming(self.reader, key):
                decode_image(_image(found), side, out=image)
                masks.append(decode_mask(found["mask.png"], frame_size))
                heard.append(self.hear(key, found))
        sizes = {tuple(mask.shape) for mask in masks}
        if len(sizes) > 1:
            fix = "Set a frame size, or take one clip in a batch."
            raise DataError("batch", "frames of one size", f"{sorted(sizes)}", fix)
        bank = self.bank
        drawn = None if bank is None else _draw(bank, request.groups, request.epoch)
        logmels, waveforms = zip(*heard, strict=True)
        return request, Batch(
            keys=tuple(keys),
            image=images,
            frame_size=(masks[0].shape[0], masks[0].shape[1]),
            logmel=torch.stack(logmels) if drawn is None else None,
            embedding=drawn,
            waveform=torch.stack(waveforms) if self.view.waveform else None,
            mask=torch.stack(masks),
            num_frames=len(request.groups[0].keys),
        )

    def logmels(self, keys: Sequence[str]) -> Tensor:
        """Load the log-mels of some samples and nothing else: float32 ``[n, 1, 96, 64]``.

        Raises:
            DataError: a sample is damaged; says which.
        """
        found = []
        for key in keys:
            with _Naming(self.reader, key):
                found.append(decode_logmel(self.reader.parts(key)["logmel.npy"]))
        return torch.stack(found)

    def _parts(self, key: str) -> dict[str, bytes]:
        with _Naming(self.reader, key):
            return self.reader.parts(key)

    def hear(self, key: str, parts: dict[str, bytes]) -> tuple[Tensor | None, Tensor | None]:
        """Give a sample's log-mel (None where the bank gives embeddings) and waveform."""
        logmel = decode_logmel(parts["logmel.npy"]) if self.bank is None else None
        return logmel, decode_waveform(parts["audio.flac"]) if self.view.waveform else None


@dataclass(frozen=True, slots=True)
class Split:
    """A dataset and the frames of it that are used, in order."""

    dataset: ShardDataset
    groups: Sequence[FrameGroup]


def load(
    dataset: Dataset[tuple[Request, Batch]], requests: Iterable[object], runtime: Runtime
) -> Iterator[tuple[Request, Batch]]:
    """Answer requests in their order, ahead of time when there is more than one worker.

    The batches do not depend on the number of workers.

    Args:
        dataset: e.g. a `ShardDataset`.
        requests: what the dataset is asked for, one after the other.
        runtime: workers.

    Raises:
        DataError: a sample is damaged, at its request's turn.
    """
    answers = DataLoader(
        _Answering(dataset),
        batch_size=None,
        sampler=requests,
        num_workers=runtime.workers if runtime.workers > 1 else 0,
        collate_fn=_as_it_is,
    )
    for answer in answers:
        if isinstance(answer, AvsynthError):
            raise answer
        yield answer


Answer = tuple[Request, Batch] | AvsynthError


class _Answering(Dataset[Answer]):  # type: ignore[misc]
    """Hands faults over as answers: torch would make a RuntimeError of them on their way."""

    def __init__(self, dataset: Dataset[tuple[Request, Batch]]) -> None:
        self.dataset = dataset

    def __getitem__(self, request: object) -> Answer:
        try:
            return cast(Answer, self.dataset[request])
        except AvsynthError as error:
            return error


def _as_it_is(loaded: Answer) -> Answer:
    return loaded


def _draw(bank: Sounds, groups: Iterable[FrameGroup], epoch: int) -> Tensor:
    rows = [bank.drawn(group.category, epoch, key) for group in groups for key in group.keys]
    return torch.stack([torch.from_numpy(row.copy()) for row in rows])


def _image(parts: dict[str, bytes]) -> bytes:
    return parts["image.jpg"] if "image.jpg" in parts else parts["image.png"]


class _Naming:
    """Say in which sample of which dataset a fault was found."""

    def __init__(self, reader: ShardReader, key: str) -> None:
        self.where = f"{reader.folder}: {key}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        fix = "Write the shards again."
        if isinstance(error, KeyError):
            raise DataError(self.where, "a whole sample", f"no {error.args[0]}", fix) from None
        if isinstance(error, DataError):
            where = f"{self.where}.{error.where}"
            raise DataError(where, error.expected, error.found, error.fix) from None
        if isinstance(error, ValueError | UnicodeDecodeError):
            raise DataError(self.where, "a whole sample", str(error), fix) from None
