"""The measures, all in one form: a ratio of sums over clips.

A measure is ``max_k sum_u num[u, k] / sum_u den[u]`` over units ``u`` (a clip, or a published batch
of clips). Published meters and batch-invariant values both have this form, so resampling the
units is one matrix product for every measure.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avsynth.metrics.fmeasure import (
    NUM_THRESHOLDS,
    Histogram,
    batch_f,
    f_curves,
    has_foreground,
    unpack,
)
from avsynth.metrics.localisation import success_auc

Array = NDArray[np.float64]
Units = NDArray[np.intp]
"""int ``[N]``: the unit of each row, 0..U-1."""
Parts = tuple[Array, Array]
"""Numerator ``[U, K]`` and denominator ``[U]`` of a measure."""


def _sums(units: Units, values: NDArray[Any]) -> Array:
    """Sum the rows' values per unit: float64 ``[U]``."""
    return np.bincount(units, values.astype(np.float64)).astype(np.float64)


def _per_row(value: Callable[[pd.DataFrame], Array]) -> Callable[..., Parts]:
    """Build the mean of a per-row value; rows where it is NaN do not count."""

    def parts(rows: pd.DataFrame, units: Units) -> Parts:
        values = value(rows)
        counted = ~np.isnan(values)
        num = _sums(units, np.where(counted, values, 0.0))
        return num[:, None], _sums(units, counted)

    return parts


def _column(name: str) -> Callable[..., Parts]:
    return _per_row(lambda rows: rows[name].to_numpy(np.float64))


def _iou_with_truth(rows: pd.DataFrame) -> Array:
    return np.where(rows.gt_px > 0, rows.iou, np.nan)


def _f_at_cut(rows: pd.DataFrame) -> Array:
    """Compute the F of the mask that the IoU is computed from: ``1.3 tp / (0.3 gt + pred)``."""
    inter, gt, pred = (rows[n].to_numpy(np.float64) for n in ("inter_px", "gt_px", "pred_px"))
    return np.where(gt > 0, 1.3 * inter / np.where(gt > 0, 0.3 * gt + pred, 1.0), np.nan)


def _meter_iou(rows: pd.DataFrame, units: Units) -> Parts:
    num, den = _column("iou")(rows, units)
    return num / den[:, None], np.ones_like(den)


def _meter_f(rows: pd.DataFrame, units: Units) -> Parts:
    histograms = _histograms(rows)
    num = [batch_f(histograms[units == unit]) for unit in range(units.max() + 1)]
    return np.array(num)[:, None], np.ones(len(num))


def _f_dataset(rows: pd.DataFrame, units: Units) -> Parts:
    histograms = _histograms(rows)
    counted = has_foreground(histograms)
    num = np.zeros((units.max() + 1, NUM_THRESHOLDS))
    np.add.at(num, units[counted], f_curves(histograms[counted]))
    return num, _sums(units, counted)


def _iou_dataset(rows: pd.DataFrame, units: Units) -> Parts:
    num, den = (_sums(units, rows[name].to_numpy()) for name in ("inter_px", "union_px"))
    return num[:, None], den


def _histograms(rows: pd.DataFrame) -> Histogram:
    return np.stack([unpack(cell) for cell in rows.histogram])


MEASURES: dict[str, Callable[[pd.DataFrame, Units], Parts]] = {
    # As published: mean over batches of the batch's value.
    "meter_iou": _meter_iou,
    "meter_f": _meter_f,
    # Batch-invariant.
    "miou": _column("iou"),
    "miou_with_truth": _per_row(_iou_with_truth),
    "f_frame": _column("fscore"),
    "f_at_cut": _per_row(_f_at_cut),
    "f_dataset": _f_dataset,
    "iou_dataset": _iou_dataset,
    # Localisation rows.
    "ciou": _column("ciou"),
    "ap50": _per_row(lambda rows: (rows.ciou.to_numpy() >= 0.5).astype(np.float64)),
    "auc": _per_row(lambda rows: success_auc(rows.ciou.to_numpy(np.float64))),
    "pixel_ap": _column("pixel_ap"),
    "piap": _column("piap"),
}
"""``meter_*``: the papers' M_J and M_F, over batches of ``clips_per_batch`` clips.
``miou``: mean over frames. ``miou_with_truth``: frames with an empty ground truth left out.
``f_frame``: best threshold for each frame. ``f_at_cut``: F of the mask itself, no threshold chosen.
``f_dataset``: one best threshold for all frames. ``iou_dataset``: all pixels in one fraction."""
LOCALISATION = ("ciou", "ap50", "auc", "pixel_ap", "piap")
"""Measures of localisation rows; all others are of frames."""
