"""The audio test: the same pictures with silence, noise or another category's sound.

A model that segments what sounds answers to its own sound alone. Beside it, the best that any
answer could score that does not listen: one mask for a picture, whatever sounds.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import combinations
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avsynth.core.hashing import draw
from avsynth.formats.logmel import logmel
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import SAMPLE_RATE_HZ, encode_flac, quantise
from avsynth.loading.dataset import ShardDataset
from avsynth.loading.decode import decode_logmel, decode_mask, decode_waveform
from avsynth.metrics.rows import FrameRow, SoundRow

Sound = Literal["own", "silence", "noise", "other"]
SOUNDS: tuple[Sound, ...] = ("own", "silence", "noise", "other")
_NOISE_RMS = 0.1
"""-20 dBFS: as loud as a clip."""


class OtherSounds(ShardDataset):
    """A split whose pictures are heard with other sounds.

    Args:
        dataset: the split.
        sound: what is played.
        partners: key to the key of the sample that is played instead, for ``other``.
        seed: of the noise.
    """

    def __init__(
        self, dataset: ShardDataset, sound: Sound, partners: Mapping[str, str], seed: int
    ) -> None:
        super().__init__(dataset.reader, dataset.spec)
        self.sound, self.partners, self.seed = sound, partners, seed

    def read_audio(self, key: str, parts: dict[str, bytes]) -> tuple[Tensor | None, Tensor | None]:
        """Return log-mel and waveform of the audio that is played instead."""
        if self.sound == "own":
            return super().read_audio(key, parts)
        if self.sound == "other":
            played = self.reader.parts(self.partners[key])
            return decode_logmel(played["logmel.npy"]), decode_waveform(played["audio.flac"])
        waveform = np.zeros(SAMPLE_RATE_HZ, np.float32)
        if self.sound == "noise":
            rng = np.random.default_rng(draw(self.seed, "noise", key))
            waveform += rng.normal(0, _NOISE_RMS, SAMPLE_RATE_HZ).astype(np.float32)
        waveform = quantise(waveform.clip(-1, 1))
        return torch.from_numpy(logmel(waveform)[0]), torch.from_numpy(waveform)

    def flac(self, key: str) -> bytes:
        """Encode what is played with a picture."""
        _, waveform = self.read_audio(key, self.reader.parts(key))
        assert waveform is not None
        return encode_flac(waveform.numpy())


def other_sounds(metas: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, str]:
    """Choose for each sample one whose category is not known to be in its picture.

    Args:
        metas: key to ``meta.json``.
        seed: of the choice.

    Returns:
        Key to key; a sample for which there is none is left out.
    """
    shown: dict[str, set[str]] = defaultdict(set)
    for key, meta in metas.items():
        shown[_picture(key, meta)].add(meta["category"])
    partners = {}
    for key, meta in metas.items():
        absent = [k for k in sorted(metas)
                  if metas[k]["category"] not in shown[_picture(key, meta)]]  # fmt: skip
        if absent:
            partners[key] = absent[draw(seed, "other", key) % len(absent)]
    return partners


def sound_rows(
    rows: Sequence[FrameRow], sound: Sound, partners: Mapping[str, str]
) -> list[SoundRow]:
    """Say of score rows what was played."""
    names = [f.name for f in fields(FrameRow)]
    played = {"own": {row.key: row.key for row in rows}, "other": partners}.get(sound, {})
    return [
        SoundRow(
            **{n: getattr(row, n) for n in names}, sound=sound, sound_key=played.get(row.key, "")
        )
        for row in rows
    ]


def audio_blind_iou(reader: ShardReader, size: tuple[int, int] | None) -> dict[str, float]:
    """Compute the best IoU that one mask per picture can have with each of its sounds' masks.

    The mean IoU with a picture's masks is convex in how much of a region is taken, a region being
    the pixels that belong to the same masks. So the best mask is a union of whole regions,
    and trying all unions finds it.

    Args:
        reader: of the split.
        size: ``(H, W)`` that masks are compared on; None for each picture's own.

    Returns:
        Key to the IoU of its mask with the best single mask of its picture, 0..1.
    """
    pictures: dict[str, list[tuple[str, NDArray[np.uint8]]]] = defaultdict(list)
    for key in reader.keys:
        parts, meta = reader.parts(key), reader.meta(key)
        mask = decode_mask(parts["mask.png"], size).numpy()
        pictures[_picture(key, meta)].append((key, mask))
    found: dict[str, float] = {}
    for samples in pictures.values():
        ious = _best_single(np.stack([mask.ravel() for _, mask in samples]))
        found |= zip((key for key, _ in samples), map(float, ious), strict=True)
    return found


def _best_single(masks: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the IoU of each of ``masks`` uint8 ``[K, P]`` with the best union of regions."""
    members, counts = np.unique(masks[:, masks.any(axis=0)], axis=1, return_counts=True)
    areas = (members * counts).sum(axis=1)
    best = np.zeros(len(masks))
    regions = range(len(counts))
    for size in range(1, len(counts) + 1):
        for chosen in map(list, combinations(regions, size)):
            inter = (members[:, chosen] * counts[chosen]).sum(axis=1)
            ious = inter / np.maximum(areas + counts[chosen].sum() - inter, 1)
            if ious.mean() > best.mean():
                best = ious
    return best


def _picture(key: str, meta: Mapping[str, Any]) -> str:
    return str(meta.get("image_id", key))
