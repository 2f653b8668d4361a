"""Fields of a dataset from score rows: IoU and F per run, masks, gaps and disagreement."""

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from avsynth.core.paths import SYNTHETIC, Layout, dataset_of
from avsynth.metrics.rows import RunFacts
from avsynth.reports.read_scores import FACTS, groups, read_scores


@dataclass(frozen=True, slots=True)
class RunScores:
    """The scores of one run on one dataset."""

    name: str
    """A field's name: small letters, digits and underscores."""
    title: str
    facts: RunFacts
    iou: dict[str, float]
    fscore: dict[str, float]
    predictions: dict[str, str]
    """Key -> file of the stored predictions."""


def scored_runs(layout: Layout, dataset: str, keys: set[str]) -> list[RunScores]:
    """Read the runs that were scored on a dataset.

    Args:
        layout: of the project.
        dataset: a folder below data/shards.
        keys: of the samples to keep.

    Raises:
        DataError: a score file is damaged.
    """
    rows = read_scores(layout.scores, mix=True).rows
    names = rows["benchmark"].map(dataset_of)
    rows = rows[(names == dataset) & rows["key"].isin(keys)]
    return [_run_scores(layout, run, group) for run, group in groups(rows)]


def _run_scores(layout: Layout, run: dict[str, Any], rows: pd.DataFrame) -> RunScores:
    title = f"{run['stage']} {run['run']}"
    folder = layout.predictions / run["stage"] / run["run"]
    stored = {path.stem: str(path) for path in folder.glob("*.png")}
    scored = rows["key"].tolist()
    return RunScores(
        re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_"),
        title,
        RunFacts(**{name: run[name] for name in FACTS}),
        dict(zip(scored, rows["iou"].astype(float), strict=True)),
        dict(zip(scored, rows["fscore"].astype(float), strict=True)),
        {key: stored[key] for key in scored if key in stored},
    )


def gaps(runs: list[RunScores]) -> dict[str, float]:
    """Compute per key the largest gap of any model, from synthetic to real training data.

    A gap is the IoU of a run that was trained with real data minus the IoU of the same model
    trained on AVS-Synthetic alone.
    """
    found: dict[str, float] = {}
    for real in runs:
        for synthetic in runs:
            if not _differ_in_real_data(real.facts, synthetic.facts):
                continue
            for key in real.iou.keys() & synthetic.iou.keys():
                gap = real.iou[key] - synthetic.iou[key]
                found[key] = max(gap, found.get(key, -1.0))
    return found


def _differ_in_real_data(real: RunFacts, synthetic: RunFacts) -> bool:
    """Return whether two runs differ in their training data, and only one has seen real data."""
    same = ("model", "benchmark", "protocol", "architecture", "input_size", "ablation")
    return (
        real.real_percent > 0
        and (synthetic.real_percent, synthetic.trained_on) == (0, SYNTHETIC)
        and all(getattr(real, name) == getattr(synthetic, name) for name in same)
    )


def disagreements(runs: list[RunScores]) -> tuple[dict[str, float], dict[str, str]]:
    """Compute per key the largest difference in IoU of two models, and name the two."""
    apart: dict[str, float] = {}
    between: dict[str, str] = {}
    for number, one in enumerate(runs):
        for other in runs[number + 1 :]:
            if one.facts.model == other.facts.model:
                continue
            for key in one.iou.keys() & other.iou.keys():
                distance = abs(one.iou[key] - other.iou[key])
                if distance > apart.get(key, -1.0):
                    apart[key] = distance
                    between[key] = (
                        f"{one.name} {one.iou[key]:.2f}, {other.name} {other.iou[key]:.2f}"
                    )
    return apart, between
