"""The audio track of a media file, decoded by FFmpeg as blocks of samples in a row.

Time stamps are coarse (1 ms in WebM) and may wobble, so that placing each frame at its stamp
would tear the sound apart. Frames follow each other as FFmpeg decodes them. Only a late track and
a real gap between two frames become silence.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

GAP_S = 0.1
"""The shortest hole between two time stamps that is a gap: longer than any frame's rounding."""
LONGEST_SILENCE_S = 60.0
"""The longest gap, and the most silence that gaps may add to a second of decoded audio."""
_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,matroska,webm,flac,wav,w64,aiff,au,caf,ogg,mp3,aac,ac3,"
    "eac3,asf,avi,flv,mpeg,mpegts,amr,wv,ape,tta",
    "protocol_whitelist": "file",
}
"""FFmpeg detects the format by content: a play list named like audio would open other files."""
_ANY_ORIGIN = {"mpeg", "mpegts", "ogg", "asf"}
"""Formats whose time stamps begin anywhere; those of the others count from 0."""
_MAX_BAD_SHARE = 0.1


def decode_track(path: Path) -> Iterator[tuple[int, Samples]]:
    """Yield the blocks of a file's first audio track: sample rate in Hz, and mono float32 [S].

    A damaged packet is skipped, as FFmpeg does; a file with many of them is refused.

    Raises:
        ValueError: no audio, a gap too long, a change of rate, or too many damaged packets.
        av.error.FFmpegError: FFmpeg cannot read the file.
    """
    # Titles may be in any encoding, and none of them is used.
    with av.open(str(path), options=_OPTIONS, metadata_errors="replace") as container:
        if not container.streams.audio:
            raise ValueError("none")
        stream = container.streams.audio[0]
        anywhere = not _ANY_ORIGIN.isdisjoint(container.format.name.split(","))
        clock = _Clock((container.start_time or 0) / av.time_base if anywhere else 0.0)
        last: tuple[int, Samples] | None = None
        for frame in _frames(container, stream):
            rate_hz, samples = int(frame.sample_rate), _to_mono(frame)
            silence, allowed = clock.silence_before(frame, stream)
            if last:
                yield last
            if silence:
                yield rate_hz, np.zeros(min(silence, allowed), np.float32)
            # After the silence: a caller that needs only what lies before the gap gets it.
            if silence > allowed:
                raise ValueError(f"a gap of {silence / rate_hz:.0f} s")
            last = rate_hz, samples
        if last:
            # An encoder fills the last frame up; its duration is what was recorded.
            yield last[0], last[1][: _recorded(frame)]


def _recorded(frame: av.AudioFrame) -> int:
    """Return the samples of the last frame that its duration covers, where that is exact."""
    exact = frame.time_base == Fraction(1, frame.sample_rate) and 0 < frame.duration < frame.samples
    return int(frame.duration if exact else frame.samples)


class _Clock:
    """Compares the time stamps of frames with the number of samples so far."""

    def __init__(self, origin_s: float) -> None:
        self._origin_s = origin_s
        self._rate_hz = 0
        self._count = 0
        self._silence = 0
        self._expected = 0.0

    def silence_before(self, frame: av.AudioFrame, stream: Any) -> tuple[int, int]:
        """Count a frame: return the samples of silence before it, and how many are allowed."""
        rate_hz = int(frame.sample_rate)
        if self._rate_hz not in (0, rate_hz):
            raise ValueError(f"a rate that changes from {self._rate_hz} to {rate_hz} Hz")
        self._rate_hz = rate_hz
        silence = 0
        if frame.pts is not None:
            at_s = float(frame.pts * (frame.time_base or stream.time_base)) - self._origin_s
            at = at_s * rate_hz
            # Both the stamps and the count must leave a hole: wobble and drift leave it in one.
            gap = min(at - self._expected, at - self._count)
            silence = round(gap) if gap > GAP_S * rate_hz else 0
            self._expected = at
        self._expected += frame.samples
        longest = int(LONGEST_SILENCE_S * rate_hz)
        budget = longest + int(LONGEST_SILENCE_S * (self._count - self._silence))
        allowed = min(longest, budget - self._silence)
        self._silence += silence
        self._count += silence + frame.samples
        return silence, allowed


def _frames(container: Any, stream: Any) -> Iterator[av.AudioFrame]:
    packets = bad = 0
    for packet in container.demux(stream):
        packets += 1
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            bad += 1
            continue
        yield from frames
    if bad > 1 + _MAX_BAD_SHARE * packets:
        raise ValueError(f"{bad} damaged packets of {packets}")


def _to_mono(frame: av.AudioFrame) -> Samples:
    """Convert a decoded frame of any sample format to the mean of its channels: float32 [S]."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, len(frame.layout.channels)).T
    if array.dtype == np.uint8:
        array = array.astype(np.int16) - 128
        scale = 128.0
    elif np.issubdtype(array.dtype, np.integer):
        scale = float(1 << (8 * array.dtype.itemsize - 1))
    else:
        scale = 1.0
    planes = np.ascontiguousarray(array.T / scale, dtype=np.float32)
    return np.asarray(planes.mean(axis=1, dtype=np.float32))
