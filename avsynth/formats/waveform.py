"""Audio files to mono 16 kHz waveforms and back: decode, resample, measure, encode.

Resampling is soxr HQ, a windowed sinc. A range is resampled with a margin on both sides, so that
the result equals the same slice of the whole file.
"""

import io
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from avsynth.formats.audio_file import FIX, Decoded, Span, decode, decode_spans
from avsynth.runtime.errors import DataError

Waveform = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
_MAX_PEAK = 8.0
"""Decoders of lossy formats overshoot 1 by little; a higher peak means samples of another scale."""


def read_audio(
    path: Path, start_s: float = 0.0, duration_s: float | None = None
) -> tuple[Waveform, int]:
    """Read an audio file, or a range of it, as mono 16 kHz.

    Args:
        path: an audio or video file; its content decides how it is read.
        start_s: where to begin, seconds from the file's start.
        duration_s: how much to read, or None for all that follows. Fewer samples come back when
            the file ends earlier.

    Returns:
        float32 [S], mono (mean of the channels), -1..1; and the sample rate, 16,000 Hz.

    Raises:
        DataError: no such file, no audio in it, undecodable, shorter than its header claims,
            not finite, or float samples of an integer scale (their peak is far above 1).
    """
    if start_s < 0 or (duration_s is not None and duration_s <= 0):
        raise ValueError(f"no such range: start {start_s} s, duration {duration_s} s")
    end_s = math.inf if duration_s is None else start_s + duration_s
    _check_file(path)
    decoded = decode(path, Span(start_s, end_s, SAMPLE_RATE_HZ))
    return _resample(path, decoded, start_s, duration_s), SAMPLE_RATE_HZ


def iter_audio(path: Path, step_s: float) -> Iterator[tuple[Waveform, int]]:
    """Yield a whole audio file in parts of ``step_s`` seconds; the last one is shorter.

    Yields:
        A part as `read_audio` returns it, and the file's own sample rate in Hz.

    Raises:
        DataError: see `read_audio`.
    """
    _check_file(path)
    starts = (step_s * i for i in itertools.count())
    spans = (Span(start, start + step_s, SAMPLE_RATE_HZ) for start in starts)
    for i, decoded in enumerate(decode_spans(path, spans)):
        part = _resample(path, decoded, step_s * i, step_s)
        yield part, decoded.rate_hz
        if len(part) < step_s * SAMPLE_RATE_HZ:
            return


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise DataError(str(path), "a sound file", "no such file", "Correct the path.")


def _resample(path: Path, decoded: Decoded, start_s: float, duration_s: float | None) -> Waveform:
    """Resample decoded samples and cut off the margins."""
    mono = decoded.samples
    if not np.isfinite(mono).all():
        raise DataError(str(path), "finite samples", "NaN or infinity", FIX)
    if len(mono) and (peak := float(np.abs(mono).max())) > _MAX_PEAK:
        fix = "Divide its samples by the full scale, or save it with integer samples."
        raise DataError(str(path), "samples of -1..1", f"a peak of {peak:.0f}", fix)
    resampled = soxr.resample(mono, decoded.rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    first = decoded.first * SAMPLE_RATE_HZ // decoded.rate_hz
    offset = round(start_s * SAMPLE_RATE_HZ) - first
    stop = None if duration_s is None else offset + round(duration_s * SAMPLE_RATE_HZ)
    return np.asarray(np.clip(resampled[offset:stop], -1, 1), np.float32)


def to_pcm16(waveform: Waveform) -> npt.NDArray[np.int16]:
    """Quantise -1..1 to 16 bits; samples that were decoded from 16 bits are exact."""
    scaled: npt.NDArray[np.float64] = np.rint(np.multiply(waveform, 32768, dtype=np.float64))
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def quantise(waveform: Waveform) -> Waveform:
    """Round to 16-bit values: float32 [S] that encoding and decoding do not change."""
    return to_pcm16(waveform).astype(np.float32) / np.float32(32768)


def encode_flac(waveform: Waveform) -> bytes:
    """Encode a waveform as FLAC, 16 bit, mono, 16 kHz: the same bytes on every run.

    Args:
        waveform: float32 [S], -1..1.
    """
    return _encode(waveform, "FLAC")


def encode_wav(waveform: Waveform) -> bytes:
    """Encode a waveform as WAV, 16 bit, mono, 16 kHz: the same bytes on every run.

    Args:
        waveform: float32 [S], -1..1.
    """
    return _encode(waveform, "WAV")


def decode_flac(data: bytes) -> Waveform:
    """Decode what `encode_flac` made: float32 [S], mono, -1..1, 16 kHz.

    Raises:
        DataError: the bytes are not a mono 16 kHz FLAC stream.
    """
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32")
    except soundfile.SoundFileError as error:
        raise DataError("flac bytes", "a FLAC stream", str(error), FIX) from None
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        found = f"{rate_hz} Hz, {1 if samples.ndim == 1 else samples.shape[1]} channels"
        raise DataError("flac bytes", "mono 16 kHz", found, FIX)
    return np.asarray(samples, np.float32)


def rms_db(waveform: Waveform) -> float:
    """Compute the root mean square in dBFS (0 = full scale); -inf for silence or no samples."""
    power = float(np.mean(np.square(waveform, dtype=np.float64))) if len(waveform) else 0.0
    return 10 * math.log10(power) if power > 0 else -math.inf


def second_db(waveform: Waveform) -> list[float]:
    """Compute the level of every whole second in dBFS; see `rms_db`.

    The mean of a second is removed first: a constant offset of the recorder is not audible.
    """
    whole = len(waveform) // SAMPLE_RATE_HZ
    seconds = waveform[: whole * SAMPLE_RATE_HZ].reshape(whole, SAMPLE_RATE_HZ)
    return [rms_db(second - second.mean(dtype=np.float64)) for second in seconds]


def _encode(waveform: Waveform, container: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm16(waveform), SAMPLE_RATE_HZ, format=container, subtype="PCM_16")
    return buffer.getvalue()


def loud_seconds(second_db: str, quiet_db: float) -> list[int]:
    """Return the seconds of a clip that are not quiet.

    Args:
        second_db: loudness of every whole second in dBFS, as in `records.AudioClip`.
        quiet_db: the least loudness of a second that counts.

    Returns:
        Indices of the loud seconds; of the loudest one when all are quiet.
    """
    levels = [float(one) for one in second_db.split()]
    loud = [i for i, level in enumerate(levels) if level >= quiet_db]
    return loud or [levels.index(max(levels))]
