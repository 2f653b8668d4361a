"""Score rows -> the sections of the report: what is measured, how to read it, the tables."""

from dataclasses import dataclass

import pandas as pd

from avsynth.reports.audio_sensitivity_table import sound_table
from avsynth.reports.localisation_table import localisation_table
from avsynth.reports.page.cards import Album, Cards, score_cards, sound_cards
from avsynth.reports.page.figures import Figure, few_shot_figure
from avsynth.reports.page.tables import Table
from avsynth.reports.paper_tables import contradiction_table, paper_tables
from avsynth.reports.per_category import category_table
from avsynth.reports.read_scores import Scores, groups
from avsynth.reports.results import (
    FEW_SHOT,
    benchmark_table,
    benchmark_title,
    few_shot_rows,
    few_shot_table,
    unseen_table,
)
from avsynth.reports.score_cells import Judge

STAGES_WITH_OWN_SECTION = ("fewshot", "v3_shots", "ablate")
"""Stages that have a section of their own, so they are left out of the first tables."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what stands under it, and what is missing."""

    name: str
    title: str
    lead: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    cards: tuple[Cards, ...] = ()
    missing: str = ""
    """Said in place of tables when there is nothing to show."""


@dataclass(frozen=True, slots=True)
class Material:
    """What the sections are made of."""

    scores: Scores
    papers: pd.DataFrame
    judge: Judge
    album: Album

    @property
    def rows(self) -> pd.DataFrame:
        """All score rows but those of the audio test."""
        return self.scores.rows

    def stages(self, *names: str, others: bool = False) -> pd.DataFrame:
        """Select the rows of some stages, or of all others."""
        return self.rows[self.rows["stage"].isin(names) != others]


def make_sections(material: Material) -> list[Section]:
    """Make every section, in reading order."""
    makers = (
        _results, _categories, _few_shot, _unseen, _localisation, _sounds, _ablations, _pictures,
        _papers,
    )  # fmt: skip
    return [make(material) for make in makers]


def _results(material: Material) -> Section:
    rows = material.stages(*STAGES_WITH_OWN_SECTION, others=True)
    rows = rows[~rows["benchmark"].str.startswith("v3")]
    return Section(
        "results",
        "Results",
        "Every trained run on every benchmark. M_J and M_F are averaged over batches as the papers "
        "do it; the three columns to their right do not depend on a batch. Small figures are the "
        "95 % interval of a bootstrap over clips.",
        tuple(
            benchmark_table(rows, benchmark, material.judge, "results")
            for benchmark in _benchmarks(rows)
        ),
        missing=_absent(rows, "test, zeroshot or s4_to_ms3"),
    )


def _categories(material: Material) -> Section:
    rows = material.stages("test", "zeroshot", "fewshot")
    tables = [
        category_table(rows, benchmark, material.judge)
        for benchmark in _benchmarks(rows)
        if rows.loc[rows["benchmark"] == benchmark, "category"].nunique() > 1
    ]
    return Section(
        "categories",
        "Per category",
        "Mean IoU of every category, by what the model was trained on. Synthetic is the zero-shot "
        "case: no real frame was seen. The gap is paired, on the same frames; a gap whose "
        "interval spans 0 is no gap yet.",
        tuple(tables),
        missing="" if tables else "No score rows of a benchmark with categories.",
    )


def _few_shot(material: Material) -> Section:
    rows = few_shot_rows(material.rows)
    printed = _printed_curve(material.papers)
    tables, figures = [], []
    for benchmark in _benchmarks(rows):
        table = few_shot_table(material.rows, benchmark, material.judge)
        tables.append(table)
        if rows.loc[rows["benchmark"] == benchmark, "percent"].nunique() < 2:
            continue  # a curve needs two points
        dotted = printed if benchmark == "s4" else printed.iloc[:0]
        caption = f"{benchmark_title(benchmark)}: solid lines ours with 95 % intervals"
        caption += ", dotted lines as printed." if len(dotted) else "."
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


def _unseen(material: Material) -> Section:
    rows = material.rows[material.rows["benchmark"].str.startswith("v3")]
    tables = (unseen_table(material.rows, material.judge),) if len(rows) else ()
    return Section(
        "unseen",
        "Unseen classes",
        "Classes that no training frame shows: none, one, three or five labelled clips of each "
        "are given. The class sets of the official tests differ, so each line says its own.",
        tables,
        missing=_absent(rows, "v3_base or v3_shots"),
    )


def _localisation(material: Material) -> Section:
    rows = material.scores.localisation
    names, papers = _benchmarks(rows), material.papers
    shown = rows.assign(category="sounding object")  # boxes have no category
    return Section(
        "localisation",
        "Localisation",
        "Where the sound comes from, when the truth is boxes. A model’s logits are a heat map, and "
        "the half of the pixels with the most heat is the prediction (orange); green is the union "
        "of the annotators’ boxes.",
        tuple(localisation_table(rows, name, papers, material.judge) for name in names),
        cards=tuple(
            score_cards(material.album, group, _run_on(run), by="ciou")
            for run, group in groups(shown)
        ),
        missing=_absent(rows, "zeroshot on Flickr-SoundNet"),
    )


def _sounds(material: Material) -> Section:
    sounds = material.scores.sounds
    tables, cards = [], []
    if len(sounds):
        tables.append(sound_table(sounds, material.scores.blind, material.judge))
        for run, rows in groups(sounds):
            cards.append(sound_cards(material.album, rows, run["run"]))
    return Section(
        "audio-test",
        "Does the model listen?",
        "The same picture is shown with its own sound, with silence, with noise and with the sound "
        "of another category. A model that listens marks the object only with its own sound; one "
        "that merely finds the salient object marks it every time.",
        tuple(tables),
        cards=tuple(cards),
        missing=_absent(sounds, "audio-test"),
    )


def _ablations(material: Material) -> Section:
    rows = material.stages("ablate")
    return Section(
        "ablations",
        "Ablations",
        "One part of a model or of its training changed at a time.",
        tuple(
            benchmark_table(rows, benchmark, material.judge, "ablations")
            for benchmark in _benchmarks(rows)
        ),
        missing=_absent(rows, "ablate"),
    )


def _pictures(material: Material) -> Section:
    rows = material.stages("test", "zeroshot")
    cards = tuple(score_cards(material.album, group, _run_on(run)) for run, group in groups(rows))
    return Section(
        "pictures",
        "Best, median and worst",
        "Frames chosen by their IoU alone. Green is the true mask, orange the predicted one; the "
        "spectrogram and the player hold the second of sound that the model heard.",
        cards=cards,
        missing=_absent(rows, "test or zeroshot"),
    )


def _papers(material: Material) -> Section:
    return Section(
        "papers",
        "The papers’ tables",
        "Every table as printed, with our value and its interval beside it where one of our runs "
        "is the same experiment. A value printed twice differently is shown with both readings "
        "(a ≠ b). Our numbers compare with printed ones only when data, splits, protocol, "
        "backbone and input size are the papers’; runs of small models on toy data show that the "
        "machinery works, and nothing else.",
        (
            contradiction_table(material.papers),
            *paper_tables(material.papers, material.rows, material.judge),
        ),
    )


def _run_on(run: pd.Series) -> str:
    return f"{run['run']} on {benchmark_title(run['benchmark'])}"


def _benchmarks(rows: pd.DataFrame) -> list[str]:
    return sorted(rows["benchmark"].unique(), key=lambda name: (name != "synthetic", name))


def _absent(rows: pd.DataFrame, stage: str) -> str:
    return "" if len(rows) else f"No score rows of stage {stage} in reports/scores."


def _printed_curve(papers: pd.DataFrame) -> pd.DataFrame:
    """Take the printed few-shot curve of the annotation-free paper (its table 3)."""
    curve = papers[
        (papers["paper"] == "Annotation-free AVS")
        & (papers["table"] == "3")
        & (papers["metric"] == "MJ")
    ]
    found = curve["setting"].str.extract(FEW_SHOT)
    return curve.assign(percent=found[0].astype(int), pretrained=found[1] == "/")[
        ["percent", "pretrained", "value"]
    ]
