"""Sound files to mono 16 kHz waveforms and back: decode, resample, measure, encode.

wav, flac, ogg and mp3 are read by libsndfile, mp4, m4a and webm by FFmpeg. Resampling is soxr HQ,
a windowed sinc. Only the asked range is decoded, with a little more on both sides so that the
result is the same slice of the whole file.
"""

import io
import math
import struct
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from avsynth.errors import DataError

Waveform = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
SNDFILE_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
FFMPEG_SUFFIXES = (".mp4", ".m4a", ".webm")
AUDIO_SUFFIXES = SNDFILE_SUFFIXES + FFMPEG_SUFFIXES
_MARGIN_S = 0.1
"""Decoded on both sides of a range: longer than soxr's filter and than two AAC frames."""
_UNKNOWN_SIZE = 0xFFFF_FFFF
_FIX = "Get the file again, or remove it."


def read_audio(
    path: Path, start_s: float = 0.0, duration_s: float | None = None
) -> tuple[Waveform, int]:
    """Read a sound file, or a range of it, as mono 16 kHz.

    Args:
        path: a .wav, .flac, .ogg, .mp3, .mp4, .m4a or .webm file.
        start_s: where to begin, seconds from the file's start.
        duration_s: how much to read, or None for all that follows. Fewer samples come back when
            the file ends earlier.

    Returns:
        float32 [S], mono (mean of the channels), -1..1; and the sample rate, 16,000 Hz.

    Raises:
        DataError: no such file, no sound in it, undecodable, shorter than its header says, or
            not finite.
    """
    if start_s < 0 or (duration_s is not None and duration_s <= 0):
        raise ValueError(f"no such range: start {start_s} s, duration {duration_s} s")
    if not path.is_file():
        raise DataError(str(path), "a sound file", "no such file", "Mend the path.")
    suffix = path.suffix.lower()
    end_s = math.inf if duration_s is None else start_s + duration_s
    if suffix in SNDFILE_SUFFIXES:
        decoded, rate_hz, first = _read_sndfile(path, start_s, end_s)
    elif suffix in FFMPEG_SUFFIXES:
        decoded, rate_hz, first = _read_ffmpeg(path, start_s, end_s)
    else:
        raise DataError(str(path), "one of " + " ".join(AUDIO_SUFFIXES), suffix or "none", _FIX)
    if not np.isfinite(decoded).all():
        raise DataError(str(path), "finite samples", "NaN or infinity", _FIX)
    mono = decoded.mean(axis=1, dtype=np.float32)
    resampled = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    offset = round(start_s * SAMPLE_RATE_HZ) - first * SAMPLE_RATE_HZ // rate_hz
    stop = None if duration_s is None else offset + round(duration_s * SAMPLE_RATE_HZ)
    return np.clip(resampled[offset:stop], -1, 1).astype(np.float32), SAMPLE_RATE_HZ


def native_rate_hz(path: Path) -> int:
    """Read a sound file's own sample rate in Hz from its header.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        if path.suffix.lower() in SNDFILE_SUFFIXES:
            return int(soundfile.info(path).samplerate)
        with av.open(str(path)) as container:
            return int(container.streams.audio[0].rate)
    except (soundfile.SoundFileError, av.error.FFmpegError, IndexError) as error:
        raise DataError(str(path), "a sound file", str(error), _FIX) from None


def to_pcm16(waveform: Waveform) -> npt.NDArray[np.int16]:
    """Quantise -1..1 to 16 bits; samples that came from 16 bits come back exactly."""
    scaled: npt.NDArray[np.float64] = np.rint(np.multiply(waveform, 32768, dtype=np.float64))
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def quantise(waveform: Waveform) -> Waveform:
    """Round to what 16 bits can hold: float32 [S] that encoding and decoding do not change."""
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
        DataError: the bytes are no mono 16 kHz FLAC.
    """
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32")
    except soundfile.SoundFileError as error:
        raise DataError("flac bytes", "a FLAC stream", str(error), _FIX) from None
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        found = f"{rate_hz} Hz, {1 if samples.ndim == 1 else samples.shape[1]} channels"
        raise DataError("flac bytes", "mono 16 kHz", found, _FIX)
    return np.asarray(samples, np.float32)


def rms_db(waveform: Waveform) -> float:
    """Measure the root mean square in dBFS (0 = full scale); -inf for silence or no samples."""
    power = float(np.mean(np.square(waveform, dtype=np.float64))) if len(waveform) else 0.0
    return 10 * math.log10(power) if power > 0 else -math.inf


def second_db(waveform: Waveform) -> list[float]:
    """Measure every whole second in dBFS; see `rms_db`. A last part of a second is left out."""
    whole = len(waveform) // SAMPLE_RATE_HZ
    return [
        rms_db(part) for part in waveform[: whole * SAMPLE_RATE_HZ].reshape(whole, SAMPLE_RATE_HZ)
    ]


def _encode(waveform: Waveform, container: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm16(waveform), SAMPLE_RATE_HZ, format=container, subtype="PCM_16")
    return buffer.getvalue()


def _range_of(start_s: float, end_s: float, rate_hz: int) -> tuple[int, float]:
    """Widen a range by the margin; its start falls on a sample of both rates.

    Returns:
        First source sample, and the source sample to stop before (may be inf).
    """
    step = rate_hz // math.gcd(rate_hz, SAMPLE_RATE_HZ)
    first = int(max(0.0, start_s - _MARGIN_S) * rate_hz) // step * step
    return first, math.inf if end_s == math.inf else math.ceil((end_s + _MARGIN_S) * rate_hz)


def _read_sndfile(path: Path, start_s: float, end_s: float) -> tuple[Waveform, int, int]:
    """Decode by libsndfile: float32 [S, C], the rate in Hz, and the first sample's index."""
    if path.suffix.lower() == ".wav":
        _check_wav_size(path)
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz = file.samplerate
            first, stop = _range_of(start_s, end_s, rate_hz)
            if first >= file.frames:
                return np.empty((0, file.channels), np.float32), rate_hz, first
            wanted = int(min(stop, file.frames)) - first
            file.seek(first)
            samples = file.read(wanted, dtype="float32", always_2d=True)
            lossless = file.format in ("WAV", "WAVEX", "FLAC")
    except soundfile.SoundFileError as error:
        raise DataError(str(path), "a sound file", str(error), _FIX) from None
    if lossless and len(samples) < wanted:
        raise DataError(
            str(path), f"{wanted} samples by its header", f"{len(samples)} decoded", _FIX
        )
    return samples, rate_hz, first


def _check_wav_size(path: Path) -> None:
    """Refuse a WAV whose header promises more sound than the file holds.

    libsndfile would shorten it silently. A size of 0xFFFFFFFF is a stream's way of saying
    "unknown" and is let pass.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                held = size - file.tell()
                if length > held and length != _UNKNOWN_SIZE:
                    raise DataError(
                        str(path), f"{length} bytes of sound by its header", f"{held} bytes", _FIX
                    )
                return
            file.seek(length + length % 2, io.SEEK_CUR)


def _read_ffmpeg(path: Path, start_s: float, end_s: float) -> tuple[Waveform, int, int]:
    """Decode by FFmpeg: float32 [S, C], the rate in Hz, and the first sample's index.

    Samples stand at their presentation time, so that seconds of sound and of picture agree; where
    the track begins later or has a gap there is silence.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise DataError(str(path), "a sound track", "none", _FIX)
            stream = container.streams.audio[0]
            rate_hz = int(stream.rate)
            first, stop = _range_of(start_s, end_s, rate_hz)
            if first:
                # One AAC frame needs the one before it: begin a margin earlier still.
                ahead_s = max(0.0, first / rate_hz - _MARGIN_S)
                container.seek(int(ahead_s / stream.time_base), stream=stream)
            parts: list[Waveform] = []
            end = first
            for frame in container.decode(stream):
                at = round(frame.pts * stream.time_base * rate_hz)
                samples = _channels_last(frame)[max(0, end - at) :]
                if at > end:
                    parts.append(np.zeros((at - end, samples.shape[1]), np.float32))
                parts.append(samples)
                end = max(end, at + frame.samples)
                if end >= stop:
                    break
    except (av.error.FFmpegError, TypeError) as error:
        raise DataError(str(path), "a sound track", str(error), _FIX) from None
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float32), rate_hz, first


def _channels_last(frame: av.AudioFrame) -> Waveform:
    """Convert a decoded frame of any sample format to float32 [S, C]."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, len(frame.layout.channels)).T
    if np.issubdtype(array.dtype, np.integer):
        array = array / np.float32(1 << (8 * array.dtype.itemsize - 1))
    return np.ascontiguousarray(array.T, dtype=np.float32)
