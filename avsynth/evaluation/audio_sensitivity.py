"""The audio test: the same images with silence, noise or another category's audio.

The masks of a model that segments sounding objects depend on the audio. The upper bound for a model
that ignores the audio is one mask per image, the same for every audio: `audio_blind_iou`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import combinations
from typing import Any

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
from avsynth.metrics.rows import Audio, AudioRow, FrameRow

_NOISE_RMS = 0.1
"""-20 dBFS: as loud as a clip."""


class ReplacedAudio(ShardDataset):
    """A split whose images are paired with other audio.

    Args:
        dataset: the split.
        audio: which audio replaces the sample's own.
        partners: key to the key of the sample that the audio is taken from, for ``other``.
        seed: of the noise.
    """

    def __init__(
        self, dataset: ShardDataset, audio: Audio, partners: Mapping[str, str], seed: int
    ) -> None:
        super().__init__(dataset.reader, dataset.spec)
        self.audio, self.partners, self.seed = audio, partners, seed

    def read_audio(self, key: str, parts: dict[str, bytes]) -> tuple[Tensor | None, Tensor | None]:
        """Return log-mel and waveform of the replacing audio."""
        if self.audio == "own":
            return super().read_audio(key, parts)
        if self.audio == "other":
            other = self.reader.parts(self.partners[key])
            return decode_logmel(other["logmel.npy"]), decode_waveform(other["audio.flac"])
        waveform = np.zeros(SAMPLE_RATE_HZ, np.float32)
        if self.audio == "noise":
            rng = np.random.default_rng(draw(self.seed, "noise", key))
            waveform += rng.normal(0, _NOISE_RMS, SAMPLE_RATE_HZ).astype(np.float32)
        waveform = quantise(waveform.clip(-1, 1))
        return torch.from_numpy(logmel(waveform)[0]), torch.from_numpy(waveform)

    def flac(self, key: str) -> bytes:
        """Encode the audio that is paired with an image."""
        _, waveform = self.read_audio(key, self.reader.parts(key))
        assert waveform is not None
        return encode_flac(waveform.numpy())


def choose_partners(metas: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, str]:
    """Choose for each sample one whose category is not annotated in its image.

    Args:
        metas: key to ``meta.json``.
        seed: of the choice.

    Returns:
        Key to key, without the samples that have no such partner.
    """
    shown: dict[str, set[str]] = defaultdict(set)
    for key, meta in metas.items():
        shown[_image_of(key, meta)].add(meta["category"])
    partners = {}
    for key, meta in metas.items():
        absent = [k for k in sorted(metas)
                  if metas[k]["category"] not in shown[_image_of(key, meta)]]  # fmt: skip
        if absent:
            partners[key] = absent[draw(seed, "other", key) % len(absent)]
    return partners


def has_partners(metas: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether `choose_partners` finds a partner for any sample, without choosing."""
    shown: dict[str, set[str]] = defaultdict(set)
    for key, meta in metas.items():
        shown[_image_of(key, meta)].add(meta["category"])
    return len(set().union(*shown.values())) > min(map(len, shown.values()), default=0)


def audio_rows(
    rows: Sequence[FrameRow], audio: Audio, partners: Mapping[str, str]
) -> list[AudioRow]:
    """Add the audio condition to score rows."""
    names = [f.name for f in fields(FrameRow)]
    taken_from = {"own": {row.key: row.key for row in rows}, "other": partners}.get(audio, {})
    return [
        AudioRow(
            **{n: getattr(row, n) for n in names},
            audio=audio,
            audio_key=taken_from.get(row.key, ""),
        )
        for row in rows
    ]


def audio_blind_iou(reader: ShardReader, size: tuple[int, int] | None) -> dict[str, float]:
    """Compute the best IoU that one mask per image can have with all masks of the image.

    A region is the set of pixels that belong to the same masks. The mean IoU with an image's masks
    is convex in the share of a region that is taken. So the best mask is a union of whole regions,
    and trying all unions finds it.

    Args:
        reader: of the split.
        size: ``(H, W)`` that masks are compared on; None for each image's own.

    Returns:
        Key to the IoU of its mask with the best single mask of its image, 0..1.
    """
    images: dict[str, list[tuple[str, NDArray[np.uint8]]]] = defaultdict(list)
    for key in reader.keys:
        parts, meta = reader.parts(key), reader.meta(key)
        mask = decode_mask(parts["mask.png"], size).numpy()
        images[_image_of(key, meta)].append((key, mask))
    found: dict[str, float] = {}
    for samples in images.values():
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


def _image_of(key: str, meta: Mapping[str, Any]) -> str:
    return str(meta.get("image_id", key))
