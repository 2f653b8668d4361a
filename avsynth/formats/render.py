"""Images for people: overlays of masks, spectrograms, and data URIs for an HTML page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from avsynth.formats.images import Mask, Pixels, resize_mask

GROUND_TRUTH = (15, 138, 95)
PREDICTION = (200, 74, 27)
"""RGB colours of the ground truth and the predicted mask, chosen for colour-blind readers; the two
masks never share an image without a caption."""
_FILL = 0.38


_PALE = 0.55


def overlay(image: Pixels, mask: Mask, colour: tuple[int, int, int]) -> Pixels:
    """Overlay a mask on an image: a tint inside, a line around.

    Args:
        image: uint8 ``[H, W, 3]``, RGB.
        mask: bool of any size; resized to the image's.
        colour: RGB.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    mask = resize_mask(mask, image.shape[:2])
    width = 2 * max(1, round(max(image.shape[:2]) / 250)) + 1
    solid = Image.fromarray(mask.astype(np.uint8) * 255)
    inner = np.asarray(solid.filter(ImageFilter.MinFilter(width))) > 0
    line = mask & ~inner
    tint = np.array(colour, np.float32)
    # Outside the mask the image fades to grey, so that the mask is visible on any background.
    grey = image.mean(axis=2, keepdims=True, dtype=np.float32)
    painted = np.where(mask[..., None], image, _PALE * 238 + (1 - _PALE) * grey).astype(np.float32)
    painted[mask] = (1 - _FILL) * painted[mask] + _FILL * tint
    painted[line] = tint
    return painted.round().astype(np.uint8)


def spectrogram(logmel: NDArray[np.floating], height_px: int = 96) -> Pixels:
    """Return a log-mel as an image: time to the right, frequency upwards, loud is dark.

    Args:
        logmel: float ``[96, 64]`` or ``[1, 96, 64]``, natural logarithms (silence is ln 0.01).
        height_px: of the image; its width is 1.5 times that.

    Returns:
        uint8 ``[height_px, 1.5 height_px, 3]``.
    """
    bands = np.asarray(logmel, np.float32).reshape(-1, logmel.shape[-1]).T[::-1]
    loud = np.clip((bands - np.log(0.01)) / (np.log(10.0) - np.log(0.01)), 0, 1)
    ground, ink = np.array([246, 244, 240]), np.array([22, 40, 66])
    colours = ground + (ink - ground) * (loud**0.8)[..., None]
    image = Image.fromarray(colours.round().astype(np.uint8))
    size = (height_px * 3 // 2, height_px)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


def jpeg_uri(image: Pixels, quality: int = 82) -> str:
    """Encode an image as a JPEG data URI."""
    return _uri("image/jpeg", image, "JPEG", quality=quality, optimize=True)


def png_uri(image: Pixels) -> str:
    """Encode an image as a PNG data URI with 64 colours."""
    return _uri("image/png", image, "PNG", optimize=True)


def audio_uri(flac: bytes) -> str:
    """Encode a FLAC file as a data URI that browsers play."""
    return "data:audio/flac;base64," + base64.b64encode(flac).decode("ascii")


def _uri(mime: str, image: Pixels, kind: str, **options: int | bool) -> str:
    buffer = io.BytesIO()
    encoded = Image.fromarray(image)
    if kind == "PNG":
        encoded = encoded.quantize(64, dither=Image.Dither.NONE)
    encoded.save(buffer, kind, **options)
    return f"data:{mime};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
