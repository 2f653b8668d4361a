"""Table cells from score rows: the measures that the tables show, with intervals."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from avsynth.metrics.bootstrap import compare, estimate
from avsynth.metrics.fmeasure import unpack
from avsynth.reports.page.tables import EstimateCell, Unit
from avsynth.runtime.errors import DataError

CLIPS_PER_BATCH = {"avsbench": 4, "sama": 1, "gavs": 1}
"""Clips that the published evaluation of a protocol scores in one batch: M_F depends on it."""
FEWEST_UNITS = 5
"""With fewer clips (or batches) no interval is shown: there is too little to resample."""
VISIBLE_FRAC = 0.01
"""A predicted mask of less than this share of the image does not count as one."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """Computes the cells of score rows, always with the same resamplings."""

    draws: int
    seed: int

    def cell(
        self, rows: pd.DataFrame, measure: str, unit: Unit = "percent", *, bar: bool = False
    ) -> EstimateCell:
        """Compute a measure of one run: a name of `avsynth.metrics.measures.MEASURES`."""
        found = estimate(
            rows,
            measure,
            draws=self.draws,
            seed=self.seed,
            clips_per_batch=(
                CLIPS_PER_BATCH[rows["protocol"].iloc[0]] if measure.startswith("meter_") else 1
            ),
        )
        if found.units < FEWEST_UNITS:
            found = replace(found, low=float("nan"), high=float("nan"))
        return EstimateCell.of(found, unit, bar=bar)

    def difference(
        self, a: pd.DataFrame, b: pd.DataFrame, measure: str, unit: Unit = "percent"
    ) -> EstimateCell | str:
        """Compute ``b`` minus ``a`` on the same samples; a remark if the samples differ."""
        try:
            found = compare(a, b, measure, draws=self.draws, seed=self.seed)
        except DataError:
            return "other samples"
        if found.units < FEWEST_UNITS:
            found = replace(found, low=float("nan"), high=float("nan"))
        return EstimateCell.difference(found, unit)

    def share(
        self, rows: pd.DataFrame, of_row: Callable[[pd.DataFrame], np.ndarray], *, bar: bool = False
    ) -> EstimateCell:
        """Compute the mean of a per-row value 0..1 (it takes the place of the IoU)."""
        return self.cell(rows.assign(iou=of_row(rows)), "miou", bar=bar)


def image_px(rows: pd.DataFrame) -> np.ndarray:
    """Count the pixels of each frame: int64 ``[N]``."""
    return np.array([int(unpack(cell).sum()) for cell in rows["histogram"]])


def predicted_frac(rows: pd.DataFrame) -> np.ndarray:
    """Compute the share of the image that is predicted to sound: float64 ``[N]``, 0..1."""
    return np.asarray(rows["pred_px"].to_numpy(np.float64) / image_px(rows))


def shows_mask(rows: pd.DataFrame) -> np.ndarray:
    """Return for each frame whether a visible mask is predicted: 0.0 or 1.0."""
    return np.asarray((predicted_frac(rows) >= VISIBLE_FRAC).astype(np.float64))


def false_frac(rows: pd.DataFrame) -> np.ndarray:
    """Compute the share of the silent pixels that are predicted to sound: float64, 0..1."""
    silent = image_px(rows) - rows["gt_px"].to_numpy()
    false = rows["pred_px"].to_numpy() - rows["inter_px"].to_numpy()
    return np.asarray(false / np.maximum(silent, 1))
