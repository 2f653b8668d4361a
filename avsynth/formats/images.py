"""Images and mask images: `open_image`, the only door to Pillow's decoders; decode, resize, shrink.

Pillow would choose a decoder by content, and some of them start other programs (EPS: Ghostscript).
Every official layout holds JPEG and PNG alone, so these are the only decoders that ever run.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from avsynth.runtime.errors import DataError

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
FORMATS = ("JPEG", "PNG")
EXTENSIONS = {"JPEG": "jpg", "PNG": "png"}
MAX_PIXELS = 1 << 27
"""134 megapixels; decoded to RGB they take 400 MB."""
_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_OTHER_HEADS = (
    b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"%!PS", b"\xc5\xd0\xd3\xc6", b"8BPS", b"%PDF",
    b"\0\0\0\x0cjP", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"\xd7\xcd\xc6\x9a", b"\0\0\1\0",
)  # fmt: skip
_FAULTS = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, AttributeError,
    OverflowError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow's decoders raise for damaged files."""


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FIX = "Write the shards again, or fetch the dataset again."


class ImageError(ValueError):
    """An image is damaged, or larger than `MAX_PIXELS`."""


class ForeignFormatError(ImageError):
    """An image is of another format than `FORMATS`."""


@contextmanager
def open_image(source: bytes | Path) -> Iterator[Image.Image]:
    """Open a JPEG or PNG; no other decoder is ever tried.

    A JPEG with further frames (MPO, as many cameras write) is read as the JPEG that it is: its
    first frame, format ``JPEG``.

    Args:
        source: the bytes of a file, or its path; of a path only the header is read until pixels
            are asked for.

    Raises:
        ImageError: it is damaged or too large, also when that is found inside the block.
        ForeignFormatError: it is an image of another format.
        OSError: the file of a path cannot be opened.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        head = file.read(12)
        if not head.startswith(_HEADS) and (head.startswith(_OTHER_HEADS) or head[4:8] == b"ftyp"):
            raise ForeignFormatError("an image that is neither JPEG nor PNG")
        file.seek(0)
        try:
            with _opened(file) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ImageError(f"{image.width} x {image.height} pixels, above {MAX_PIXELS:,}")
                yield image
        except ImageError:
            raise
        except UnidentifiedImageError:
            raise ImageError("not an image") from None
        except _FAULTS as error:
            raise ImageError(str(error) or type(error).__name__) from None


def _opened(file: BinaryIO) -> Image.Image:
    with warnings.catch_warnings():  # Pillow warns of sizes below our bound and of bad EXIF data.
        warnings.simplefilter("ignore")
        image = Image.open(file, formats=FORMATS)
    if image.format == "MPO":
        image.format = "JPEG"
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to 8-bit RGB; of 16-bit grey the high byte, as of every other 16-bit PNG.

    Pillow's own conversion cuts 16-bit grey off at 255, which makes nearly all of it white.
    """
    if image.mode == "RGB":
        return image
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; unreadable EXIF data turn nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        except _FAULTS:
            turn = None
    return image if turn is None else image.transpose(turn)


def decode_image(content: bytes) -> Pixels:
    """Decode an image to uint8 ``[H, W, 3]``, RGB.

    Raises:
        DataError: it is damaged, too large, or of another format.
    """
    try:
        with open_image(content) as image:
            return np.asarray(to_rgb(image))
    except ImageError as error:
        raise DataError("image", "a whole JPEG or PNG", str(error), _FIX) from None


def decode_mask(content: bytes) -> Mask:
    """Decode a mask file by the rule of `foreground`.

    Returns:
        bool ``[H, W]``.

    Raises:
        DataError: it is damaged, too large, or of another format.
    """
    try:
        with open_image(content) as image:
            return foreground(image)
    except ImageError as error:
        raise DataError("mask", "a whole PNG", str(error), _FIX) from None


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
