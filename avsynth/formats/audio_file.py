"""Audio files to samples at their own rate: libsndfile for wav, flac, ogg, mp3; FFmpeg for others.

Headers are not trusted: memory grows with the decoded samples, and a lossless file that is shorter
than its header claims is an error.
"""

import io
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile

from avsynth.runtime.errors import DataError

SNDFILE_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
FFMPEG_SUFFIXES = (".mp4", ".m4a", ".webm")
AUDIO_SUFFIXES = SNDFILE_SUFFIXES + FFMPEG_SUFFIXES
FIX = "Get the file again, or remove it."
_CONTAINERS = {
    "format_whitelist": "mov,mp4,m4a,matroska,webm,flac,wav,ogg,mp3,aac",
    "protocol_whitelist": "file",
}
"""FFmpeg chooses by content: a play list under a sound's name would open other files and hosts."""
_MARGIN_S = 0.1
"""Decoded on both sides of a range: longer than soxr's filter and than two AAC frames."""
_LONGEST_GAP_S = 60.0
_RATES_HZ = range(1_000, 1_000_001)
_UNKNOWN_SIZE = 0xFFFF_FFFF
_COUNTABLE = 1 << 62
_BLOCK = 1 << 20

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a file to decode, in seconds; its first sample also falls on another rate's."""

    start_s: float
    end_s: float
    """May be infinite."""
    grid_hz: int
    """The rate that the samples will be brought to."""

    def at(self, rate_hz: int, path: Path) -> tuple[int, float]:
        """Widen by the margin: first sample, and the one to stop before (may be infinite).

        Raises:
            DataError: a rate that no recording has.
        """
        if rate_hz not in _RATES_HZ:
            raise DataError(str(path), "a sample rate of 1 kHz to 1 MHz", f"{rate_hz} Hz", FIX)
        step = rate_hz // math.gcd(rate_hz, self.grid_hz)
        first = int(max(0.0, self.start_s - _MARGIN_S) * rate_hz) // step * step
        if self.end_s == math.inf:
            return first, math.inf
        return first, math.ceil((self.end_s + _MARGIN_S) * rate_hz)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Samples decoded from a file."""

    samples: Samples
    """float32 [S, C]."""
    rate_hz: int
    first: int
    """Index of the first sample in the file."""


def decode(path: Path, span: Span) -> Decoded:
    """Decode a part of an audio file, with a margin on both sides.

    Raises:
        DataError: unsupported format, undecodable, or shorter than its header claims.
    """
    suffix = path.suffix.lower()
    if suffix in SNDFILE_SUFFIXES:
        return _decode_sndfile(path, span)
    if suffix in FFMPEG_SUFFIXES:
        return _decode_ffmpeg(path, span)
    raise DataError(str(path), "one of " + " ".join(AUDIO_SUFFIXES), suffix or "none", FIX)


def native_rate_hz(path: Path) -> int:
    """Read an audio file's own sample rate in Hz from its header.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        if path.suffix.lower() in SNDFILE_SUFFIXES:
            return int(soundfile.info(path).samplerate)
        with av.open(str(path), options=_CONTAINERS) as container:
            return int(container.streams.audio[0].rate)
    except (soundfile.SoundFileError, av.error.FFmpegError, IndexError) as error:
        raise DataError(str(path), "a sound file", str(error), FIX) from None


def _decode_sndfile(path: Path, span: Span) -> Decoded:
    if path.suffix.lower() == ".wav":
        _check_wav_size(path)
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz = file.samplerate
            first, stop = span.at(rate_hz, path)
            if file.frames > _COUNTABLE:  # a FLAC written in one pass does not store its length
                return _decode_ffmpeg(path, span)
            wanted = max(0, int(min(stop, file.frames)) - first)
            file.seek(min(first, file.frames))
            samples = _read_blocks(file, wanted)
            lossless = file.format in ("WAV", "WAVEX", "FLAC")
    except soundfile.SoundFileError as error:
        raise DataError(str(path), "a sound file", str(error), FIX) from None
    if lossless and len(samples) < wanted:
        raise DataError(
            str(path), f"{wanted} samples by its header", f"{len(samples)} decoded", FIX
        )
    return Decoded(samples, rate_hz, first)


def _read_blocks(file: soundfile.SoundFile, wanted: int) -> Samples:
    """Read in blocks, so that memory grows with the file and not with its header's claim."""
    blocks = [np.empty((0, file.channels), np.float32)]
    while wanted > 0:
        block = file.read(min(wanted, _BLOCK), dtype="float32", always_2d=True)
        blocks.append(block)
        wanted = wanted - len(block) if len(block) else 0
    return np.concatenate(blocks)


def _check_wav_size(path: Path) -> None:
    """Raise if a WAV's header claims more audio than the file holds.

    libsndfile would shorten it silently. A size of 0xFFFFFFFF is accepted: streams write it when
    their length is unknown.
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
                        str(path), f"{length} bytes of audio by its header", f"{held} bytes", FIX
                    )
                return
            file.seek(length + length % 2, io.SEEK_CUR)


def _decode_ffmpeg(path: Path, span: Span) -> Decoded:
    """Decode by FFmpeg.

    Samples are placed at their presentation time, so that audio and video agree. Silence fills
    the time before the track begins and gaps in it.
    """
    try:
        with av.open(str(path), options=_CONTAINERS) as container:
            if not container.streams.audio:
                raise DataError(str(path), "a sound track", "none", FIX)
            stream = container.streams.audio[0]
            rate_hz = int(stream.rate)
            first, stop = span.at(rate_hz, path)
            if first:
                # One AAC frame needs the one before it: begin a margin earlier still.
                ahead_s = max(0.0, first / rate_hz - _MARGIN_S)
                container.seek(int(ahead_s / stream.time_base), stream=stream)
            samples = _decode_frames(container, stream, first, stop)
    except (av.error.FFmpegError, TypeError, ValueError) as error:
        raise DataError(str(path), "a sound track", str(error), FIX) from None
    return Decoded(samples, rate_hz, first)


def _decode_frames(container: Any, stream: Any, first: int, stop: float) -> Samples:
    """Decode from sample ``first`` on, at least to ``stop``: float32 [S, C]."""
    parts: list[Samples] = []
    end = first
    for frame in container.decode(stream):
        at = round(frame.pts * stream.time_base * stream.rate)
        samples = _channels_last(frame)[max(0, end - at) :]
        if at > end:
            gap = min(at, stop) - end
            if gap > _LONGEST_GAP_S * stream.rate:
                raise ValueError(f"a gap of {gap / stream.rate:.0f} s")
            parts.append(np.zeros((int(gap), samples.shape[1]), np.float32))
        parts.append(samples)
        end = max(end, at + frame.samples)
        if end >= stop:
            break
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float32)


def _channels_last(frame: av.AudioFrame) -> Samples:
    """Convert a decoded frame of any sample format to float32 [S, C]."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, len(frame.layout.channels)).T
    if np.issubdtype(array.dtype, np.integer):
        array = array / np.float32(1 << (8 * array.dtype.itemsize - 1))
    return np.ascontiguousarray(array.T, dtype=np.float32)
