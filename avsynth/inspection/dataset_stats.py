"""What a dataset's samples are, read from its shards without decoding pictures or sounds.

A mask's area needs the mask, a second's loudness its sound: both are small, and read here once.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from avsynth.formats.images import decode_mask
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import decode_flac, rms_db


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """One sample in numbers and names."""

    key: str
    split: str
    category: str
    mask_source: str
    clip_source: str
    image_licence: str
    audio_licence: str
    area_frac: float
    """Share of the picture that the mask covers, 0..1."""
    loudness_db: float
    """Root mean square of the second of sound, dBFS."""


def measure_samples(folder: Path, split: str | None = None) -> pd.DataFrame:
    """Measure every sample of a dataset: one row of `SampleFacts` each, in shard order.

    Raises:
        DataError: the index is absent or a shard damaged.
    """
    reader = ShardReader(folder, split)
    facts = list(_facts(reader))
    return pd.DataFrame(facts, columns=list(SampleFacts.__slots__))


def _facts(reader: ShardReader) -> Iterator[tuple[Any, ...]]:
    for shard in reader.shards:
        for key in shard.keys:
            parts = reader.parts(key)
            meta = json.loads(parts["meta.json"])
            yield (
                key,
                shard.split,
                meta["category"],
                meta.get("mask_source", ""),
                meta.get("clip_source", ""),
                meta.get("image_licence", ""),
                meta.get("audio_licence", ""),
                float(decode_mask(parts["mask.png"]).mean()),
                rms_db(decode_flac(parts["audio.flac"])),
            )
