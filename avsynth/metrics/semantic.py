"""Semantic audio-visual segmentation scores (AVSBench-semantic: 71 classes, 0 is background).

Per frame and class: IoU and F (beta^2 = 0.3) from the pixel areas. Per class: the mean over the
frames in which it is predicted or true. The published mean is over **all** classes and counts a
class that never occurs as 0, so a subset of the test set scores low by construction. `summary`
gives beside it the mean over the classes that occur, and one without the background (class 0; the
published code's "no background" drops the last class instead).

Source: AVSBench-semantic (Zhou et al., IJCV 2024).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from avsynth.runtime.errors import DataError

NUM_CLASSES = 71
BETA2 = 0.3
EPS = 2.220446049250313e-16


@dataclass(frozen=True, slots=True)
class ClassSums:
    """Sums over frames; those of two batches add up."""

    iou: Tensor
    """float64 ``[C]``: sum of the IoU over frames."""
    fscore: Tensor
    """float64 ``[C]``: sum of F over frames."""
    frames: Tensor
    """int64 ``[C]``: frames in which the class is predicted or true."""

    def __add__(self, other: "ClassSums") -> "ClassSums":
        """Return the sums over two sets of frames."""
        return ClassSums(
            self.iou + other.iou, self.fscore + other.fscore, self.frames + other.frames
        )


def class_sums(
    predicted: Tensor, ground_truth: Tensor, num_classes: int = NUM_CLASSES
) -> ClassSums:
    """Compute the scores of label maps per class.

    Args:
        predicted: int ``[N, H, W]``, 0..num_classes-1 (the argmax of the logits).
        ground_truth: int ``[N, H, W]``, same range.
        num_classes: C.

    Raises:
        DataError: shapes differ, or a label is out of range.
    """
    _check(predicted, ground_truth, num_classes)
    inter, pred_px, gt_px = (
        torch.stack([torch.bincount(frame, minlength=num_classes + 1) for frame in labels])
        for labels in (
            torch.where(predicted == ground_truth, ground_truth, num_classes).flatten(1),
            predicted.flatten(1),
            ground_truth.flatten(1),
        )
    )
    inter, pred_px, gt_px = (area[:, :num_classes].double() for area in (inter, pred_px, gt_px))
    union = pred_px + gt_px - inter
    precision, recall = inter / (pred_px + EPS), inter / (gt_px + EPS)
    fscore = (1 + BETA2) * precision * recall / (BETA2 * precision + recall + EPS)
    return ClassSums((inter / (union + EPS)).sum(0), fscore.sum(0), (union > 0).sum(0))


def per_class(sums: ClassSums) -> tuple[Tensor, Tensor]:
    """Compute the mean over frames: IoU and F, float64 ``[C]`` each; 0 for an absent class."""
    frames = sums.frames.clamp(min=1)
    return sums.iou / frames, sums.fscore / frames


def summary(sums: ClassSums) -> dict[str, float]:
    """Compute the means over classes, each by its own name.

    Returns:
        ``miou``, ``fscore``: over all classes, as published; ``…_present``: over the classes that
        occur; ``…_foreground``: over all but class 0.
    """
    present = sums.frames > 0
    values: dict[str, float] = {}
    for name, scores in zip(("miou", "fscore"), per_class(sums), strict=True):
        values[name] = scores.mean().item()
        values[f"{name}_present"] = scores[present].mean().item()
        values[f"{name}_foreground"] = scores[1:].mean().item()
    return values


def _check(predicted: Tensor, ground_truth: Tensor, num_classes: int) -> None:
    if predicted.ndim != 3 or predicted.shape != ground_truth.shape:
        raise DataError(
            "semantic",
            "label maps of one shape [N, H, W]",
            f"{list(predicted.shape)} and {list(ground_truth.shape)}",
            "Resize the prediction to the size of the ground truth.",
        )
    for labels in (predicted, ground_truth):
        if labels.min() < 0 or labels.max() >= num_classes:
            raise DataError(
                "semantic",
                f"labels 0..{num_classes - 1}",
                f"{labels.min().item()}..{labels.max().item()}",
                "Decode the label images with the palette of the data set.",
            )
