"""The parts of a shard sample -> tensors, as the reference loaders would give them, but faster.

Decoding and shrinking are Pillow's own. Pictures are enlarged by torch's fixed-point kernel, nine
times faster: the same pixels where the scales are fractions of 32 (640 x 480 to 1024), elsewhere
within one level of 255. Pictures are squashed to a square. The EXIF orientation is ignored:
annotations refer to the stored pixels.
"""

import io
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avsynth.formats.images import ImageError, open_image
from avsynth.formats.waveform import decode_flac
from avsynth.runtime.errors import DataError

_NEAREST = Image.Resampling.NEAREST
_FIX = "Write the shards again."


def room_for_images(count: int, size_px: int) -> Tensor:
    """Set memory aside for pictures: uint8 ``[count, 3, size_px, size_px]``, channels last."""
    return torch.empty(count, size_px, size_px, 3, dtype=torch.uint8).permute(0, 3, 1, 2)


def decode_image(data: bytes, size_px: int, out: Tensor | None = None) -> Tensor:
    """Decode a picture and squash it to a square, bilinearly.

    Args:
        data: a JPEG or PNG; grey, palette and CMYK ones become RGB.
        size_px: side of the square.
        out: one picture of `room_for_images` to write to; None makes room.

    Returns:
        uint8 ``[3, size_px, size_px]``, RGB, channels last in memory.

    Raises:
        DataError: the bytes are damaged or cut short.
    """
    out = room_for_images(1, size_px)[0] if out is None else out
    square = (size_px, size_px)
    try:
        with open_image(data) as picture:
            rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
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
    """Decode a mask: whatever is not black is foreground.

    Args:
        data: a PNG of 1 or 8 bits.
        size: ``(H, W)`` to bring it to by nearest neighbours; None keeps its own.

    Returns:
        uint8 ``[H, W]`` in {0, 1}.

    Raises:
        DataError: the bytes are damaged or cut short.
    """
    try:
        with open_image(data) as picture:
            height, width = size or (picture.height, picture.width)
            low = picture.resize((width, min(height, picture.height)), _NEAREST)
            mask = np.not_equal(np.asarray(low), False)
    except ImageError as error:
        raise DataError("mask", "a whole PNG", str(error), _FIX) from None
    # Further rows are copies of whole rows, which need no look at pixels.
    return torch.from_numpy(mask.take(_nearest(low.height, height), axis=0).view(np.uint8))


def decode_logmel(data: bytes) -> Tensor:
    """Read a log-mel: float32 ``[1, 96, 64]``.

    Raises:
        DataError: the bytes are no such array.
    """
    try:
        values = np.load(io.BytesIO(data), allow_pickle=False)
        if values.shape != (1, 96, 64) or values.dtype != np.float32:
            raise ValueError(f"{values.dtype} {list(values.shape)}")
    except (ValueError, EOFError, OSError) as error:
        raise DataError("logmel", "float32 [1, 96, 64] in npy format", str(error), _FIX) from None
    return torch.from_numpy(values)


def decode_waveform(data: bytes) -> Tensor:
    """Decode a second of sound: float32 ``[16000]``, -1..1.

    Raises:
        DataError: the bytes are no mono 16 kHz FLAC.
    """
    return torch.from_numpy(decode_flac(data))


@lru_cache(maxsize=256)
def _nearest(have: int, wanted: int) -> NDArray[np.intp]:
    """Ask Pillow which of ``have`` rows each of ``wanted`` is taken from."""
    rows = Image.fromarray(np.arange(have, dtype=np.int32)[:, None])
    return np.asarray(rows.resize((1, wanted), _NEAREST))[:, 0].astype(np.intp)
