"""From score rows to numbers: every table cell, its 95 % interval, and the comparison of two runs.

`avsynth.metrics.measures` defines the measures; here the sums become a value and an interval. Rows
of two protocols, benchmarks or versions are never mixed in one number.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from avsynth.metrics.measures import MEASURES, Array, Parts
from avsynth.runtime.errors import ConfigError, DataError, suggest


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


def estimate(
    rows: pd.DataFrame, measure: str, *, draws: int, seed: int, clips_per_batch: int = 1
) -> Estimate:
    """Compute a measure of score rows and its 95 % interval.

    Args:
        rows: `FrameRow` (or `LocalisationRow`) columns of one benchmark, version and protocol.
        measure: a name of `avsynth.metrics.measures.MEASURES`.
        draws: bootstrap resamplings.
        seed: of the resamplings.
        clips_per_batch: clips that the published evaluation scores in one batch, taken in the
            order of their keys; matters to ``meter_*`` only.

    Raises:
        ConfigError: unknown measure.
        DataError: no rows, or rows of several runs, protocols, benchmarks or versions.
    """
    num, den = _parts(rows, measure, clips_per_batch)
    values = _resampled(num, den, _weights(len(den), draws, seed))
    low, high = _interval(values)
    return Estimate(_ratio(num.sum(0), den.sum()), low, high, len(den))


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
        measure: a name of `avsynth.metrics.measures.MEASURES`.
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
    if rows.key.duplicated().any():
        found = f"{rows.key[rows.key.duplicated()].iloc[0]!r} twice"
        raise DataError("measures", "score rows of one run", found, "Select one run first.")
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


@lru_cache(maxsize=64)
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
