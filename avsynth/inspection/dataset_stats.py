"""Measurements of a dataset's samples, read from its shards.

Masks and audio are decoded, for area and loudness. Images, which are large, are not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from avsynth.formats.images import decode_mask
from avsynth.formats.shard_index import parse_meta
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import decode_flac, rms_db


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """Names and measurements of one sample."""

    key: str
    split: str
    category: str
    mask_source: str
    clip_source: str
    image_licence: str
    audio_licence: str
    area_frac: float
    """Fraction of the image that the mask covers, 0..1."""
    loudness_db: float
    """Root mean square of the second of audio, dBFS."""


def measure_samples(folder: Path, split: str | None = None) -> pd.DataFrame:
    """Measure every sample of a dataset.

    Returns:
        One row per sample in shard order, with the fields of `SampleFacts` as columns.

    Raises:
        DataError: the index is absent, or a shard is damaged.
    """
    reader = ShardReader(folder, split)
    facts = list(_facts(reader))
    return pd.DataFrame(facts, columns=list(SampleFacts.__slots__))


_FROM_META = ("mask_source", "clip_source", "image_licence", "audio_licence")


def _facts(reader: ShardReader) -> Iterator[tuple[Any, ...]]:
    for shard in reader.shards:
        for key in shard.keys:
            parts = reader.parts(key)
            with reader.naming(key):
                meta = parse_meta(parts["meta.json"])
                facts = (
                    key,
                    shard.split,
                    meta["category"],
                    *(str(meta.get(name, "")) for name in _FROM_META),
                    float(decode_mask(parts["mask.png"]).mean()),
                    rms_db(decode_flac(parts["audio.flac"])),
                )
            yield facts
