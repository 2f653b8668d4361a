"""The parts of a shard sample -> tensors, as the reference loaders would give them, but faster.

JPEGs are decoded by OpenCV, which wraps the library that Pillow does: the same pixels. Shrinking
is Pillow's own. Enlarging is torch's fixed-point kernel, nine times faster: the same pixels where
the scales are fractions of 32 (640 x 480 to 1024), elsewhere within one level of 255. Pictures are
squashed to a square. The EXIF orientation is ignored: annotations refer to the stored pixels.
"""

import io

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from avsynth.audio.waveform import decode_flac
from avsynth.errors import DataError

cv2.setNumThreads(1)  # parallel over samples, not inside one
_JPEG = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_FAULTS = (OSError, UnidentifiedImageError, SyntaxError, ValueError, EOFError, cv2.error)
_FIX = "Write the shards again."


def decode_image(data: bytes, size_px: int) -> Tensor:
    """Decode a picture and squash it to a square, bilinearly.

    Args:
        data: a JPEG or PNG; grey, palette and CMYK ones become RGB.
        size_px: side of the square.

    Returns:
        uint8 ``[3, size_px, size_px]``, RGB, channels last in memory.

    Raises:
        DataError: the bytes are damaged or cut short.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.format == "JPEG" and picture.mode == "RGB":
                return _squash(_decode_jpeg(data, picture), size_px)
            return _squash(np.asarray(picture.convert("RGB")), size_px)
    except _FAULTS as error:
        raise DataError("image", "a whole JPEG or PNG", str(error), _FIX) from None


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
        with Image.open(io.BytesIO(data)) as picture:
            wanted = picture.size if size is None else size[::-1]
            mask = np.asarray(picture.resize(wanted, Image.Resampling.NEAREST))
            return torch.from_numpy((mask > 0).astype(np.uint8))
    except _FAULTS as error:
        raise DataError("mask", "a whole PNG", str(error), _FIX) from None


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


def _decode_jpeg(data: bytes, picture: Image.Image) -> np.ndarray:
    """Decode a three-channel JPEG; one that OpenCV would silently fill up is Pillow's to refuse."""
    whole = data.rstrip(b"\0").endswith(b"\xff\xd9")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _JPEG) if whole else None
    return np.asarray(picture.convert("RGB")) if pixels is None else pixels


def _squash(pixels: np.ndarray, size_px: int) -> Tensor:
    """Resize ``[H, W, 3]`` to a square: by torch where it only enlarges, else by Pillow."""
    square = (size_px, size_px)
    if max(pixels.shape[:2]) > size_px:
        resized = Image.fromarray(pixels).resize(square, Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1)
    image = torch.from_numpy(np.require(pixels, requirements="W")).permute(2, 0, 1)
    if pixels.shape[:2] == square:
        return image
    return F.interpolate(image[None], square, mode="bilinear", antialias=True)[0]
