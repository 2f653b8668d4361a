"""F-measure from histograms: 255 thresholds, one small table of counts per frame.

A frame is reduced once to ``histogram[g, c]``: how many pixels of ground truth ``g`` pass exactly
``c`` of the 255 thresholds. From these counts every F in use follows without the pixels: of one
frame, of a batch with one shared threshold (AVSBench), of a whole data set. They are therefore
what a score row carries (`pack`, `unpack`), and what makes every table a function of the rows.

Source: AVSBench (Zhou et al., ECCV 2022), F-measure with beta^2 = 0.3; float32 as published.
"""

import binascii
import zlib
from base64 import b85decode, b85encode

import numpy as np
from numpy.typing import NDArray

from avsynth.runtime.errors import DataError

NUM_THRESHOLDS = 255
NUM_COUNTS = NUM_THRESHOLDS + 1
BETA2 = 0.3

Histogram = NDArray[np.int64]
"""int64 ``[N, 2, 256]``: pixels by frame, ground truth and number of thresholds passed."""


def f_curves(histogram: Histogram) -> NDArray[np.float32]:
    """Compute the F-measure of every frame at every threshold.

    ``P = tp / (pred + 1e-20)``, ``R = tp / (gt + 1e-20)``, ``F = 1.3 P R / (0.3 P + R)``, and 0
    where that is 0/0. A frame with an empty ground truth has F = 0 everywhere; whether it counts
    is the caller's rule.

    Args:
        histogram: int64 ``[N, 2, 256]``.

    Returns:
        float32 ``[N, 255]``, 0..1.
    """
    passed = np.cumsum(histogram[:, :, :0:-1], axis=2)[:, :, ::-1]
    true_positive = passed[:, 1].astype(np.float32)
    predicted = passed.sum(axis=1).astype(np.float32)
    ground_truth = histogram[:, 1].sum(axis=1, keepdims=True).astype(np.float32)
    precision = true_positive / (predicted + np.float32(1e-20))
    recall = true_positive / (ground_truth + np.float32(1e-20))
    numerator = np.float32(1 + BETA2) * precision * recall
    denominator = np.float32(BETA2) * precision + recall
    curves: NDArray[np.float32] = np.zeros_like(recall)
    np.divide(numerator, denominator, out=curves, where=denominator > 0)
    return curves


def has_foreground(histogram: Histogram) -> NDArray[np.bool_]:
    """Return which frames have any foreground in the ground truth: bool ``[N]``."""
    return np.asarray(histogram[:, 1].any(axis=1))


def batch_f(histogram: Histogram) -> float:
    """Compute the F of a batch as AVSBench does: one best threshold for all its frames.

    Frames with an empty ground truth are skipped; when all are empty the batch scores 0, and the
    meter over batches still counts it. The value depends on the batch: more frames share one
    threshold, so the maximum falls.

    Args:
        histogram: int64 ``[N, 2, 256]``, the frames of one batch.

    Returns:
        ``max_k mean_n F_n(k)``, 0..1, in the float32 arithmetic of the published code.
    """
    curves = f_curves(histogram[has_foreground(histogram)])
    if len(curves) == 0:
        return 0.0
    # Frame after frame in float32: the published code's order of rounding.
    total = sum(curves, start=np.zeros(NUM_THRESHOLDS, np.float32))
    return float((total / np.float32(len(curves))).max())


def pack(histogram: NDArray[np.integer]) -> str:
    """Pack one frame's histogram ``[2, 256]`` into a short ASCII cell without comma or quote."""
    planes = np.ascontiguousarray(histogram, dtype="<u4").view(np.uint8).reshape(-1, 4).T
    return b85encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")


def unpack(cell: str) -> Histogram:
    """Recover the int64 ``[2, 256]`` histogram from its cell.

    Raises:
        DataError: the cell is not what `pack` writes.
    """
    size = 4 * 2 * NUM_COUNTS
    try:
        inflate = zlib.decompressobj()
        planes = inflate.decompress(b85decode(cell), size + 1)
    except (ValueError, zlib.error, binascii.Error) as error:
        raise _damaged(str(error)) from error
    if len(planes) != size:
        raise _damaged(f"{len(planes)} bytes")
    counts = np.frombuffer(planes, np.uint8).reshape(4, -1).T.copy().view("<u4")
    return counts.reshape(2, NUM_COUNTS).astype(np.int64)


def _damaged(found: str) -> DataError:
    return DataError(
        "score row, column histogram",
        f"2 x {NUM_COUNTS} packed pixel counts",
        found,
        "Score the run again: the table was cut or edited.",
    )
