"""Decoders from the parts of a shard sample to tensors, equal to the reference loaders but faster.

Pillow decodes and shrinks. Images are enlarged by torch's fixed-point kernel, nine times faster:
the same pixels where the scales are fractions of 32 (640 x 480 to 1024), elsewhere within one
level of 255. Images are resized to a square. The EXIF orientation is ignored:
annotations refer to the stored pixels.
"""

import io
from functools import lru_cache
from tokenize import TokenError

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avsynth.formats.images import ImageError, foreground, open_image, to_rgb
from avsynth.formats.waveform import decode_flac
from avsynth.runtime.errors import DataError

_NEAREST = Image.Resampling.NEAREST
_FIX = "Write the shards again."


def allocate_images(count: int, size_px: int) -> Tensor:
    """Return uninitialised images: uint8 ``[count, 3, size_px, size_px]``, channels last."""
    return torch.empty(count, size_px, size_px, 3, dtype=torch.uint8).permute(0, 3, 1, 2)


def decode_image(data: bytes, size_px: int, out: Tensor | None = None) -> Tensor:
    """Decode an image and resize it to a square, bilinearly.

    Args:
        data: a JPEG or PNG; grey, palette and CMYK ones become RGB.
        size_px: side of the square.
        out: one image of `allocate_images` to write to; None allocates one.

    Returns:
        uint8 ``[3, size_px, size_px]``, RGB, channels last in memory.

    Raises:
        DataError: the bytes are damaged or cut short.
    """
    out = allocate_images(1, size_px)[0] if out is None else out
    square = (size_px, size_px)
    try:
        with open_image(data) as opened:
            rgb = to_rgb(opened)
            if max(rgb.size) > size_px:
                rgb = rgb.resize(square, Image.Resampling.BILINEAR)
            pixels = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)
    except ImageError as error:
        raise DataError("image", "a whole JPEG or PNG", str(error), _FIX) from None
    if pixels.shape == out.shape:
        return out.copy_(pixels)
    # What interpolate() calls. It has no `out`, and fresh memory costs more than the enlarging.
    enlarge = torch.ops.aten._upsample_bilinear2d_aa.out
    enlarge(pixels[None], square, False, None, None, out=out[None])
    return out


def decode_mask(data: bytes, size: tuple[int, int] | None) -> Tensor:
    """Decode a mask by the rule of `avsynth.formats.images.foreground`.

    Args:
        data: a PNG of any mode.
        size: ``(H, W)`` to resize it to by nearest neighbours; None keeps its own.

    Returns:
        uint8 ``[H, W]`` in {0, 1}.

    Raises:
        DataError: the bytes are damaged or cut short.
    """
    try:
        with open_image(data) as opened:
            height, width = size or (opened.height, opened.width)
            low = opened.resize((width, min(height, opened.height)), _NEAREST)
            mask = foreground(low)
    except ImageError as error:
        raise DataError("mask", "a whole PNG", str(error), _FIX) from None
    # Enlarging in height copies whole rows, which is faster than resizing pixel by pixel.
    return torch.from_numpy(mask.take(_nearest(low.height, height), axis=0).view(np.uint8))


def decode_logmel(data: bytes) -> Tensor:
    """Read a log-mel: float32 ``[1, 96, 64]``.

    Raises:
        DataError: the bytes are not such an array.
    """
    try:
        values = np.load(io.BytesIO(data), allow_pickle=False)
        if values.shape != (1, 96, 64) or values.dtype != np.float32:
            raise ValueError(f"{values.dtype} {list(values.shape)}")
    except (ValueError, EOFError, OSError, MemoryError, TokenError) as error:
        raise DataError("logmel", "float32 [1, 96, 64] in npy format", str(error), _FIX) from None
    return torch.from_numpy(values)


def decode_waveform(data: bytes) -> Tensor:
    """Decode a second of audio: float32 ``[16000]``, -1..1.

    Raises:
        DataError: the bytes are not mono 16 kHz FLAC.
    """
    return torch.from_numpy(decode_flac(data))


@lru_cache(maxsize=256)
def _nearest(have: int, wanted: int) -> NDArray[np.intp]:
    """Return which of ``have`` rows Pillow copies to each of ``wanted`` rows."""
    rows = Image.fromarray(np.arange(have, dtype=np.int32)[:, None])
    return np.asarray(rows.resize((1, wanted), _NEAREST))[:, 0].astype(np.intp)
