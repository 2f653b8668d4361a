"""Audio files to mono samples at their own rate: libsndfile for lossless files, FFmpeg for others.

The content decides how a file is read, not its name. Headers are not trusted: memory grows with
the decoded samples, the length is the number of samples that decode, and a WAV or FLAC that is
shorter than its header claims is an error. Every exception of a decoder becomes a `DataError`.
"""

import io
import math
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from avsynth.formats.ffmpeg_track import Samples, decode_track
from avsynth.runtime.errors import DataError

AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".mp3", ".mp4", ".m4a", ".webm"),
    *(".aif", ".aiff", ".aifc", ".w64", ".au", ".caf", ".oga", ".opus", ".mp2", ".aac", ".mka"),
    *(".mkv", ".mov", ".m4v", ".3gp", ".wma", ".wmv", ".avi", ".mpg", ".mpeg", ".ts", ".flv"),
    *(".ac3", ".amr", ".wv"),
)
"""Names of audio and video files in lists and folders; a copy with an earlier one is preferred."""
FIX = "Get the file again, or remove it."
_MARGIN_S = 0.1
"""Decoded on both sides of a range: longer than soxr's filter."""
_RATES_HZ = range(1_000, 1_000_001)
_UNKNOWN_SIZE = 0x7FFF_0000
"""Programs that write a WAV to a pipe store 0, or a size from here on, as its length."""
_COUNTABLE = 1 << 62
_BLOCK = 1 << 20


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
    """float32 [S], the mean of the channels."""
    rate_hz: int
    first: int
    """Index of the first sample in the file."""


def decode(path: Path, span: Span) -> Decoded:
    """Decode a part of an audio file, with a margin on both sides; see `decode_spans`."""
    return next(iter(decode_spans(path, [span])))


def decode_spans(path: Path, spans: Iterable[Span]) -> Iterator[Decoded]:
    """Yield parts of an audio file, each with a margin on both sides, in one pass over the file.

    Args:
        path: the file.
        spans: parts in the order of their starts.

    Raises:
        DataError: not an audio file, undecodable, or shorter than its header claims.
    """
    with _decoder_errors(path, "a sound file"):
        if file := _open_lossless(path):
            with file:
                yield from _decode_lossless(file, path, spans)
            return
    with _decoder_errors(path, "a sound track"):
        yield from _decode(path, spans)


@contextmanager
def _decoder_errors(path: Path, expected: str) -> Iterator[None]:
    """Raise a `DataError` for any exception: decoders raise many kinds on a damaged file."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        found = str(error) or type(error).__name__
        raise DataError(str(path), expected, found, FIX) from None


def _open_lossless(path: Path) -> soundfile.SoundFile | None:
    """Open a file that libsndfile reads and whose samples it counts and seeks; None for others.

    Raises:
        DataError: a WAV's header claims more than the file holds. libsndfile would shorten it
            silently.
    """
    with path.open("rb") as opened:
        head = opened.read(4)
    if head not in (b"RIFF", b"RF64", b"riff", b"fLaC", b"FORM", b".snd", b"caff"):
        return None
    claimed, held = _wav_sizes(path) or (0, 0)
    if (claimed == 0 < held) or (claimed > held and claimed >= _UNKNOWN_SIZE):
        return None
    if claimed > held:
        expected = f"{claimed} bytes of audio by its header"
        raise DataError(str(path), expected, f"{held} bytes", FIX)
    try:
        file = soundfile.SoundFile(path)
    except soundfile.SoundFileError:
        return None
    # A FLAC written in one pass does not store its length.
    if file.frames <= _COUNTABLE and "MPEG" not in file.subtype:
        return file
    file.close()
    return None


def _decode_lossless(
    file: soundfile.SoundFile, path: Path, spans: Iterable[Span]
) -> Iterator[Decoded]:
    for span in spans:
        first, stop = span.at(file.samplerate, path)
        wanted = max(0, int(min(stop, file.frames)) - first)
        file.seek(min(first, file.frames))
        samples = _read_blocks(file, wanted)
        if len(samples) < wanted:
            raise DataError(
                str(path), f"{wanted} samples by its header", f"{len(samples)} decoded", FIX
            )
        yield Decoded(samples, file.samplerate, first)


def _read_blocks(file: soundfile.SoundFile, wanted: int) -> Samples:
    """Read in blocks, so that memory grows with the file and not with its header's claim."""
    blocks = [np.empty(0, np.float32)]
    while wanted > 0:
        block = file.read(min(wanted, _BLOCK), dtype="float32", always_2d=True)
        blocks.append(block.mean(axis=1, dtype=np.float32))
        wanted = wanted - len(block) if len(block) else 0
    return np.concatenate(blocks)


def _wav_sizes(path: Path) -> tuple[int, int] | None:
    """Return a WAV's bytes of audio by its header, and by its size; None for another format."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                return length, size - file.tell()
            file.seek(length + length % 2, io.SEEK_CUR)
    return None


def _decode(path: Path, spans: Iterable[Span]) -> Iterator[Decoded]:
    """Decode by FFmpeg, always from the start: seeking relies on headers and time stamps."""
    blocks = decode_track(path)
    rate_hz, block = next(blocks, (0, np.empty(0, np.float32)))
    if not rate_hz:
        raise ValueError("no sample that decodes")
    kept, begin = block, 0
    for span in spans:
        first, stop = span.at(rate_hz, path)
        parts, end = [kept], begin + len(kept)
        while end < stop and (following := next(blocks, None)) is not None:
            if end <= first:
                parts, begin = [], end
            parts.append(following[1])
            end += len(following[1])
        kept = np.concatenate(parts)
        # A copy: a slice would keep what lies before it in memory.
        kept, begin = kept[max(0, first - begin) :].copy(), max(begin, min(first, end))
        yield Decoded(kept if stop == math.inf else kept[: int(stop) - begin], rate_hz, first)
