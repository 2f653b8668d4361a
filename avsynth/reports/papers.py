"""The papers' published numbers (``resources/papers.csv``), and the runs that they match.

A published value belongs to a `Claim`, which has the columns of the score rows
(`avsynth.metrics.rows.RunFacts`), so that matching compares columns. Where one paper publishes
several values for one claim, all of them are shown.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pandas as pd

from avsynth.reports.claims import Claim, read_claim
from avsynth.reports.page.tables import PublishedCell

TITLES = {
    ("SAVE", "1"): "SAM-based systems on AVSBench",
    ("SAVE", "2"): "All systems on AVSBench, with and without synthetic pre-training",
    ("SAVE", "3"): "AVSS V2",
    ("SAVE", "4"): "Unseen classes (AVSS V3)",
    ("SAVE", "5"): "Per category: synthetic against real training data",
    ("SAVE", "6"): "With and without synthetic pre-training",
    ("SAVE", "7"): "Ablation of the adapters",
    ("SAVE", "8"): "Cost of training and inference",
    ("SAVE", "9"): "Depth of the audio adapter",
    ("Annotation-free AVS", "1"): "Size of AVS-Synthetic",
    ("Annotation-free AVS", "2"): "Per category: synthetic against real training data",
    ("Annotation-free AVS", "3"): "Few-shot: share of real data",
    ("Annotation-free AVS", "4"): "SAM-based systems on AVSBench",
    ("Annotation-free AVS", "5"): "All systems on AVSBench",
    ("Annotation-free AVS", "6"): "Ablation of the loss",
    ("Annotation-free AVS", "7"): "Ablation of the number of adapters",
    ("Annotation-free AVS", "text 3.2"): "Splits of AVS-Synthetic",
    ("Annotation-free AVS", "text 5.4"): "Test split of AVS-Synthetic",
    ("ST-BAVA", "1"): "All systems on AVSBench",
    ("ST-BAVA", "2"): "Fusion modules and prompts",
    ("ST-BAVA", "3"): "Ablation of the attention",
    ("AV-SAM", "1"): "Localisation and segmentation",
    ("AV-SAM", "2"): "What is fine-tuned",
}
_EXPERIMENT = (
    "model", "benchmark", "split", "pretrained_on", "trained_on", "finetuned_on", "real_percent",
    "shots", "ablation", "prompt",
)  # fmt: skip
"""Columns that must be equal, besides the input, in a claim and a run that matches it."""


def read_papers() -> pd.DataFrame:
    """Read the published values in the order of the papers' tables.

    Returns:
        The columns of ``papers.csv`` as printed, ``value`` as float, and ``claim``: a `Claim`.
    """
    with (files("avsynth.resources") / "papers.csv").open("rb") as file:
        papers = pd.read_csv(file, dtype=str, keep_default_na=False)
    claims = [read_claim(record) for _, record in papers.iterrows()]
    return papers.assign(
        value=papers["value"].astype(float), claim=pd.Series(claims, papers.index, dtype=object)
    )


def published_by_claim(papers: pd.DataFrame) -> dict[Claim, PublishedCell]:
    """Collect all values that a paper publishes for a claim, with their tables."""
    values: dict[Claim, list[tuple[float, str]]] = {}
    for _, record in papers.iterrows():
        where = record["table"] if record["table"].startswith("text") else f"T{record['table']}"
        values.setdefault(record["claim"], []).append((record["value"], where))
    return {claim: PublishedCell(tuple(found), claim.metric) for claim, found in values.items()}


def contradictions(papers: pd.DataFrame) -> dict[Claim, PublishedCell]:
    """Select the claims for which a paper publishes more than one value."""
    return {claim: cell for claim, cell in published_by_claim(papers).items() if cell.disputed}


def matches(claim: Claim, run: Mapping[str, Any]) -> bool:
    """Return whether a run is the experiment of a claim, at the claim's input.

    Args:
        claim: of a published value.
        run: any score row of the run.
    """
    return matches_at_other_input(claim, run) and (
        run["input_size"] == claim.input_size and claim.architecture in ("", run["architecture"])
    )


def matches_at_other_input(claim: Claim, run: Mapping[str, Any]) -> bool:
    """Return whether a run is the experiment of a claim but for input size and architecture."""
    return claim.model != "" and all(run[name] == getattr(claim, name) for name in _EXPERIMENT)
