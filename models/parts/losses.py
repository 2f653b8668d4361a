"""Losses on mask logits: binary cross-entropy, soft IoU, and their sum (SAMA-AVS, section 3.3)."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from avsynth.loading.batch import Batch
from avsynth.runtime.errors import DataError


def target(batch: Batch) -> Tensor:
    """Return the batch's masks as float ``[N, Hf, Wf]`` in {0, 1}.

    Raises:
        DataError: the batch has no masks.
    """
    if batch.mask is None:
        where = f"batch of {batch.keys[0]}" if batch.keys else "batch"
        fix = "Train on shards that carry masks."
        raise DataError(where, "masks to train on", "none", fix)
    return batch.mask.float()


def bce(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of logits ``[N, H, W]`` against masks in {0, 1}."""
    return F.binary_cross_entropy_with_logits(logits.float(), mask)


def soft_iou(logits: Tensor, mask: Tensor) -> Tensor:
    """Return one minus the mean over frames of the IoU of probabilities; 1 for an empty mask.

    Args:
        logits: ``[N, H, W]``.
        mask: float ``[N, H, W]`` in {0, 1}.
    """
    probability = logits.float().sigmoid().flatten(1)
    mask = mask.flatten(1)
    inter = (probability * mask).sum(1)
    union = (probability + mask).sum(1) - inter
    return 1 - (inter / union.clamp(min=1e-7)).mean()


def bce_iou(
    logits: Tensor, mask: Tensor, iou_weight: float = 1.0, bce_weight: float = 1.0
) -> Tensor:
    """Return ``bce_weight * bce + iou_weight * soft_iou``; ``iou_weight`` is the paper's lambda."""
    return bce_weight * bce(logits, mask) + iou_weight * soft_iou(logits, mask)
