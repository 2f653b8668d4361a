"""Stage ``report``: score rows -> tables, metrics, one HTML page and its Markdown twin."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from avsynth.core.files import atomic_file
from avsynth.core.funnel import make_funnel
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_csv
from avsynth.reports.page.cards import SampleImages
from avsynth.reports.page.html import Page, page_html, page_markdown
from avsynth.reports.papers import read_papers
from avsynth.reports.read_scores import Scores, groups, read_scores
from avsynth.reports.score_cells import Scorer
from avsynth.reports.sections import ReportData, make_sections
from avsynth.runtime.options import Runtime

GLOSSARY = (
    ("M_J, %", "Mean IoU as published: every frame’s IoU, averaged within a batch, then over "
     "batches. A frame with an empty ground truth scores the share of background that is kept."),
    ("M_F", "F-measure (β² = 0.3) as published: in each batch the best of 255 thresholds that its "
     "frames share, averaged over batches. It rises as batches shrink, so the batch is stated."),
    ("mIoU, %", "Mean over frames whose ground truth is not empty."),
    ("F, one threshold", "The best single threshold for all frames together."),
    ("F of the mask", "F of the mask that the IoU is computed from; no threshold is chosen."),
    ("a … b", "95 % interval: 2.5th and 97.5th percentile over resampled clips. Not shown for "
     "fewer than five units."),
    ("protocol", "How a number is computed: avsbench thresholds probabilities at 0.5; sama takes F "
     "of raw logits; gavs thresholds the IoU at 0.4. Numbers of two protocols do not compare."),
    ("a ≠ b", "The paper publishes both values for one experiment; hover for their tables."),
)  # fmt: skip


def report(params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``reports/index.html``, ``index.md``, ``tables/*.csv`` and ``metrics.json``.

    Everything is a function of ``reports/scores`` (and, for the images, of shards and stored
    predictions); no model is loaded.

    Returns:
        The funnel: score rows read, per run.

    Raises:
        DataError: score rows are damaged, or of several versions or protocols without `report.mix`.
    """
    scores = read_scores(layout.scores, mix=params.report.mix)
    scorer = Scorer(params.report.draws, params.seed)
    page = _page(ReportData(scores, read_papers(), scorer, SampleImages(layout)))
    _write_tables(layout.reports / "tables", page)
    _write(layout, "index.html", page_html(page))
    _write(layout, "index.md", page_markdown(page))
    metrics = json.dumps(_metrics(scores, scorer), sort_keys=True, indent=2)
    _write(layout, "metrics.json", metrics + "\n")
    funnel = _funnel(scores)
    write_csv(layout.funnel("report"), funnel)
    return funnel


def _page(data: ReportData) -> Page:
    scores = data.scores
    parts = (scores.rows, scores.localisation)
    benchmarks, models = ({*parts[0][name], *parts[1][name]} for name in ("benchmark", "model"))
    facts = (
        _counted(sum(map(len, parts)) + len(scores.audio_test), "scored frame"),
        _counted(len(benchmarks), "benchmark"),
        _counted(len(models), "model"),
        _counted(sum(1 for part in parts for _ in groups(part)), "scored run"),
    )
    return Page(
        "Audio-visual segmentation: results",
        "Which pixels of an image belong to the objects that sound? Every number on this page is "
        "computed from per-frame score rows, beside the published ones.",
        facts,
        tuple(make_sections(data)),
        GLOSSARY,
        "Written by avsynth report from reports/scores. The same numbers as csv: reports/tables.",
    )


def _counted(number: int, noun: str) -> tuple[str, str]:
    return f"{number:,}", noun if number == 1 else f"{noun}s"


def _write_tables(folder: Path, page: Page) -> None:
    """Write every table of the page; remove the csv files of tables that it does not have."""
    tables = {f"{table.name}.csv": table for section in page.sections for table in section.tables}
    for name, table in tables.items():
        write_csv(folder / name, table.frame())
    for path in folder.glob("*.csv"):
        if path.name not in tables:
            path.unlink()


def _write(layout: Layout, name: str, text: str) -> None:
    with atomic_file(layout.reports / name) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _metrics(scores: Scores, scorer: Scorer) -> dict[str, Any]:
    """Return the headline values by stage and run, in plain short keys, for ``dvc metrics``."""
    nested: dict[str, Any] = {}
    for part, measures in (
        (scores.rows, {"m_j": "meter_iou", "m_f": "meter_f"}),
        (scores.localisation, {"ciou": "ciou", "ap50": "ap50", "auc": "auc"}),
    ):
        for run, rows in groups(part):
            values = {
                key: scorer.cell(rows, measure, "fraction").value
                for key, measure in measures.items()
            }
            kept = {key: round(value, 6) for key, value in values.items() if not math.isnan(value)}
            nested.setdefault(run["stage"], {})[run["run"]] = kept
    return nested


def _funnel(scores: Scores) -> pd.DataFrame:
    counts = [
        ("report", f"{stage}/{run}", "score", "", "", "ok", "", len(rows))
        for part in (scores.rows, scores.localisation, scores.audio_test)
        for (stage, run), rows in part.groupby(["stage", "run"], sort=True)
    ]
    return make_funnel(counts)
