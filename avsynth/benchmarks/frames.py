"""Reader of a clip's files: image bytes, decoded mask and one second of audio per sample."""

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
from avsynth.formats.images import EXTENSIONS, ImageError, foreground, open_image
from avsynth.formats.logmel import logmel
from avsynth.formats.safe_pickle import read_logmel
from avsynth.formats.waveform import SAMPLE_RATE_HZ, encode_flac, quantise, read_audio
from avsynth.runtime.errors import DataError

SAMPLE_SCHEMA = 1
_MAX_PREFIX_CHARS = 48
_WHITE = 255
_FIX = "Download the file again from the benchmark's publisher."

Mask = NDArray[np.bool_]


def bilevel(image: Image.Image) -> Mask:
    """Decode a mask in PIL mode ``1``, as AVSBench S4 does: bool ``[H, W]``.

    PIL dithers grey values to 0 and 255, and S4 is scored so. Masks without any white pixel are of
    another kind, e.g. of 0 and 1 or of palette colours: dithering would empty or perforate them,
    so they are read by `images.foreground`, as all other masks are.
    """
    white = image.mode[0] != "I" and image.convert("L").getextrema()[1] == _WHITE
    return np.asarray(image.convert("1")) if white else foreground(image)


def read_clip(decode: Callable[[Image.Image], Mask], clip: Clip) -> Iterator[Sample]:
    """Read the labelled frames of a clip whose frame ``i`` is the end of second ``i``.

    Log-mels are 0.96 s apart, as in the published features. If the audio is too short, the last
    log-mel is repeated and the second is padded with silence.

    Args:
        decode: the benchmark's mask decoder.
        clip: the clip to read.

    Raises:
        DataError: a file is damaged, or a mask and its image differ in size.
    """
    waveform, _ = read_audio(clip.audio)
    patches = _patches(clip, waveform)
    for index, (image_path, mask_path) in enumerate(zip(clip.images, clip.masks, strict=True)):
        image, extension, size = read_image(image_path)
        mask = read_mask(decode, mask_path, size)
        yield make_sample(
            clip, index, (image, extension), mask, cut_second(waveform, index), patches[index]
        )


def make_reader(decode: Callable[[Image.Image], Mask]) -> Callable[[Clip], Iterator[Sample]]:
    """Return `read_clip` with the mask decoder bound; picklable."""
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
    """Build the sample of one frame.

    Args:
        clip: the clip of the frame.
        index: the frame's index in the clip.
        image: file bytes and file extension.
        mask: bool ``[H, W]``.
        waveform: float32 ``[16000]``, the frame's second of audio.
        patch: float32 ``[1, 96, 64]``, the frame's log-mel.
        second: index of that second in the audio; None for the frame's index.
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
    """Return a frame's key: category and ten hex digits of sha256 of ``dataset/clip_key/index``."""
    prefix = re.sub(r"[^A-Za-z0-9_-]+", "-", clip.category)[:_MAX_PREFIX_CHARS]
    digest = hashlib.sha256(f"{clip.dataset}/{clip.clip_key}/{index}".encode()).hexdigest()
    return f"{prefix}-{digest[:10]}"


def read_image(path: Path) -> tuple[bytes, str, tuple[int, int]]:
    """Read an image file and check that it can be decoded.

    Returns:
        File bytes, ``png`` or ``jpg``, and ``(width, height)``.

    Raises:
        DataError: the file is damaged or has another format.
    """
    content, image = _open(path)
    return content, EXTENSIONS[str(image.format)], image.size


def read_mask(decode: Callable[[Image.Image], Mask], path: Path, size: tuple[int, int]) -> Mask:
    """Decode a mask and compare its size with the image's ``(width, height)``.

    Returns:
        bool ``[H, W]``.

    Raises:
        DataError: the mask is damaged or has another size.
    """
    _, image = _open(path)
    if image.size != size:
        raise DataError(str(path), f"a mask of the image's size {size}", str(image.size), _FIX)
    return decode(image)


def cut_second(waveform: NDArray[np.float32], second: int) -> NDArray[np.float32]:
    """Return one second, padded with silence at the end of the audio: float32 ``[16000]``."""
    cut = waveform[second * SAMPLE_RATE_HZ : (second + 1) * SAMPLE_RATE_HZ]
    return np.pad(cut, (0, SAMPLE_RATE_HZ - len(cut)))


def _patches(clip: Clip, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a clip's log-mels, at least one per image: float32 ``[n, 1, 96, 64]``."""
    if clip.logmel is not None:
        return read_logmel(clip.logmel, clip.patches)
    patches = logmel(quantise(waveform))
    if len(patches) == 0:
        found = f"{len(waveform) / SAMPLE_RATE_HZ:.2f} s"
        raise DataError(str(clip.audio), "at least 0.975 s of audio", found, _FIX)
    short = max(0, len(clip.images) - len(patches))
    return np.concatenate([patches, patches[-1:].repeat(short, axis=0)])


def _open(path: Path) -> tuple[bytes, Image.Image]:
    """Read and decode an image file."""
    try:
        content = path.read_bytes()
        with open_image(content) as image:
            image.load()
    except (OSError, ImageError) as error:
        raise DataError(str(path), "a PNG or JPEG", str(error), _FIX) from None
    return content, image
