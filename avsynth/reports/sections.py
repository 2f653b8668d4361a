"""The sections of the report, from score rows, each with its introduction and tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from avsynth.reports.audio_sensitivity_table import audio_table
from avsynth.reports.fact_text import benchmark_title
from avsynth.reports.localisation_table import localisation_table
from avsynth.reports.page.cards import Cards, SampleImages, audio_cards, score_cards
from avsynth.reports.page.figures import Figure, few_shot_figure
from avsynth.reports.page.tables import Table
from avsynth.reports.paper_tables import contradiction_table, paper_tables
from avsynth.reports.per_category import category_table
from avsynth.reports.read_scores import Scores, groups
from avsynth.reports.results import (
    benchmark_table,
    few_shot_rows,
    few_shot_table,
    unseen_table,
)
from avsynth.reports.score_cells import Scorer

STAGES_WITH_OWN_SECTION = ("fewshot", "v3_shots", "ablate")
"""Stages that have a section of their own, so they are left out of the first tables."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with introduction, tables, figures and cards."""

    name: str
    title: str
    intro: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    cards: tuple[Cards, ...] = ()
    missing: str = ""
    """Shown in place of tables when there are no rows."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """The input of all sections."""

    scores: Scores
    papers: pd.DataFrame
    scorer: Scorer
    images: SampleImages

    @property
    def rows(self) -> pd.DataFrame:
        """Return all frame rows but those of the audio test."""
        return self.scores.rows

    def stages(self, *names: str, others: bool = False) -> pd.DataFrame:
        """Select the rows of some stages, or of all others."""
        return self.rows[self.rows["stage"].isin(names) != others]


def make_sections(data: ReportData) -> list[Section]:
    """Build every section, in reading order."""
    makers = (
        _results, _categories, _few_shot, _unseen, _localisation, _audio_test, _ablations, _images,
        _papers,
    )  # fmt: skip
    return [make(data) for make in makers]


def _results(data: ReportData) -> Section:
    rows = data.stages(*STAGES_WITH_OWN_SECTION, others=True)
    rows = rows[~rows["benchmark"].str.startswith("v3")]
    return Section(
        "results",
        "Results",
        "Every trained run on every benchmark. M_J and M_F are averaged over batches as in the "
        "papers; the three columns to their right do not depend on a batch. Small figures are the "
        "95 % interval of a bootstrap over clips.",
        tuple(
            benchmark_table(rows, benchmark, data.scorer, "results")
            for benchmark in _benchmarks(rows)
        ),
        missing=_absent(rows, "test, zeroshot or s4_to_ms3"),
    )


def _categories(data: ReportData) -> Section:
    rows = data.stages("test", "zeroshot", "fewshot")
    tables = [
        category_table(rows, benchmark, data.scorer)
        for benchmark in _benchmarks(rows)
        if rows.loc[rows["benchmark"] == benchmark, "category"].nunique() > 1
    ]
    return Section(
        "categories",
        "Per category",
        "Mean IoU of every category, by what the model was trained on. Synthetic is the zero-shot "
        "case: no real frame was used. The gap is paired, on the same frames; if its "
        "interval spans 0, the gap is not established.",
        tuple(tables),
        missing="" if tables else "No score rows of a benchmark with categories.",
    )


def _few_shot(data: ReportData) -> Section:
    rows = few_shot_rows(data.rows)
    published = _published_curve(data.papers)
    tables, figures = [], []
    for benchmark in _benchmarks(rows):
        table = few_shot_table(data.rows, benchmark, data.scorer)
        tables.append(table)
        if rows.loc[rows["benchmark"] == benchmark, "real_percent"].nunique() < 2:
            continue  # a curve needs two points
        dotted = published if benchmark == "s4" else published.iloc[:0]
        caption = f"{benchmark_title(benchmark)}: solid lines ours with 95 % intervals"
        caption += ", dotted lines as published." if len(dotted) else "."
        figures.append(few_shot_figure(table, dotted, caption))
    return Section(
        "few-shot",
        "How much real data is needed",
        "The same model trained on a share of the real data, from scratch (grey) and after "
        "pre-training on AVS-Synthetic (blue). The subsets are nested: 20 % holds the 10 %.",
        tuple(tables),
        tuple(figures),
        missing=_absent(rows, "fewshot"),
    )


def _unseen(data: ReportData) -> Section:
    rows = data.rows[data.rows["benchmark"].str.startswith("v3")]
    tables = (unseen_table(data.rows, data.scorer),) if len(rows) else ()
    return Section(
        "unseen",
        "Unseen categories",
        "Categories without training frames: a model gets no, one, three or five labelled clips "
        "of each. The category sets of the official tests differ, so each line has its own.",
        tables,
        missing=_absent(rows, "v3_base or v3_shots"),
    )


def _localisation(data: ReportData) -> Section:
    rows = data.scores.localisation
    names, papers = _benchmarks(rows), data.papers
    shown = rows.assign(category="sounding object")  # boxes have no category
    return Section(
        "localisation",
        "Localisation",
        "The source of the audio in the image; the ground truth is boxes. A model’s logits are a "
        "heat map, and the half of the pixels with the most heat is the prediction (orange); green "
        "is the union of the annotators’ boxes.",
        tuple(localisation_table(rows, name, papers, data.scorer) for name in names),
        cards=tuple(
            score_cards(data.images, group, _run_on(run), by="ciou") for run, group in groups(shown)
        ),
        missing=_absent(rows, "zeroshot on Flickr-SoundNet"),
    )


def _audio_test(data: ReportData) -> Section:
    rows = data.scores.audio_test
    tables, cards = [], []
    if len(rows):
        tables.append(audio_table(rows, data.scores.blind, data.scorer))
        cards += [audio_cards(data.images, group, run["run"]) for run, group in groups(rows)]
    return Section(
        "audio-test",
        "Does the model use the audio?",
        "The same image is paired with its own audio, with silence, with noise and with the audio "
        "of another category. A model that uses the audio predicts the object only with its own "
        "audio; a model that merely finds the salient object predicts it every time.",
        tuple(tables),
        cards=tuple(cards),
        missing=_absent(rows, "audio-test"),
    )


def _ablations(data: ReportData) -> Section:
    rows = data.stages("ablate")
    return Section(
        "ablations",
        "Ablations",
        "One parameter of a model or of its loss changed at a time.",
        tuple(
            benchmark_table(rows, benchmark, data.scorer, "ablations")
            for benchmark in _benchmarks(rows)
        ),
        missing=_absent(rows, "ablate"),
    )


def _images(data: ReportData) -> Section:
    rows = data.stages("test", "zeroshot")
    cards = tuple(score_cards(data.images, group, _run_on(run)) for run, group in groups(rows))
    return Section(
        "images",
        "Best, median and worst",
        "Frames chosen by their IoU alone. Green is the ground-truth mask, orange the predicted "
        "one; the spectrogram and the player hold the second of audio that the model was given.",
        cards=cards,
        missing=_absent(rows, "test or zeroshot"),
    )


def _papers(data: ReportData) -> Section:
    return Section(
        "papers",
        "The papers’ tables",
        "Every table as published, with our value and its interval beside it where one of our runs "
        "is the same experiment: system, training data, split and input. A run of another input "
        "stands beside with its input as a mark. A value published twice differently is shown with "
        "both readings (a ≠ b). Numbers compare only when data, splits and protocol are the "
        "papers’ too; runs of small models on toy data only show that the software works.",
        (
            contradiction_table(data.papers),
            *paper_tables(data.papers, data.rows, data.scorer),
        ),
    )


def _run_on(run: Mapping[str, Any]) -> str:
    return f"{run['run']} on {benchmark_title(run['benchmark'])}"


def _benchmarks(rows: pd.DataFrame) -> list[str]:
    return sorted(rows["benchmark"].unique(), key=lambda name: (name != "synthetic", name))


def _absent(rows: pd.DataFrame, stage: str) -> str:
    return "" if len(rows) else f"No score rows of stage {stage} in reports/scores."


def _published_curve(papers: pd.DataFrame) -> pd.DataFrame:
    """Return the published few-shot curve of the annotation-free paper (its table 3)."""
    curve = papers[
        (papers["paper"] == "Annotation-free AVS")
        & (papers["table"] == "3")
        & (papers["metric"] == "MJ")
    ]
    claims = list(curve["claim"])
    return pd.DataFrame(
        {
            "real_percent": [claim.real_percent for claim in claims],
            "pretrained": ["synthetic" in (c.pretrained_on, c.trained_on) for c in claims],
            "value": curve["value"].to_numpy(),
        }
    )
