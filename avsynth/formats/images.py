"""Images and mask images: decode, resize, shrink."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def decode_image(content: bytes) -> Pixels:
    """Decode an image to uint8 ``[H, W, 3]``, RGB."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def decode_mask(content: bytes) -> Mask:
    """Decode a mask file by the rule of `foreground`.

    Returns:
        bool ``[H, W]``.

    Raises:
        ValueError: not a readable image.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return foreground(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a readable image: {error}") from None


def foreground(image: Image.Image) -> Mask:
    """Find the foreground of a mask image: the one rule for every reader of masks.

    ========================  ==================================================================
    PIL mode                  foreground
    ========================  ==================================================================
    ``1 L I I;16 F``          the value is not 0
    ``P PA``                  the palette index is not 0, regardless of its colour
    ``LA``                    the grey value is not 0; alpha is ignored
    ``RGB RGBA`` and others   any of red, green and blue is not 0; alpha is ignored
    ========================  ==================================================================

    Returns:
        bool ``[H, W]``.
    """
    if image.mode in ("PA", "LA"):
        image = image.getchannel(0)
    elif image.mode not in ("1", "L", "I", "I;16", "F", "P", "RGB"):
        image = image.convert("RGB")
    pixels = np.asarray(image)
    mask: Mask = np.any(pixels, axis=2) if pixels.ndim == 3 else np.not_equal(pixels, 0)
    return mask


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resize a mask to ``(H, W)`` by its nearest pixels."""
    if mask.shape == size:
        return mask
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize(size[::-1], Image.Resampling.NEAREST)) > 0


def shrink(image: Pixels, longest_px: int) -> Pixels:
    """Shrink an image so that no side is longer than ``longest_px``; never enlarge it."""
    whole = Image.fromarray(image)
    whole.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    return np.asarray(whole)
