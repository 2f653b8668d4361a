"""Localisation of sounding objects, with boxes as ground truth, beside the published values."""

import pandas as pd

from avsynth.reports.fact_text import benchmark_title, training_text
from avsynth.reports.page.tables import NOTHING, Cell, Column, PublishedCell, Table
from avsynth.reports.papers import published_by_claim
from avsynth.reports.read_scores import groups
from avsynth.reports.score_cells import Scorer

PUBLISHED_METRICS = {"ap50": "IoU(%)", "auc": "AUC(%)", "piap": "AP(%)"}
"""Measure -> its name in the paper of AV-SAM."""


def localisation_table(
    rows: pd.DataFrame, benchmark: str, papers: pd.DataFrame, scorer: Scorer
) -> Table:
    """Build the table of runs on a benchmark of boxes, each beside the values of its system.

    Args:
        rows: of localisation.
        benchmark: a key of `avsynth.benchmarks.BENCHMARKS`.
        papers: the published values.
        scorer: computes the cells.
    """
    mine = rows[rows["benchmark"] == benchmark]
    published = {
        (claim.model, claim.metric): cell
        for claim, cell in published_by_claim(papers).items()
        if claim.benchmark == benchmark and not claim.prompt
    }  # the published SAM merges masks without the ground truth: not a model of avsynth
    lines = [
        (
            run["run"],
            training_text(run),
            scorer.cell(group, "ciou"),
            scorer.cell(group, "ap50"),
            _published(published, run["model"], "ap50"),
            scorer.cell(group, "auc"),
            _published(published, run["model"], "auc"),
            scorer.cell(group, "pixel_ap"),
            scorer.cell(group, "piap"),
            _published(published, run["model"], "piap"),
            len(group),
        )
        for run, group in groups(mine)
    ]
    return Table(
        f"localisation-{benchmark}",
        benchmark_title(benchmark),
        (
            Column("run", "Run"),
            Column("training", "Training"),
            Column("ciou", "CIoU, %", "agreement weighted by the annotators' consensus"),
            Column("ap50", "AP50, %", "share of the images whose CIoU reaches 0.5"),
            Column("ap50_published", "published", "the paper's IoU"),
            Column("auc", "AUC, %", "area under that share over thresholds from 0 to 1"),
            Column("auc_published", "published", "the paper's AUC"),
            Column("pixel_ap", "Pixel AP, %", "ground truth: the boxes, score: the heat"),
            Column("piap", "PIAP, %", "ground truth: the prediction, score: the boxes"),
            Column("piap_published", "published", "the paper's AP"),
            Column("images", "Images"),
        ),
        tuple(lines),
        _note(mine),
    )


def _published(published: dict[tuple[str, str], PublishedCell], model: str, measure: str) -> Cell:
    return published.get((model, PUBLISHED_METRICS[measure]), NOTHING)


def _note(rows: pd.DataFrame) -> str:
    """Return what the columns are and what the published values rest on."""
    scored = " and ".join(
        f"protocol {protocol}, version {version}"
        for protocol, version in sorted(set(zip(rows["protocol"], rows["version"], strict=True)))
    )
    return (
        f"{scored[:1].upper()}{scored[1:]}. CIoU: agreement weighted by how many annotators drew a "
        "pixel; AP50: share of the images whose CIoU reaches 0.5; AUC: area under that share "
        "over thresholds from 0 to 1. Pixel AP is the average precision of the heat against the "
        "boxes. PIAP is the same with ground truth and score exchanged, as AVGN’s code by the same "
        "authors computes it: the two AP do not compare. A map of two values, as an oracle’s, has "
        "no order, and its upper half can be the whole image. Published are AV-SAM’s IoU, AUC and "
        "AP, the last read as PIAP: it was trained on 144,000 images of VGGSound with pseudo "
        "masks: another experiment than a run trained on AVS-Synthetic alone."
    )
