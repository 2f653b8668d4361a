"""`AudioBank`: frozen embeddings of every second of every clip, which training samples audio from.

The paper pairs a training mask with another clip of its category at every access. Here a clip's
second is one row of a table: 512 bytes instead of decoding, resampling, transforming and embedding.
The bank is cached under the hash of its inputs, in parts of 512 clips, so that an interrupted
build resumes after its last whole part. `FixedAudio` holds the embeddings of samples that keep
the audio of their shard.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from avsynth.core.cache import cached_folder
from avsynth.core.hashing import draw, source_digest
from avsynth.formats.logmel import logmel
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import SAMPLE_RATE_HZ, loud_seconds, quantise, read_audio
from avsynth.runtime.errors import DataError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track

_CLIPS_PER_PART = 512
_FILE = "embeddings.npy"

Embed = Callable[[Tensor], Tensor]
"""A frozen audio encoder: float32 ``[n, 1, 96, 64]`` log-mels to float32 ``[n, D]``."""


@dataclass(frozen=True, slots=True)
class BankClip:
    """A clip in the training audio pool."""

    clip_id: str
    path: Path
    category: str
    split: str
    second_db: str
    """Loudness of every whole second, as in `avsynth.core.records.AudioClip`."""


@dataclass(frozen=True, slots=True)
class AudioBank:
    """Embeddings by clip and second, and the clips of each category's training pool."""

    seconds: dict[str, NDArray[np.float32]]
    """Clip id to float32 ``[seconds, D]``, mapped into memory."""
    pool: dict[str, tuple[tuple[str, tuple[int, ...]], ...]]
    """Category to its training clips with their loud seconds."""
    seed: int

    def embedding(self, clip_id: str, second: int) -> NDArray[np.float32]:
        """Return the embedding of a clip's second: float32 ``[D]``.

        Raises:
            DataError: the bank has no such second.
        """
        rows = self.seconds.get(clip_id)
        if rows is None or not 0 <= second < len(rows):
            found = "no such clip" if rows is None else f"{len(rows)} seconds"
            raise DataError("audio bank", f"second {second} of clip {clip_id!r}", found, _FIX)
        return np.asarray(rows[second])

    def sample(self, category: str, epoch: int, key: str) -> NDArray[np.float32]:
        """Return a loud second of a training clip of the category, sampled for this access.

        Args:
            category: of the sample.
            epoch: part of the seed: every epoch samples again.
            key: of the sample.

        Returns:
            float32 ``[D]``.

        Raises:
            DataError: the pool has no clip of the category.
        """
        clips = self.pool.get(category)
        if not clips:
            raise DataError("audio bank", f"training clips of {category!r}", "none", _FIX)
        parts = (str(epoch), key)
        clip_id, seconds = clips[draw(self.seed, "clip", *parts) % len(clips)]
        return self.embedding(clip_id, seconds[draw(self.seed, "second", *parts) % len(seconds)])


@dataclass(frozen=True, slots=True)
class FixedAudio:
    """Embeddings of the audio that is stored with the samples of a split."""

    rows: dict[str, NDArray[np.float32]]
    """Key to float32 ``[D]``, mapped into memory."""

    def sample(self, category: str, epoch: int, key: str) -> NDArray[np.float32]:
        """Return the embedding of a sample's own audio, equal in every epoch: float32 ``[D]``."""
        return self.rows[key]


AudioEmbeddings = AudioBank | FixedAudio

_FIX = "Run match, shard and train again: shards and clips come from different tables."


def build_bank(
    clips: Sequence[BankClip],
    embed: Embed,
    digest: str,
    *,
    quiet_db: float,
    seed: int,
    runtime: Runtime,
) -> AudioBank:
    """Build the bank of these clips, or load it from the cache.

    Args:
        clips: in any order; ids are unique.
        embed: the frozen audio encoder.
        digest: hash of its weights.
        quiet_db: seconds quieter than this are not sampled while the clip has a louder one.
        seed: of the draws.
        runtime: workers that compute log-mels, and the cache.

    Raises:
        DataError: a clip cannot be read.
    """
    ordered = sorted(clips, key=lambda clip: clip.clip_id)
    seconds: dict[str, NDArray[np.float32]] = {}
    parts = [ordered[i : i + _CLIPS_PER_PART] for i in range(0, len(ordered), _CLIPS_PER_PART)]
    for part in track(parts, "clips of the bank", len(parts), runtime):
        make = partial(_make_part, part, embed, runtime)
        folder = cached_folder(runtime, "bank", _part_key(part, digest), make)
        rows = np.load(folder / _FILE, mmap_mode="r")
        ends = np.cumsum([_num_seconds(clip) for clip in part])
        seconds |= zip((c.clip_id for c in part), np.split(rows, ends[:-1]), strict=True)
    return AudioBank(seconds, _pool(ordered, quiet_db), seed)


def embed_own_audio(
    reader: ShardReader,
    logmels: Callable[[Sequence[str]], Tensor],
    embed: Embed,
    digest: str,
    runtime: Runtime,
) -> FixedAudio:
    """Build the embeddings of a split's own audio, or load them from the cache.

    Args:
        reader: of the split.
        logmels: reads the log-mels of some keys: float32 ``[n, 1, 96, 64]``.
        embed: the frozen audio encoder.
        digest: hash of its weights.
        runtime: names the cache.

    Raises:
        DataError: a sample is damaged.
    """

    def make(folder: Path) -> None:
        keys, step = reader.keys, _CLIPS_PER_PART
        rows = [embed(logmels(keys[i : i + step])) for i in range(0, len(keys), step)]
        np.save(folder / _FILE, torch.cat(rows).numpy().astype(np.float32))

    text = repr([source_digest(__name__), digest, [shard.sha256 for shard in reader.shards]])
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    rows = np.load(cached_folder(runtime, "sounds", key, make) / _FILE, mmap_mode="r")
    return FixedAudio(dict(zip(reader.keys, rows, strict=True)))


def bank_clips(pool: pd.DataFrame, clips: pd.DataFrame, folders: dict[str, Path]) -> list[BankClip]:
    """Return the clips of ``clips.csv`` with their paths from the clip tables.

    Args:
        pool: ``clips.csv``; its dropped rows are left out.
        clips: the clip tables, one after another: at least source, clip_id and audio_path.
        folders: audio source to the folder that its paths are relative to.
    """
    paths = dict(
        zip(zip(clips["source"], clips["clip_id"], strict=True), clips["audio_path"], strict=True)
    )
    used = pool[pool["status"] == "ok"]
    columns = ("clip_source", "clip_id", "category", "split", "second_db")
    return [
        BankClip(f"{source}/{clip}", folders[source] / paths[source, clip], category, split, db)
        for source, clip, category, split, db in zip(
            *(used[name].astype(str) for name in columns), strict=True
        )
    ]


def _pool(
    clips: Sequence[BankClip], quiet_db: float
) -> dict[str, tuple[tuple[str, tuple[int, ...]], ...]]:
    pool: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for clip in clips:
        if clip.split == "train":
            loud = tuple(loud_seconds(clip.second_db, quiet_db))
            pool.setdefault(clip.category, []).append((clip.clip_id, loud))
    return {category: tuple(found) for category, found in sorted(pool.items())}


def _num_seconds(clip: BankClip) -> int:
    return len(clip.second_db.split())


def _part_key(part: Sequence[BankClip], digest: str) -> str:
    """Compute the hash of a part's inputs; the loudness of every second identifies the audio."""
    text = repr(
        [source_digest(__name__), digest, [(c.clip_id, c.second_db, _size(c.path)) for c in part]]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _make_part(part: Sequence[BankClip], embed: Embed, runtime: Runtime, folder: Path) -> None:
    rows = [embed(torch.from_numpy(patches)) for patches in _all_logmels(part, runtime)]
    np.save(folder / _FILE, torch.cat(rows).numpy().astype(np.float32))


def _all_logmels(part: Sequence[BankClip], runtime: Runtime) -> Iterator[NDArray[np.float32]]:
    yield from map_items(_logmels, part, runtime)


def _logmels(clip: BankClip) -> NDArray[np.float32]:
    """Compute the log-mel of every whole second of a clip: float32 ``[seconds, 1, 96, 64]``."""
    waveform = quantise(read_audio(clip.path)[0])
    whole = len(waveform) // SAMPLE_RATE_HZ
    if whole != _num_seconds(clip):
        raise DataError(
            str(clip.path), f"{_num_seconds(clip)} whole seconds", str(whole), "Run audio again."
        )
    seconds = waveform[: whole * SAMPLE_RATE_HZ].reshape(whole, SAMPLE_RATE_HZ)
    return np.stack([logmel(second)[0] for second in seconds])
