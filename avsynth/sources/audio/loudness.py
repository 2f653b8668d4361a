"""Measurement of listed clips: decode each file once, add its loudness, drop unusable clips."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from avsynth.core.params.building import AudioFilters
from avsynth.core.records import AudioClip
from avsynth.formats.waveform import SAMPLE_RATE_HZ, iter_audio, second_db
from avsynth.runtime.errors import DataError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track

_NO_POWER = 1e-12
"""-120 dB: below it is the rounding error of a constant signal."""


def make_clip(source: str, category: str, label: str, clip_id: str, **fields: object) -> AudioClip:
    """Build the record of a clip that is listed but not measured yet.

    Args:
        source: the source's name.
        category: our category name.
        label: the source's label.
        clip_id: unique in the source.
        fields: other fields of `AudioClip`.
    """
    defaults: dict[str, object] = {
        "video_id": clip_id,
        "audio_path": "",
        "start_s": 0.0,
        "duration_s": 0.0,
        "sample_rate_hz": 0,
        "rms_db": math.nan,
    }
    return AudioClip(clip_id, source, category, label, **{**defaults, **fields})  # type: ignore[arg-type]


def mark_dropped(clip: AudioClip, reason: str) -> AudioClip:
    """Return a copy of the clip that is marked as dropped."""
    return replace(clip, status="dropped", reason=reason)


def measure_clips(
    clips: Iterable[AudioClip], root: Path, filters: AudioFilters, runtime: Runtime
) -> Iterator[AudioClip]:
    """Decode every listed clip and fill in duration, rate and loudness.

    Args:
        clips: clips listed by a source; dropped clips are yielded unchanged. A ``duration_s``
            above 0 is the length that the label holds for.
        root: the folder that ``audio_path`` is relative to.
        filters: the shortest and the quietest usable clip.
        runtime: its workers decode the files.

    Yields:
        Every clip once. Reasons set here: ``undecodable``, ``too_short`` (shorter than
        ``min_duration_s`` or than 1 s), ``longer_than_label`` (by 1 s or more: a second of it may
        lie outside the labelled range), ``silent``.
    """
    listed = list(clips)
    yield from (clip for clip in listed if clip.status != "ok")
    usable = [clip for clip in listed if clip.status == "ok"]
    title = f"audio of {usable[0].source}" if usable else "audio"
    measured = map_items(partial(measure_clip, root=root, filters=filters), usable, runtime)
    yield from track(measured, title, len(usable), runtime)


def measure_clip(clip: AudioClip, root: Path, filters: AudioFilters) -> AudioClip:
    """Decode and measure one clip; see `measure_clips`."""
    length, rate_hz, total, energy = 0, 0, 0.0, 0.0
    seconds: list[float] = []
    try:
        # Minute by minute: an hour needs no more memory than a minute.
        for waveform, native_hz in iter_audio(root / clip.audio_path, 60.0):
            rate_hz, length = native_hz, length + len(waveform)
            total += float(waveform.sum(dtype=np.float64))
            energy += float(np.square(waveform, dtype=np.float64).sum())
            seconds += second_db(waveform)
    except DataError:
        return mark_dropped(replace(clip, duration_s=0.0), "undecodable")
    # Without the mean: a constant offset is not audible.
    power = energy / length - (total / length) ** 2 if length else 0.0
    level_db = 10 * math.log10(power) if power > _NO_POWER else -math.inf
    measured = replace(
        clip,
        duration_s=round(length / SAMPLE_RATE_HZ, 4),
        sample_rate_hz=rate_hz,
        rms_db=round(level_db, 1),
        second_db=" ".join(f"{level:.1f}" for level in seconds),
    )
    if length < filters.min_duration_s * SAMPLE_RATE_HZ or not seconds:
        return mark_dropped(measured, "too_short")
    if clip.duration_s and measured.duration_s >= clip.duration_s + 1:
        return mark_dropped(measured, "longer_than_label")
    if level_db < filters.min_rms_db or level_db == -math.inf:
        return mark_dropped(measured, "silent")
    return measured
