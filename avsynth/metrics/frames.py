"""IoU and F-measure of binary audio-visual segmentation, every published variant by name.

The field's numbers are not comparable unless four choices agree: the IoU threshold, whether F
thresholds probabilities or raw logits, which frames share one F threshold (the batch), and what an
empty ground truth scores. `PROTOCOLS` names them; nothing here has another default.

* **Empty ground truth.** IoU: pixels that are rightly background over all pixels. F: the frame is
  skipped; a batch of such frames alone scores 0 and is still averaged in.
* **Meter.** Published values are means over batches of the batch values, each batch of weight 1
  (the last, smaller one too). `avsynth.metrics.bootstrap` computes them, and the batch-invariant
  forms beside them, from the rows that `score_frames` fills.

Sources: AVSBench (Zhou et al., ECCV 2022); SAMA-AVS (Liu et al., WACV 2024); GAVS (Wang et al.,
AAAI 2024). Others use AVSBench's formulas. Clips a batch: AVSBench 4 (its test script), COMBO 8,
AVSegFormer 2, SAMA-AVS, GAVS and ST-BAVA 1.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from avsynth.metrics.fmeasure import NUM_COUNTS, NUM_THRESHOLDS, Histogram, batch_f
from avsynth.runtime.errors import ConfigError, DataError, suggest

EPS = 1e-7
"""Added to the union of the IoU."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One published way to score a prediction."""

    iou_threshold: float
    """A pixel is predicted foreground where ``sigmoid(logit) > iou_threshold``."""
    f_input: Literal["sigmoid", "logits"]
    """The values that the 255 thresholds of F in 0..1 are applied to."""


PROTOCOLS: dict[str, Protocol] = {
    "avsbench": Protocol(0.5, "sigmoid"),
    "sama": Protocol(0.5, "logits"),
    "gavs": Protocol(0.4, "sigmoid"),
}
"""``sama``: F on raw logits (SAMA-AVS), so only sigmoid thresholds from 0.5 to 0.731 are tried;
``gavs``: IoU threshold 0.4. Which clips share one F threshold is chosen in averaging."""

# Computed on the CPU as the published code does: the last threshold is exactly 1 in float32.
_THRESHOLDS = torch.linspace(0, 1 - 1e-10, NUM_THRESHOLDS)


@dataclass(frozen=True, slots=True)
class FrameScores:
    """The quantities of a score row, for each of N frames."""

    iou: Tensor
    """float32 ``[N]``, with the rule for an empty ground truth."""
    fscore: Tensor
    """float32 ``[N]``: best F over the thresholds of the frame alone; NaN if nothing is true."""
    inter_px: Tensor
    """int64 ``[N]``: predicted and true (plain, without the empty rule)."""
    union_px: Tensor
    """int64 ``[N]``: predicted or true (plain)."""
    gt_px: Tensor
    """int64 ``[N]``: true."""
    pred_px: Tensor
    """int64 ``[N]``: predicted."""
    histogram: Histogram
    """int64 ``[N, 2, 256]``: see `avsynth.metrics.fmeasure`."""


def protocol_named(name: str) -> Protocol:
    """Return the protocol of a name.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in PROTOCOLS:
        raise ConfigError("metrics", "a protocol", repr(name), suggest(name, PROTOCOLS))
    return PROTOCOLS[name]


def frame_iou(logits: Tensor, gt: Tensor, threshold: float = 0.5) -> Tensor:
    """Compute the IoU of every frame (M_J before averaging).

    Args:
        logits: float ``[N, H, W]``; foreground where ``sigmoid(logits) > threshold`` (strict).
        gt: ``[N, H, W]`` in {0, 1}, any dtype.
        threshold: 0..1.

    Returns:
        float32 ``[N]``, 0..1. Empty ground truth: background pixels kept over all pixels.

    Raises:
        DataError: shapes differ or the ground truth is not of 0 and 1.
    """
    ground_truth = _checked(logits, gt)
    inter, union, gt_px, _ = _areas(logits, ground_truth, threshold)
    return _iou(inter, union, gt_px, ground_truth[0].numel())


def f_measure(logits: Tensor, gt: Tensor, protocol: str = "avsbench") -> float:
    """Compute the F-measure (beta^2 = 0.3) of one batch: the best of 255 shared thresholds.

    Args:
        logits: float ``[N, H, W]``.
        gt: ``[N, H, W]`` in {0, 1}, any dtype.
        protocol: a name of `PROTOCOLS`.

    Returns:
        0..1; frames with an empty ground truth are skipped, 0 when no frame has any.

    Raises:
        ConfigError: unknown protocol.
        DataError: shapes differ or the ground truth is not of 0 and 1.
    """
    ground_truth = _checked(logits, gt)
    return batch_f(_histogram(logits, ground_truth, protocol_named(protocol).f_input))


def score_frames(logits: Tensor, gt: Tensor, protocol: str = "avsbench") -> FrameScores:
    """Compute all per-frame quantities of a score row in one pass.

    Args:
        logits: float ``[N, H, W]``, on any device.
        gt: ``[N, H, W]`` in {0, 1}, any dtype.
        protocol: a name of `PROTOCOLS`.

    Returns:
        The scores, on the CPU.

    Raises:
        ConfigError: unknown protocol.
        DataError: shapes differ or the ground truth is not of 0 and 1.
    """
    chosen = protocol_named(protocol)
    ground_truth = _checked(logits, gt)
    inter, union, gt_px, pred_px = _areas(logits, ground_truth, chosen.iou_threshold)
    histogram = _histogram(logits, ground_truth, chosen.f_input)
    best = [batch_f(frame[None]) if frame[1].any() else float("nan") for frame in histogram]
    return FrameScores(
        iou=_iou(inter, union, gt_px, ground_truth[0].numel()).cpu(),
        fscore=torch.tensor(best, dtype=torch.float32),
        inter_px=inter.cpu(),
        union_px=union.cpu(),
        gt_px=gt_px.cpu(),
        pred_px=pred_px.cpu(),
        histogram=histogram,
    )


def _checked(logits: Tensor, gt: Tensor) -> Tensor:
    """Return the ground truth as bool; check the pair."""
    if logits.ndim != 3 or logits.shape != gt.shape or logits.numel() == 0:
        raise DataError(
            "metrics",
            "logits and ground truth of one shape [N, H, W], none of them 0",
            f"{list(logits.shape)} and {list(gt.shape)}",
            "Resize the logits to the ground truth's size before scoring.",
        )
    ground_truth = gt.bool()
    if not torch.equal(ground_truth.to(gt.dtype), gt):
        raise DataError(
            "metrics",
            "a ground truth of 0 and 1",
            f"values up to {gt.max().item()}",
            "Binarise the mask first (foreground > 0).",
        )
    return ground_truth


def _areas(logits: Tensor, ground_truth: Tensor, threshold: float) -> tuple[Tensor, ...]:
    """Count intersection, union, ground truth and prediction per frame: int64 ``[N]`` each."""
    predicted = torch.sigmoid(logits.float()) > threshold
    inter, gt_px, pred_px = (
        # 32 bits on the way: many times faster than torch's sum of bools to int64.
        pixels.flatten(1).sum(dim=1, dtype=torch.int32).long()
        for pixels in (predicted & ground_truth, ground_truth, predicted)
    )
    return inter, gt_px + pred_px - inter, gt_px, pred_px


def _iou(inter: Tensor, union: Tensor, gt_px: Tensor, num_pixels: int) -> Tensor:
    """Divide, with the rule for frames with an empty ground truth: float32 ``[N]``."""
    empty = gt_px == 0
    kept = torch.where(empty, num_pixels - union, inter)
    whole = torch.where(empty, num_pixels, union)
    return kept / (whole + EPS)


def _histogram(logits: Tensor, ground_truth: Tensor, f_input: str) -> Histogram:
    """Count the pixels of every frame by ground truth and number of thresholds passed."""
    edges = torch.cat([_THRESHOLDS, torch.tensor([torch.nan])]).to(logits.device)
    counts = []
    for frame, true in zip(logits, ground_truth, strict=True):  # one frame fits the cache
        values = frame.float().flatten()
        passed = _thresholds_passed(values.sigmoid() if f_input == "sigmoid" else values, edges)
        cells = passed.add_(true.flatten(), alpha=NUM_COUNTS)
        counts.append(torch.bincount(cells, minlength=2 * NUM_COUNTS))
    histogram: Histogram = torch.stack(counts).view(-1, 2, NUM_COUNTS).cpu().numpy()
    return histogram


def _thresholds_passed(values: Tensor, edges: Tensor) -> Tensor:
    """Count the thresholds ``t_k <= value``: int32 of the values' shape, 0..255; NaN passes none.

    The thresholds lie within 1e-7 of ``k / 254``, so arithmetic finds the place but for one step,
    and one comparison with the exact threshold decides that step: many times faster than a
    binary search and equal to it for every float.

    Args:
        values: float32, any shape.
        edges: float32 ``[256]``: the 255 thresholds, then a NaN that no value reaches.
    """
    steps = torch.nan_to_num(values, nan=-1.0).mul_(NUM_THRESHOLDS - 1).sub_(1e-3)
    passed = steps.floor_().clamp_(-1, NUM_THRESHOLDS - 1).add_(1).to(torch.int32)
    next_edge = edges.index_select(0, passed.flatten()).view_as(values)
    return passed.add_(values >= next_edge)
