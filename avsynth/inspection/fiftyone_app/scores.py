"""Score rows -> fields of a dataset: IoU and F per run, predicted masks, gaps and disagreement."""

import re
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from avsynth.core.paths import Layout, dataset_of
from avsynth.reports.read_scores import groups, read_scores

SYNTHETIC, REAL = "trained with Synthetic", "trained with Real"
"""Settings, in the papers' words, that the gap is measured between."""


@dataclass(frozen=True, slots=True)
class Run:
    """One scored run on one dataset."""

    name: str
    """A field's name: small letters, digits and underscores."""
    title: str
    model: str
    setting: str
    iou: dict[str, float]
    fscore: dict[str, float]
    predictions: dict[str, str]
    """Key -> file, for those that are stored."""


def scored_runs(layout: Layout, dataset: str, keys: set[str]) -> list[Run]:
    """Find the runs that were scored on a dataset.

    Args:
        layout: of the project.
        dataset: a folder below data/shards.
        keys: samples that matter.

    Raises:
        DataError: a score file is damaged.
    """
    rows = read_scores(layout.scores, mix=True).rows
    names = rows["benchmark"].map(dataset_of)
    rows = rows[(names == dataset) & rows["key"].isin(keys)]
    parts = list(groups(rows))
    files = Counter((first["stage"], first["name"]) for first, _ in parts)
    return [
        _run(layout, first, group, alone=files[first["stage"], first["name"]] == 1)
        for first, group in parts
    ]


def _run(layout: Layout, first: pd.Series, rows: pd.DataFrame, *, alone: bool) -> Run:
    """Gather one run; where a file holds several settings, each is a run of its own."""
    title = f"{first['stage']} {first['name']}" + ("" if alone else f" {first['setting']}")
    folder = layout.predictions / first["stage"] / first["name"]
    stored = {path.stem: str(path) for path in folder.glob("*.png")}
    scored = rows["key"].tolist()
    return Run(
        re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_"),
        title,
        first["model"],
        first["setting"],
        dict(zip(scored, rows["iou"].astype(float), strict=True)),
        dict(zip(scored, rows["fscore"].astype(float), strict=True)),
        {key: stored[key] for key in scored if key in stored},
    )


def gaps(runs: list[Run]) -> dict[str, float]:
    """Measure IoU trained with real data minus trained with synthetic, the largest of any model."""
    found: dict[str, float] = {}
    for real in runs:
        for synthetic in runs:
            if (real.setting, synthetic.setting) != (REAL, SYNTHETIC):
                continue
            if real.model == synthetic.model:
                for key in real.iou.keys() & synthetic.iou.keys():
                    gap = real.iou[key] - synthetic.iou[key]
                    found[key] = max(gap, found.get(key, -1.0))
    return found


def disagreements(runs: list[Run]) -> tuple[dict[str, float], dict[str, str]]:
    """Find how far two different models lie apart in IoU, at most, and which two those are."""
    apart: dict[str, float] = {}
    between: dict[str, str] = {}
    for number, one in enumerate(runs):
        for other in runs[number + 1 :]:
            if one.model == other.model:
                continue
            for key in one.iou.keys() & other.iou.keys():
                distance = abs(one.iou[key] - other.iou[key])
                if distance > apart.get(key, -1.0):
                    apart[key] = distance
                    between[key] = (
                        f"{one.name} {one.iou[key]:.2f}, {other.name} {other.iou[key]:.2f}"
                    )
    return apart, between
