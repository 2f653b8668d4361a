"""Runs are compared in pairs on the same samples, and only where that makes sense."""

import shutil

import numpy as np
import pytest

from avsynth.commands.compare import compare
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.runtime.errors import ConfigError, DataError
from tests.helpers.score_rows import localisation_rows, score_rows
from tests.helpers.score_rows import put as write_run


@pytest.fixture
def project(built, tmp_path):
    shutil.copy(built / "params.yaml", tmp_path)
    layout = Layout(tmp_path)

    def put(stage, name, rows):
        write_run(layout.scores, stage, rows.assign(run=name))

    def run(a, b, measure="miou"):
        params = load_params(tmp_path, ["report.draws=200"])
        return compare(a, b, params, layout, None, measure)

    return put, run


def test_the_difference_is_paired_and_per_category(project):
    put, run = project
    a = score_rows(clips=24)
    put("zeroshot", "a", a)
    put("zeroshot", "b", a.assign(iou=a.iou + 0.01, run="b"))
    (table,) = run("zeroshot/a", "zeroshot/b")
    assert [row[0] for row in table.rows] == ["all", "bird", "cat", "dog", "horse"]
    for _, value_a, value_b, difference, interval, p, clips in table.rows:
        assert difference.value == pytest.approx(0.01)
        assert value_b.value - value_a.value == pytest.approx(0.01)
        assert interval == "1.0 … 1.0"  # the same shift on every clip has no spread
        assert float(p) < 0.02
        assert clips == (24 if value_a is table.rows[0][1] else 6)


def test_no_difference_has_an_interval_around_zero(project):
    put, run = project
    a = score_rows(clips=40, skill=0.5)
    noise = np.random.default_rng(0).normal(0, 0.05, len(a))
    put("zeroshot", "a", a)
    put("fewshot", "b", a.assign(iou=a.iou + noise - noise.mean(), run="b"))
    (table,) = run("a", "b")
    low, high = (float(end.replace("−", "-")) for end in table.rows[0][4].split(" … "))
    assert low < 0 < high
    assert float(table.rows[0][5]) > 0.5


def test_localisation_is_compared_by_its_own_measures(project):
    put, run = project
    put("zeroshot", "a", localisation_rows(run="a"))
    put("zeroshot", "b", localisation_rows(run="b", shift=0.02))
    (table,) = run("a", "b", "ciou")
    ((_, _, _, difference, interval, _, images),) = table.rows
    assert difference.value == pytest.approx(0.02)
    assert interval == "2.0 … 2.0"
    assert images == 12
    with pytest.raises(ConfigError, match="that miou is a measure of"):
        run("a", "b", "miou")


def test_what_does_not_compare_is_refused(project):
    put, run = project
    put("zeroshot", "a", score_rows())
    put("zeroshot", "b", score_rows(protocol="sama"))
    put("zeroshot", "c", score_rows(clips=11))
    put("zeroshot", "d", score_rows(benchmark="ms3"))
    put("test", "a", score_rows())
    with pytest.raises(ConfigError, match="Did you mean 'zeroshot/a'"):
        run("zeroshott/a", "b")
    with pytest.raises(ConfigError, match="Name the stage too: test/a, zeroshot/a"):
        run("a", "b")
    with pytest.raises(DataError, match="one protocol"):
        run("test/a", "b")
    with pytest.raises(DataError, match="only one has"):
        run("test/a", "c")
    with pytest.raises(DataError, match="a benchmark that both"):
        run("test/a", "d")
    with pytest.raises(ConfigError, match="'miou'"):
        run("test/a", "zeroshot/a", "mious")
