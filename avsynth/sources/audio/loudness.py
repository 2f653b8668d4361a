"""Listed clips to measured ones: decode each file once, note its loudness, drop what is unfit."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from avsynth.core.params.building import AudioFilters
from avsynth.core.records import AudioClip
from avsynth.formats.audio_file import native_rate_hz
from avsynth.formats.waveform import SAMPLE_RATE_HZ, Waveform, read_audio, second_db
from avsynth.runtime.errors import DataError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track


def listed_clip(source: str, category: str, label: str, clip_id: str, **known: object) -> AudioClip:
    """Make the record of a clip that was listed and not yet heard.

    Args:
        source: the source's name.
        category: our name.
        label: the source's own.
        clip_id: unique in the source.
        known: other fields of `AudioClip`.
    """
    blank: dict[str, object] = {
        "video_id": clip_id,
        "audio_path": "",
        "start_s": 0.0,
        "duration_s": 0.0,
        "sample_rate_hz": 0,
        "rms_db": math.nan,
    }
    return AudioClip(clip_id, source, category, label, **{**blank, **known})  # type: ignore[arg-type]


def drop(clip: AudioClip, reason: str) -> AudioClip:
    """Mark a clip as dropped."""
    return replace(clip, status="dropped", reason=reason)


def measure_clips(
    clips: Iterable[AudioClip], root: Path, filters: AudioFilters, runtime: Runtime
) -> Iterator[AudioClip]:
    """Hear every listed clip and fill in duration, rate and loudness.

    Args:
        clips: as listed by a source; dropped ones are handed on as they are.
        root: the folder that ``audio_path`` is relative to.
        filters: what a clip must be to be used.
        runtime: decoding is spread over its workers.

    Yields:
        Every clip once. Reasons given here: ``undecodable``, ``too_short`` (less than asked, or no
        whole second), ``silent``.
    """
    listed = list(clips)
    yield from (clip for clip in listed if clip.status != "ok")
    there = [clip for clip in listed if clip.status == "ok"]
    what = f"sounds of {there[0].source}" if there else "sounds"
    heard = map_items(partial(measure_clip, root=root, filters=filters), there, runtime)
    yield from track(heard, what, len(there), runtime)


def measure_clip(clip: AudioClip, root: Path, filters: AudioFilters) -> AudioClip:
    """Hear one clip; see `measure_clips`."""
    path = root / clip.audio_path
    length, energy = 0, 0.0
    seconds: list[float] = []
    try:
        rate_hz = native_rate_hz(path)
        for waveform in _minutes(path):
            length += len(waveform)
            energy += float(np.square(waveform, dtype=np.float64).sum())
            seconds += second_db(waveform)
    except DataError:
        return drop(clip, "undecodable")
    level_db = 10 * math.log10(energy / length) if energy > 0 else -math.inf
    measured = replace(
        clip,
        duration_s=round(length / SAMPLE_RATE_HZ, 4),
        sample_rate_hz=rate_hz,
        rms_db=round(level_db, 1),
        second_db=" ".join(f"{level:.1f}" for level in seconds),
    )
    if length < filters.min_duration_s * SAMPLE_RATE_HZ or not seconds:
        return drop(measured, "too_short")
    if level_db < filters.min_rms_db or level_db == -math.inf:
        return drop(measured, "silent")
    return measured


def _minutes(path: Path) -> Iterator[Waveform]:
    """Read a file minute by minute: an hour of sound takes no more memory than a minute."""
    for minute in itertools.count():
        waveform, _ = read_audio(path, 60.0 * minute, 60.0)
        yield waveform
        if len(waveform) < 60 * SAMPLE_RATE_HZ:
            return
