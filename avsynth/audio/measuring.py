"""Listed clips to measured ones: decode each file once, note its loudness, drop what is unfit."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from avsynth.audio.waveform import (
    SAMPLE_RATE_HZ,
    native_rate_hz,
    read_audio,
    rms_db,
    second_db,
)
from avsynth.config import AudioFilters, Runtime
from avsynth.errors import DataError
from avsynth.executors import map_items
from avsynth.progress import track
from avsynth.records import AudioClip


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
    try:
        waveform, _ = read_audio(path)
        rate_hz = native_rate_hz(path)
    except DataError:
        return drop(clip, "undecodable")
    level_db = rms_db(waveform)
    seconds = second_db(waveform)
    duration_s = len(waveform) / SAMPLE_RATE_HZ
    measured = replace(
        clip,
        duration_s=round(duration_s, 4),
        sample_rate_hz=rate_hz,
        rms_db=round(level_db, 1),
        second_db=" ".join(f"{level:.1f}" for level in seconds),
    )
    if duration_s < filters.min_duration_s or not seconds:
        return drop(measured, "too_short")
    if level_db < filters.min_rms_db or level_db == -math.inf:
        return drop(measured, "silent")
    return measured
