"""How well runs find what sounds, when the truth is boxes, with the printed values beside them."""

import pandas as pd

from avsynth.reports.page.tables import NOTHING, Cell, Column, Printed, Table
from avsynth.reports.papers import BENCHMARK_NAMES, printed_by_claim
from avsynth.reports.read_scores import groups
from avsynth.reports.results import benchmark_title
from avsynth.reports.score_cells import Judge

PRINTED_SYSTEMS = {"av_sam": "AV-SAM"}
"""Model -> printed system. The printed SAM merges masks that no truth has chosen: it is no model
of ours."""
PRINTED_METRICS = {"ap50": "IoU(%)", "auc": "AUC(%)", "piap": "AP(%)"}
"""Measure -> what AV-SAM calls it."""


def localisation_table(
    rows: pd.DataFrame, benchmark: str, papers: pd.DataFrame, judge: Judge
) -> Table:
    """Lay out the runs on a benchmark of boxes, each with what the paper prints for its system.

    Args:
        rows: of localisation.
        benchmark: a key of `avsynth.benchmarks.BENCHMARKS`.
        papers: the printed values.
        judge: measures the rows.
    """
    mine = rows[rows["benchmark"] == benchmark]
    printed = {
        (claim.system, claim.metric): cell
        for claim, cell in printed_by_claim(papers).items()
        if BENCHMARK_NAMES.get(claim.benchmark) == benchmark
    }
    lines = [
        (
            run["run"],
            run["setting"],
            judge.cell(group, "ciou"),
            judge.cell(group, "ap50"),
            _printed(printed, run["model"], "ap50"),
            judge.cell(group, "auc"),
            _printed(printed, run["model"], "auc"),
            judge.cell(group, "pixel_ap"),
            judge.cell(group, "piap"),
            _printed(printed, run["model"], "piap"),
            len(group),
        )
        for run, group in groups(mine)
    ]
    return Table(
        f"localisation-{benchmark}",
        benchmark_title(benchmark),
        (
            Column("run", "Run"),
            Column("setting", "Training"),
            Column("ciou", "CIoU, %", "agreement weighted by the annotators' consensus"),
            Column("ap50", "AP50, %", "share of the pictures whose CIoU reaches 0.5"),
            Column("ap50_printed", "printed", "the paper's IoU"),
            Column("auc", "AUC, %", "area under that share over thresholds from 0 to 1"),
            Column("auc_printed", "printed", "the paper's AUC"),
            Column("pixel_ap", "Pixel AP, %", "truth: the boxes, score: the heat"),
            Column("piap", "PIAP, %", "truth: the prediction, score: the boxes"),
            Column("piap_printed", "printed", "the paper's AP"),
            Column("pictures", "Pictures"),
        ),
        tuple(lines),
        _note(mine),
    )


def _printed(printed: dict[tuple[str, str], Printed], model: str, measure: str) -> Cell:
    return printed.get((PRINTED_SYSTEMS.get(model, ""), PRINTED_METRICS[measure]), NOTHING)


def _note(rows: pd.DataFrame) -> str:
    """Say what the columns are and what the printed values rest on."""
    told = " and ".join(
        f"protocol {protocol}, version {version}"
        for protocol, version in sorted(set(zip(rows["protocol"], rows["version"], strict=True)))
    )
    return (
        f"{told[:1].upper()}{told[1:]}. CIoU: agreement weighted by how many annotators drew a "
        "pixel; AP50: share of the pictures whose CIoU reaches 0.5; AUC: area under that share "
        "over thresholds from 0 to 1. Pixel AP is the average precision of the heat against the "
        "boxes. PIAP is the same with truth and score exchanged, as AVGN’s code by the same "
        "authors computes it: the two AP never compare. A map of two values, as an oracle’s, has "
        "no order, and its upper half can be the whole picture. Printed are AV-SAM’s IoU, AUC and "
        "AP, the last read as PIAP: it learned from 144,000 sounding pictures of VGGSound with "
        "pseudo masks, another experiment than a run that has seen AVS-Synthetic alone."
    )
