"""The files that FiftyOne shows, made from a shard on the first request.

A file's path is ``<cache>/inspect/<tar>/<key>/<name>``, where ``<tar>`` is the beginning of the
tar's SHA-256. The files stay in the cache; they can be deleted at any time.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsynth.core.files import atomic_file
from avsynth.formats.images import Pixels, decode_image, decode_mask, shrink
from avsynth.formats.render import GROUND_TRUTH, PREDICTION, overlay, spectrogram
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import SAMPLE_RATE_HZ, decode_flac
from avsynth.runtime.errors import DataError

MASK, SPECTROGRAM, PREVIEW = "mask.png", "spectrogram.png", "preview.mp4"
SPECTROGRAM_PX = (192, 288)
"""Height and width of a spectrogram."""
FRAMES_PER_S = 20
_PREVIEW_PX, _STRIP_PX = 480, 80
Box = tuple[int, int, int, int]


def tight_box(mask: NDArray[np.bool_]) -> Box:
    """Return ``x0, y0, x1, y1`` of a mask's pixels; the whole image if the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def preview_size(height_px: int, width_px: int) -> tuple[int, int]:
    """Return a preview's ``(H, W)``, both even: the shrunk image and the spectrogram below it."""
    scale = min(1.0, _PREVIEW_PX / max(height_px, width_px))
    return max(2, round(height_px * scale) // 2 * 2) + _STRIP_PX, max(
        2, round(width_px * scale) // 2 * 2
    )


def make_file(reader: ShardReader, key: str, path: Path) -> None:
    """Make one of a sample's files atomically; several threads may make the same file at once.

    Args:
        reader: reader of the sample's dataset.
        key: the sample's key.
        path: the file; its name selects the content, see `file_content`.

    Raises:
        DataError: the key or the name is unknown, or the shard is damaged.
        SpaceError: the disk is full.
    """
    content = file_content(reader.parts(key), path.name)
    with atomic_file(path, concurrent=True) as temporary:
        temporary.write_bytes(content)


def file_content(parts: dict[str, bytes], name: str) -> bytes:
    """Return the bytes of a file: the shard's image, `MASK`, `SPECTROGRAM` or `PREVIEW`.

    Raises:
        DataError: the name is unknown.
    """
    if name.startswith("image.") and name in parts:
        return parts[name]
    if name == MASK:
        mask = decode_mask(parts[MASK])
        x0, y0, x1, y1 = tight_box(mask)
        return _png(mask[y0:y1, x0:x1].astype(np.uint8) * 255)
    if name == SPECTROGRAM:
        return _png(_spectrogram(parts))
    if name == PREVIEW:
        return preview(parts)
    raise DataError("inspect", "a file of a sample", repr(name), "Open the inspection again.")


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _spectrogram(parts: dict[str, bytes]) -> Pixels:
    logmel = np.load(io.BytesIO(parts["logmel.npy"]), allow_pickle=False)
    return spectrogram(logmel, SPECTROGRAM_PX[0])


def preview(parts: dict[str, bytes]) -> bytes:
    """Build an mp4 of a sample: image with its mask, spectrogram with a moving line, audio.

    Args:
        parts: the sample's files in the shard: name -> content.

    Returns:
        H.264 and AAC, which browsers play, with the duration of the audio.
    """
    content = next(c for name, c in parts.items() if name.startswith("image."))
    image = decode_image(content)
    height, width = preview_size(*image.shape[:2])
    painted = overlay(shrink(image, _PREVIEW_PX), decode_mask(parts[MASK]), GROUND_TRUTH)
    resized = Image.fromarray(painted).resize((width, height - _STRIP_PX))
    strip = Image.fromarray(_spectrogram(parts)).resize((width, _STRIP_PX))
    still = np.concatenate([np.asarray(resized), np.asarray(strip)])
    audio = decode_flac(parts["audio.flac"]).astype(np.float32)
    return encode_video(still, audio, _STRIP_PX)


def _frames(still: Pixels, count: int, strip_px: int) -> Iterator[Pixels]:
    """Yield the frames of a line that moves over the spectrogram."""
    for i in range(count):
        frame = still.copy()
        at = i * (frame.shape[1] - 2) // max(1, count - 1)
        frame[-strip_px:, at : at + 2] = PREDICTION
        yield frame


def encode_video(still: Pixels, audio: NDArray[np.float32], strip_px: int) -> bytes:
    """Build an mp4 (H.264, AAC) of a still image and audio, with a line that moves in time.

    Args:
        still: uint8 ``[H, W, 3]``, H and W even; its lowest rows are the spectrogram.
        audio: float32 ``[S]``, mono, 16 kHz.
        strip_px: the number of those rows.
    """
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        video_stream = container.add_stream("libx264", rate=FRAMES_PER_S)
        video_stream.height, video_stream.width = still.shape[:2]
        video_stream.pix_fmt = "yuv420p"
        video_stream.options = {
            "preset": "veryfast",
            "crf": "23",
            "tune": "stillimage",
            "threads": "1",
        }
        audio_stream = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        count = max(1, round(len(audio) / SAMPLE_RATE_HZ * FRAMES_PER_S))
        for pixels in _frames(still, count, strip_px):
            container.mux(video_stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video_stream.encode())
        samples = av.AudioFrame.from_ndarray(audio[None], format="fltp", layout="mono")
        samples.sample_rate, samples.pts = SAMPLE_RATE_HZ, 0
        samples.time_base = Fraction(1, SAMPLE_RATE_HZ)
        container.mux(audio_stream.encode(samples))
        container.mux(audio_stream.encode())
    return buffer.getvalue()
