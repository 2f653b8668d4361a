"""From a clip's files to shard samples: the pictures' own bytes, masks by rule, one second each."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsynth.benchmarks.base import Clip
from avsynth.core.records import Sample
from avsynth.formats.images import ImageError, open_image
from avsynth.formats.logmel import logmel
from avsynth.formats.safe_pickle import read_logmel
from avsynth.formats.waveform import SAMPLE_RATE_HZ, encode_flac, quantise, read_audio
from avsynth.runtime.errors import DataError

SAMPLE_SCHEMA = 1
_EXTENSIONS = {"PNG": "png", "JPEG": "jpg"}
_LONGEST_PREFIX = 48
_FIX = "Get the file again from the benchmark's publisher."

Mask = NDArray[np.bool_]


def bilevel(picture: Image.Image) -> Mask:
    """Decode a mask as AVSBench S4 does, PIL mode ``1``: bool ``[H, W]``."""
    return np.asarray(picture.convert("1"))


def any_grey(picture: Image.Image) -> Mask:
    """Decode a mask whose foreground is whatever is not black: bool ``[H, W]``."""
    return np.asarray(picture.convert("L")) > 0


def read_clip(decode: Callable[[Image.Image], Mask], clip: Clip) -> Iterator[Sample]:
    """Read the labelled frames of a clip whose frame ``i`` ends second ``i``.

    Log-mels follow one another every 0.96 s as in the published features; where the sound ends
    early the last one is repeated, and the second itself is filled with silence.

    Args:
        decode: the benchmark's rule for masks.
        clip: whose files to read.

    Raises:
        DataError: a file is damaged, or a mask has another size than its picture.
    """
    waveform, _ = read_audio(clip.audio)
    patches = _patches(clip, waveform)
    for index, (image_path, mask_path) in enumerate(zip(clip.images, clip.masks, strict=True)):
        image, extension, size = read_picture(image_path)
        mask = read_mask(decode, mask_path, size)
        yield make_sample(
            clip, index, (image, extension), mask, cut_second(waveform, index), patches[index]
        )


def make_reader(decode: Callable[[Image.Image], Mask]) -> Callable[[Clip], Iterator[Sample]]:
    """Bind a mask rule to `read_clip`, picklable."""
    return partial(read_clip, decode)


def make_sample(
    clip: Clip,
    index: int,
    image: tuple[bytes, str],
    mask: Mask,
    waveform: NDArray[np.float32],
    patch: NDArray[np.float32],
    second: int | None = None,
) -> Sample:
    """Put one frame together.

    Args:
        clip: that the frame belongs to.
        index: of the frame in the clip.
        image: its bytes and extension.
        mask: bool ``[H, W]``.
        waveform: float32 ``[16000]``, the frame's second.
        patch: float32 ``[1, 96, 64]``, the log-mel that goes with it.
        second: where in the sound it lies; the frame's index when None.
    """
    patch_npy, mask_png = io.BytesIO(), io.BytesIO()
    np.save(patch_npy, np.ascontiguousarray(patch, np.float32), allow_pickle=False)
    Image.fromarray(mask).save(mask_png, "PNG")
    meta: dict[str, object] = {
        "schema": SAMPLE_SCHEMA,
        "dataset": clip.dataset,
        "benchmark": clip.dataset,
        "version": clip.version,
        "category": clip.category,
        "split": clip.split,
        "second": index if second is None else second,
        "clip_key": clip.clip_key,
        "frame_index": index,
        "num_frames": len(clip.images),
        "has_mask": True,
        "licence": clip.licence,
    }
    return Sample(
        key=sample_key(clip, index),
        image=image[0],
        image_ext=image[1],
        mask_png=mask_png.getvalue(),
        audio_flac=encode_flac(waveform),
        logmel_npy=patch_npy.getvalue(),
        meta=meta,
    )


def sample_key(clip: Clip, index: int) -> str:
    """Name a frame: its category and ten hex digits of what it is."""
    prefix = re.sub(r"[^A-Za-z0-9_-]+", "-", clip.category)[:_LONGEST_PREFIX]
    digest = hashlib.sha256(f"{clip.dataset}/{clip.clip_key}/{index}".encode()).hexdigest()
    return f"{prefix}-{digest[:10]}"


def read_picture(path: Path) -> tuple[bytes, str, tuple[int, int]]:
    """Read a picture whole and make sure that it can be decoded.

    Returns:
        Its bytes, ``png`` or ``jpg``, and ``(width, height)``.

    Raises:
        DataError: damaged, or of another format.
    """
    content, picture = _open(path)
    if picture.format not in _EXTENSIONS:
        raise DataError(str(path), "a PNG or JPEG", str(picture.format), _FIX)
    return content, _EXTENSIONS[picture.format], picture.size


def read_mask(decode: Callable[[Image.Image], Mask], path: Path, size: tuple[int, int]) -> Mask:
    """Decode a mask and hold its size against the picture's ``(width, height)``.

    Returns:
        bool ``[H, W]``.

    Raises:
        DataError: damaged, or of another size.
    """
    _, picture = _open(path)
    if picture.size != size:
        raise DataError(str(path), f"a mask of the picture's size {size}", str(picture.size), _FIX)
    return decode(picture)


def cut_second(waveform: NDArray[np.float32], second: int) -> NDArray[np.float32]:
    """Cut one second, filled with silence where the sound has ended: float32 ``[16000]``."""
    cut = waveform[second * SAMPLE_RATE_HZ : (second + 1) * SAMPLE_RATE_HZ]
    return np.pad(cut, (0, SAMPLE_RATE_HZ - len(cut)))


def _patches(clip: Clip, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give a clip's log-mels, at least one per image: float32 ``[n, 1, 96, 64]``."""
    if clip.logmel is not None:
        return read_logmel(clip.logmel, clip.patches)
    patches = logmel(quantise(waveform))
    if len(patches) == 0:
        found = f"{len(waveform) / SAMPLE_RATE_HZ:.2f} s"
        raise DataError(str(clip.audio), "at least 0.975 s of sound", found, _FIX)
    short = max(0, len(clip.images) - len(patches))
    return np.concatenate([patches, patches[-1:].repeat(short, axis=0)])


def _open(path: Path) -> tuple[bytes, Image.Image]:
    """Read and decode a picture file."""
    try:
        content = path.read_bytes()
        with open_image(content) as picture:
            picture.load()
    except (OSError, ImageError) as error:
        raise DataError(str(path), "a PNG or JPEG", str(error), _FIX) from None
    return content, picture
