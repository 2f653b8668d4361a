"""Sound localisation: how well a heat map finds the sounding object (AV-SAM's Flickr test).

A heat map is resized to 224 x 224 (bilinear, corners aligned) and stretched to 0..1; its upper half
by rank is the prediction. The ground truth (gt) is a consensus map in 0..1 (two annotators: 0, 0.5,
1) or the union of boxes. Per sample:

* ``ciou``: agreement weighted by consensus. Over samples: its mean, the share that reaches 0.5
  (``ap50``, printed as "AP50", "cIoU@0.5" or "IoU@0.5") and the area under the share (``auc``).
* ``pixel_ap``: average precision of the heat for ground truth >= 0.5, the conventional one.
* ``piap``: average precision with ground truth and score exchanged, as in AVGN's code; the
  papers' "AP" columns of that line of work are of this kind. Never compare the two.

Sources: EZ-VSL (Mo and Morgado, ECCV 2022), AVGN (Mo and Tian, CVPR 2023), AV-SAM (2023).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avsynth.runtime.errors import DataError

GRID_PX = 256
"""Side of the grid that boxes are drawn in."""
MAP_PX = 224
"""Side of the map that scores are taken on."""
SIDE_PX = 224
SUCCESS_THRESHOLDS = np.linspace(0, 1, 21)

Map = NDArray[np.float64]


def upper_half(heat: Map) -> NDArray[np.bool_]:
    """Return the pixels at or above the value of rank ``n // 2``: bool, the map's shape."""
    rank = heat.size // 2
    return np.asarray(heat >= np.partition(heat, rank, axis=None)[rank])


def ciou(predicted: NDArray[np.bool_], gt: Map) -> float:
    """Compute the consensus IoU: ``sum(pred * gt) / (sum(gt) + |pred where gt = 0|)``.

    Args:
        predicted: bool ``[H, W]``.
        gt: float ``[H, W]``, 0..1, not all 0.

    Raises:
        DataError: the shapes differ, or the ground truth is empty or beyond 0..1.
    """
    _check(predicted.shape, gt)
    return float(gt[predicted].sum() / (gt.sum() + (predicted & (gt == 0)).sum()))


def average_precision(gt: NDArray[np.bool_], score: Map) -> float:
    """Compute the area under precision over recall, ties taken together: step-wise, no envelope.

    Args:
        gt: bool, any shape.
        score: float of the same shape; higher means more surely positive.

    Returns:
        0..1; 0 when nothing is true.
    """
    order = np.argsort(-score, axis=None, kind="stable")
    ordered = score.ravel()[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1)
    hits = np.cumsum(gt.ravel()[order])[last_of_tie]
    if hits[-1] == 0:
        return 0.0
    precision, recall = hits / (last_of_tie + 1), hits / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def score_heat(heat: Map, gt: Map) -> tuple[float, float, float]:
    """Score one heat map against its ground truth.

    Args:
        heat: float ``[H, W]``, 0..1.
        gt: float ``[H, W]``, 0..1, not all 0.

    Returns:
        ``(ciou, pixel_ap, piap)``, each 0..1.

    Raises:
        DataError: the shapes differ, or the ground truth is empty or beyond 0..1.
    """
    predicted = upper_half(heat)
    return (
        ciou(predicted, gt),
        average_precision(gt >= 0.5, heat),
        average_precision(predicted, gt),
    )


def success_auc(cious: Map) -> Map:
    """Integrate each sample's success over the thresholds 0, 0.05 .. 1 (trapezoid).

    Its mean over samples is the AUC of the papers.

    Args:
        cious: float ``[N]``, 0..1.

    Returns:
        float64 ``[N]``, 0..1.
    """
    success = cious[:, None] >= SUCCESS_THRESHOLDS
    return np.asarray(np.trapezoid(success.astype(np.float64), SUCCESS_THRESHOLDS, axis=1))


def _check(shape: tuple[int, ...], gt: Map) -> None:
    if shape != gt.shape or not gt.any() or gt.min() < 0 or gt.max() > 1:
        found = f"shape {gt.shape}, values {gt.min():g} to {gt.max():g}"
        raise DataError(
            "localisation",
            f"a ground truth of shape {shape} in 0..1 with some foreground",
            found,
            "Draw the boxes into the map first.",
        )


def consensus_map(boxes: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Draw the consensus of the annotators: each box adds a half, no pixel exceeds 1.

    Args:
        boxes: ``(x0, y0, x1, y1)`` in the 256 x 256 grid.

    Returns:
        float64 ``[224, 224]`` of 0, 0.5 and 1.
    """
    votes = np.zeros((MAP_PX, MAP_PX))
    for box in boxes:
        x0, y0, x1, y1 = (side * MAP_PX // GRID_PX for side in box)
        votes[y0:y1, x0:x1] += 0.5
    return np.minimum(votes, 1.0)
