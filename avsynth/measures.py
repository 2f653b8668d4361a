"""From score rows to numbers: every table cell, its 95 % interval, and the comparison of two runs.

A *measure* is ``max_k sum_u num[u, k] / sum_u den[u]`` over units ``u`` (a clip, or a published
batch of clips). In this one form live the published meters and the batch-invariant values alike,
and resampling the units is one matrix product, whatever the measure.

Rows of two protocols, benchmarks or versions are never mixed in one number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avsynth.errors import ConfigError, DataError, suggest
from avsynth.fmeasure import Histogram, batch_f, f_curves, has_truth, unpack
from avsynth.localisation import success_auc

Array = NDArray[np.float64]
Parts = tuple[Array, Array]
"""Numerator ``[U, K]`` and denominator ``[U]`` of a measure."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One frame scored under one protocol; its table is sorted by ``key``.

    The columns are sufficient: every F of every table follows from ``histogram`` (packed by
    `avsynth.fmeasure.pack`, about 300 characters), every IoU from the rest.
    """

    key: str
    clip_key: str
    benchmark: str
    version: str
    model: str
    regime: str
    protocol: str
    """A name of `avsynth.metrics.PROTOCOLS`."""
    category: str
    iou: float
    """With the protocol's cut and its rule for an empty ground truth."""
    fscore: float
    """Best F of the frame alone; NaN where the ground truth is empty."""
    inter_px: int
    union_px: int
    gt_px: int
    pred_px: int
    histogram: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure with its 95 % bootstrap interval over resampled units."""

    value: float
    low: float
    high: float
    units: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run B minus run A on the same samples, resampled in pairs."""

    a: float
    b: float
    difference: float
    low: float
    high: float
    p_value: float
    """Two-sided: how often a resampling turns the sign, 0..1."""
    units: int


def _sums(units: NDArray[np.intp], values: NDArray[Any]) -> Array:
    """Sum the rows' values per unit: float64 ``[U]``."""
    return np.bincount(units, values.astype(np.float64)).astype(np.float64)


def _per_row(value: Callable[[pd.DataFrame], Array]) -> Callable[..., Parts]:
    """Build the mean of a per-row value; rows where it is NaN do not count."""

    def parts(rows: pd.DataFrame, units: NDArray[np.intp]) -> Parts:
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
    """F of the mask that the IoU is taken of: ``1.3 tp / (0.3 gt + pred)``."""
    inter, gt, pred = (rows[n].to_numpy(np.float64) for n in ("inter_px", "gt_px", "pred_px"))
    return np.where(gt > 0, 1.3 * inter / np.where(gt > 0, 0.3 * gt + pred, 1.0), np.nan)


def _meter_iou(rows: pd.DataFrame, units: NDArray[np.intp]) -> Parts:
    num, den = _column("iou")(rows, units)
    return num / den[:, None], np.ones_like(den)


def _meter_f(rows: pd.DataFrame, units: NDArray[np.intp]) -> Parts:
    histograms = _histograms(rows)
    num = [batch_f(histograms[units == unit]) for unit in range(units.max() + 1)]
    return np.array(num)[:, None], np.ones(len(num))


def _f_dataset(rows: pd.DataFrame, units: NDArray[np.intp]) -> Parts:
    histograms = _histograms(rows)
    counted = has_truth(histograms)
    num = np.zeros((units.max() + 1, 255))
    np.add.at(num, units[counted], f_curves(histograms[counted]))
    return num, _sums(units, counted)


def _iou_dataset(rows: pd.DataFrame, units: NDArray[np.intp]) -> Parts:
    num, den = (_sums(units, rows[name].to_numpy()) for name in ("inter_px", "union_px"))
    return num[:, None], den


def _histograms(rows: pd.DataFrame) -> Histogram:
    return np.stack([unpack(cell) for cell in rows.histogram])


MEASURES: dict[str, Callable[[pd.DataFrame, NDArray[np.intp]], Parts]] = {
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


def estimate(
    rows: pd.DataFrame, measure: str, *, draws: int, seed: int, clips_per_batch: int = 1
) -> Estimate:
    """Compute a measure of score rows and its 95 % interval.

    Args:
        rows: `ScoreRow` (or `LocalisationRow`) columns of one benchmark, version and protocol.
        measure: a name of `MEASURES`.
        draws: bootstrap resamplings.
        seed: of the resamplings.
        clips_per_batch: clips that the published evaluation scores in one batch, taken in the
            order of their keys; matters to ``meter_*`` only.

    Raises:
        ConfigError: unknown measure.
        DataError: no rows, or rows of several protocols.
    """
    num, den = _parts(rows, measure, clips_per_batch)
    values = _resampled(num, den, _weights(len(den), draws, seed))
    low, high = _interval(values)
    return Estimate(_ratio(num.sum(0), den.sum()), low, high, len(den))


def by_category(
    rows: pd.DataFrame, measure: str, *, draws: int, seed: int, clips_per_batch: int = 1
) -> dict[str, Estimate]:
    """Compute `estimate` for the rows of each category, in the order of their names."""
    return {
        str(category): estimate(
            group, measure, draws=draws, seed=seed, clips_per_batch=clips_per_batch
        )
        for category, group in rows.groupby("category", sort=True)
    }


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    measure: str,
    *,
    draws: int,
    seed: int,
    clips_per_batch: int = 1,
) -> Comparison:
    """Compare two runs on the same samples: each resampling takes the same clips of both.

    Args:
        a: rows of the first run.
        b: rows of the second run; the same keys.
        measure: a name of `MEASURES`.
        draws: bootstrap resamplings.
        seed: of the resamplings.
        clips_per_batch: as in `estimate`.

    Raises:
        ConfigError: unknown measure.
        DataError: the runs differ in their samples, benchmark, version or protocol.
    """
    only = sorted(set(a.key) ^ set(b.key))
    if only:
        found = f"{len(only)} that only one has, first {only[0]!r}"
        raise DataError(
            "compare", "two runs on the same samples", found, "Score both on the same shards."
        )
    _one_of_each(pd.concat([a, b]))
    parts = [_parts(rows, measure, clips_per_batch) for rows in (a, b)]
    weights = _weights(len(parts[0][1]), draws, seed)
    value_a, value_b = (_ratio(num.sum(0), den.sum()) for num, den in parts)
    drawn = _resampled(*parts[1], weights) - _resampled(*parts[0], weights)
    low, high = _interval(drawn)
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p_value = min(1.0, 2 * (int(tail) + 1) / (draws + 1))
    return Comparison(value_a, value_b, value_b - value_a, low, high, p_value, len(parts[0][1]))


def _parts(rows: pd.DataFrame, measure: str, clips_per_batch: int) -> Parts:
    if measure not in MEASURES:
        raise ConfigError("measures", "a measure", repr(measure), suggest(measure, MEASURES))
    _one_of_each(rows)
    ordered = rows.sort_values("key", kind="stable")
    clips = np.unique(ordered.clip_key.to_numpy(str), return_inverse=True)[1]
    return MEASURES[measure](ordered, clips // clips_per_batch)


def _one_of_each(rows: pd.DataFrame) -> None:
    for column in ("protocol", "benchmark", "version"):
        found = sorted(rows[column].unique())
        if len(found) != 1:
            raise DataError(
                "measures",
                f"score rows of one {column}",
                ", ".join(map(str, found)) or "no rows",
                f"Select one {column} first: their numbers do not compare.",
            )


def _weights(units: int, draws: int, seed: int) -> Array:
    """Count how often each unit is drawn: float64 ``[draws, units]``."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(units, np.full(units, 1 / units), size=draws).astype(np.float64)


def _ratio(num: Array, den: float) -> float:
    return float(num.max() / den) if den > 0 else float("nan")


def _resampled(num: Array, den: Array, weights: Array) -> Array:
    drawn_den = weights @ den
    drawn = np.full(len(weights), np.nan)
    np.divide((weights @ num).max(axis=1), drawn_den, out=drawn, where=drawn_den > 0)
    return drawn


def _interval(values: Array) -> tuple[float, float]:
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
