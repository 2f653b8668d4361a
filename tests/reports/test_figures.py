"""Figures are the same every time, keep their colours, and share no id with another."""

import re

import pandas as pd

from avsynth.reports.page.figures import ACCENT, GREY, few_shot_figure, histogram_figure
from avsynth.reports.read_scores import read_scores
from avsynth.reports.results import few_shot_table
from avsynth.reports.score_cells import Scorer
from tests.helpers.score_rows import write_scores


def curve(tmp_path):
    write_scores(tmp_path)
    table = few_shot_table(read_scores(tmp_path).rows, "s4", Scorer(20, 0))
    published = pd.DataFrame(
        {"real_percent": [0, 100], "pretrained": True, "value": [64.05, 83.17]}
    )
    return few_shot_figure(table, published, "caption")


def test_a_curve_has_both_colours_words_and_a_published_line(tmp_path):
    figure = curve(tmp_path)
    for part in (ACCENT, GREY, "save, without", "SAMA-AVS as published, with", "30 %"):
        assert part in figure.svg
    assert "save with pre-training: " in figure.alt
    assert "at 100 %" in figure.alt
    assert curve(tmp_path).svg == figure.svg


def test_two_figures_share_no_id_and_every_reference_is_met(tmp_path):
    figures = [curve(tmp_path), histogram_figure({"train": [1.0, 2.0], "val": [3.0]}, "x", "c")]
    ids = [re.findall(r' id="([^"]*)"', figure.svg) for figure in figures]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    for figure, own in zip(figures, ids, strict=True):
        referred = set(re.findall(r'(?:url\(|href=")#([^)"]+)', figure.svg))
        assert referred <= set(own)
        assert ACCENT in figure.svg


def test_a_histogram_says_what_it_shows_in_words():
    figure = histogram_figure({"train": [1.0, 2.0, 4.0]}, "area", "c")
    assert figure.alt == "Histogram of area: 3 values, median 2, from 1 to 4"
