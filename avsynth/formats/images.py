"""Images and mask images: decode, resize, shrink."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def decode_image(content: bytes) -> Pixels:
    """Decode a picture to uint8 ``[H, W, 3]``, RGB."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def decode_mask(content: bytes) -> Mask:
    """Decode a mask picture to bool ``[H, W]``: foreground where it is not black."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L")) > 0


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resize a mask to ``(H, W)`` by its nearest pixels."""
    if mask.shape == size:
        return mask
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize(size[::-1], Image.Resampling.NEAREST)) > 0


def shrink(image: Pixels, longest_px: int) -> Pixels:
    """Shrink a picture so that no side is longer than ``longest_px``; never enlarge it."""
    whole = Image.fromarray(image)
    whole.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    return np.asarray(whole)
