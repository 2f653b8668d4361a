"""The report: whole, offline, honest about what is missing, the same bytes from the same scores."""

import json
import re
import shutil

import pandas as pd
import pytest

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.pipelines.report import report
from avsynth.reports.page.html import Page, page_html, page_markdown
from avsynth.reports.sections import Section
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from tests.helpers.score_rows import put, score_rows
from tests.reports.conftest import QUICK

SECTIONS = ("results", "categories", "few-shot", "unseen", "localisation", "audio-test",
            "ablations", "images", "papers")  # fmt: skip


def written(layout):
    names = ["index.html", "index.md", "metrics.json"]
    tables = sorted((layout.reports / "tables").glob("*.csv"))
    return {
        path.name: path.read_bytes() for path in [*map(layout.reports.joinpath, names), *tables]
    }


def test_the_page_holds_every_section_and_needs_nothing_else(reported):
    page = (reported.reports / "index.html").read_text()
    for name in SECTIONS:
        assert f'<section id="{name}">' in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "@import" not in page
    assert page.count("data:audio/flac;base64,") >= 10
    assert "No score rows of stage ablate" in page  # what is absent is said
    assert "No score rows of stage zeroshot on Flickr-SoundNet" in page


def test_published_values_stand_beside_ours_and_disputes_are_shown(reported):
    page = (reported.reports / "index.html").read_text()
    assert "84.06 ≠ 83.11" in page
    table = pd.read_csv(reported.reports / "tables" / "paper-annotation-free-avs-3.csv")
    assert table["avsbench_s4_test_mj"].tolist()[:2] == [17.65, 64.05]
    ours = table["avsbench_s4_test_mj_ours"]
    assert ours.between(0, 1).all()
    assert len(list((reported.reports / "tables").glob("paper-*.csv"))) == 23


def test_the_markdown_twin_has_the_same_tables(reported):
    page = (reported.reports / "index.html").read_text()
    twin = (reported.reports / "index.md").read_text()
    captions = re.findall(r"<h3>(.*?)</h3>", page)
    assert len(captions) > 20
    for caption in captions:
        if caption != "How to read the numbers":
            assert f"### {caption}" in twin
    rows = [line for line in twin.splitlines() if line.startswith("| ")]
    assert len(rows) > 100


def test_metrics_have_short_plain_keys(reported):
    metrics = json.loads((reported.reports / "metrics.json").read_text())
    assert set(metrics["fewshot"]["save-s4-100-with"]) == {"m_j", "m_f"}
    assert 0.6 < metrics["fewshot"]["save-s4-100-with"]["m_j"] < 1

    def keys(nested):
        for key, value in nested.items():
            yield key
            if isinstance(value, dict):
                yield from keys(value)

    found = list(keys(metrics))
    assert len(found) > 50
    assert [key for key in found if not re.fullmatch(r"[a-z0-9_-]{1,32}", key)] == []


def test_same_scores_same_bytes_and_no_stale_table(reported, tmp_path):
    first = written(reported)
    copy = Layout(tmp_path / "elsewhere")
    shutil.copytree(reported.root, copy.root)
    stale = copy.reports / "tables" / "of-an-earlier-run.csv"
    stale.write_text("a\n")
    report(load_params(copy.root, QUICK), copy, Runtime())
    assert written(copy) == first
    assert not stale.exists()


def test_without_scores_every_section_says_what_is_missing(built, tmp_path):
    layout = Layout(tmp_path)
    shutil.copy(built / "params.yaml", tmp_path)
    funnel = report(load_params(tmp_path, QUICK), layout, Runtime())
    assert funnel.empty
    page = (layout.reports / "index.html").read_text()
    assert page.count('<p class="missing">') == len(SECTIONS) - 1  # the papers' tables are there
    assert "64.05" in page


def test_absent_images_are_reported(reported, tmp_path):
    layout = Layout(tmp_path)
    shutil.copy(reported.root / "params.yaml", tmp_path)
    shutil.copytree(reported.scores, layout.scores)
    report(load_params(tmp_path, QUICK), layout, Runtime())
    page = (layout.reports / "index.html").read_text()
    assert "No predicted masks are stored in reports/predictions/test/save." in page
    shutil.copytree(reported.predictions, layout.predictions)
    report(load_params(tmp_path, QUICK), layout, Runtime())
    assert (
        "The shards are not in data/shards/avs-synthetic."
        in (layout.reports / "index.html").read_text()
    )


def test_two_protocols_are_refused_unless_asked(built, tmp_path):
    layout = Layout(tmp_path)
    shutil.copy(built / "params.yaml", tmp_path)
    for run, protocol in (("a", "avsbench"), ("b", "sama")):
        put(layout.scores, "zeroshot", score_rows(run=run, protocol=protocol))
    with pytest.raises(DataError, match=r"one protocol; found avsbench \(a\), sama \(b\)"):
        report(load_params(tmp_path, QUICK), layout, Runtime())
    assert not (layout.reports / "index.html").exists()
    report(load_params(tmp_path, [*QUICK, "report.mix=true"]), layout, Runtime())
    table = pd.read_csv(layout.reports / "tables" / "results-s4.csv")
    assert table["training"].str.contains("sama, v1s").tolist() == [False, True]


def test_html_in_a_name_is_text_in_both_pages():
    name = "<script>alert(1)</script>"
    page = Page(name, name, ((name, name),), (Section("s", name, name, missing=name),))
    for text in (page_markdown(page), page_html(page)):
        assert name not in text
        assert "&lt;script>" in text.replace("&gt;", ">")
