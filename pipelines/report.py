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
from avsynth.reports.page.cards import Album
from avsynth.reports.page.html import Page, page_html, page_markdown
from avsynth.reports.papers import read_papers
from avsynth.reports.read_scores import Scores, groups, read_scores
from avsynth.reports.score_cells import Judge
from avsynth.reports.sections import Material, make_sections
from avsynth.runtime.options import Runtime

WORDS = (
    ("M_J, %", "Mean IoU as published: every frame’s IoU, averaged within a batch, then over "
     "batches. A frame whose truth is empty scores the share of background that is kept."),
    ("M_F", "F-measure (β² = 0.3) as published: in each batch the best of 255 thresholds that its "
     "frames share, averaged over batches. It rises as batches shrink, so the batch is stated."),
    ("mIoU, %", "Mean over frames whose truth is not empty."),
    ("F, one threshold", "The best single threshold for all frames together."),
    ("F of the mask", "F of the very mask that the IoU is taken of; no threshold is chosen."),
    ("a … b", "95 % interval: 2.5th and 97.5th percentile over resampled clips. Not shown for "
     "fewer than five units."),
    ("protocol", "How a number was made: avsbench cuts probabilities at 0.5; sama takes F of raw "
     "logits; gavs cuts the IoU at 0.4. Numbers of two protocols do not compare."),
    ("a ≠ b", "The paper prints both values for the same thing; hover to see where."),
)  # fmt: skip


def report(params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``reports/index.html``, ``index.md``, ``tables/*.csv`` and ``metrics.json``.

    Everything is a function of ``reports/scores`` (and, for the pictures, of shards and stored
    predictions): no model is loaded.

    Returns:
        The funnel: score rows read, per run.

    Raises:
        DataError: score rows are damaged, or of several versions or protocols unasked.
    """
    scores = read_scores(layout.scores, mix=params.report.mix)
    judge = Judge(params.report.draws, params.seed)
    material = Material(scores, read_papers(), judge, Album(layout))
    page = _page(scores, material)
    _write_tables(layout.reports / "tables", page)
    _write(layout, "index.html", page_html(page))
    _write(layout, "index.md", page_markdown(page))
    metrics = json.dumps(_metrics(scores, judge), sort_keys=True, indent=2)
    _write(layout, "metrics.json", metrics + "\n")
    funnel = _funnel(scores)
    write_csv(layout.funnel("report"), funnel)
    return funnel


def _page(scores: Scores, material: Material) -> Page:
    parts = (scores.rows, scores.localisation)
    benchmarks, models = ({*parts[0][name], *parts[1][name]} for name in ("benchmark", "model"))
    facts = (
        _counted(sum(map(len, parts)) + len(scores.sounds), "scored frame"),
        _counted(len(benchmarks), "benchmark"),
        _counted(len(models), "model"),
        _counted(sum(1 for part in parts for _ in groups(part)), "scored run"),
    )
    return Page(
        "Audio-visual segmentation: results",
        "Which pixels of a picture make the sound that is heard? Every number on this page is "
        "computed from per-frame score rows, next to what the papers print.",
        facts,
        tuple(make_sections(material)),
        WORDS,
        "Written by avsynth report from reports/scores. The same numbers as csv: reports/tables.",
    )


def _counted(number: int, noun: str) -> tuple[str, str]:
    return f"{number:,}", noun if number == 1 else f"{noun}s"


def _write_tables(folder: Path, page: Page) -> None:
    """Write every table of the page, and remove those of an earlier one that it has not."""
    tables = {f"{table.name}.csv": table for section in page.sections for table in section.tables}
    for name, table in tables.items():
        write_csv(folder / name, table.frame())
    for path in folder.glob("*.csv"):
        if path.name not in tables:
            path.unlink()


def _write(layout: Layout, name: str, text: str) -> None:
    with atomic_file(layout.reports / name) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _metrics(scores: Scores, judge: Judge) -> dict[str, Any]:
    """Nest the headline values by stage, benchmark and run; for ``dvc metrics``."""
    nested: dict[str, Any] = {}
    for part, measures in (
        (scores.rows, {"m_j": "meter_iou", "m_f": "meter_f"}),
        (scores.localisation, {"ciou": "ciou", "ap50": "ap50", "auc": "auc"}),
    ):
        for run, rows in groups(part):
            name = f"{run['run']} {run['setting']}".strip()
            values = {
                key: judge.cell(rows, measure, "fraction").value
                for key, measure in measures.items()
            }
            kept = {key: round(value, 6) for key, value in values.items() if not math.isnan(value)}
            nested.setdefault(run["stage"], {}).setdefault(run["benchmark"], {})[name] = kept
    return nested


def _funnel(scores: Scores) -> pd.DataFrame:
    counts = [
        ("report", f"{stage}/{run}", "score", "", "", "ok", "", len(rows))
        for part in (scores.rows, scores.localisation, scores.sounds)
        for (stage, run), rows in part.groupby(["stage", "run"], sort=True)
    ]
    return make_funnel(counts)
