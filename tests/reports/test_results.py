"""The tables of our runs hold what hand computation gives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from avsynth.metrics.fmeasure import pack
from avsynth.reports.audio_sensitivity_table import audio_table
from avsynth.reports.page.tables import NOTHING, EstimateCell, PublishedCell
from avsynth.reports.per_category import category_table
from avsynth.reports.read_scores import read_scores
from avsynth.reports.results import (
    benchmark_table,
    few_shot_table,
    unseen_table,
)
from avsynth.reports.score_cells import Scorer, false_frac, image_px, predicted_frac, shows_mask
from tests.helpers.score_rows import few_shot_facts, score_rows, write_scores

SCORER = Scorer(draws=50, seed=0)


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    write_scores(folder)
    return read_scores(folder)


def column(table, name):
    place = [c.name for c in table.columns].index(name)
    return [row[place] for row in table.rows]


def test_m_j_is_the_mean_of_batches_and_f_of_the_mask_needs_no_threshold():
    # Two batches: four clips of IoU 0.5, then one of IoU 1: (0.5 + 1) / 2, not 3 / 5.
    rows = score_rows(clips=5, frames=1).assign(stage="zeroshot")
    rows["iou"] = [0.5, 0.5, 0.5, 0.5, 1.0]
    rows["clip_key"] = list("abcde")
    table = benchmark_table(rows, "s4", SCORER, "results")
    assert column(table, "m_j")[0].value == pytest.approx(0.75)
    assert column(table, "miou_with_truth")[0].value == pytest.approx(0.6)
    expected = (1.3 * rows.inter_px / (0.3 * rows.gt_px + rows.pred_px)).mean()
    assert column(table, "f_at_cut")[0].value == pytest.approx(expected)
    assert "protocol avsbench (4 clips a batch" in table.note


def test_intervals_are_shown_only_for_enough_units():
    rows = score_rows(clips=4, frames=3).assign(stage="zeroshot")
    few = SCORER.cell(rows, "miou")
    assert few.interval == ""
    many = SCORER.cell(score_rows(clips=12), "miou")
    low, high = (float(end) for end in many.interval.split(" … "))
    assert low < 100 * many.value < high


def test_categories_are_ours_and_the_gap_is_synthetic_minus_real():
    options = {"categories": ("dog_barking", "cat_meowing"), "clips": 16}
    rows = pd.concat([
        score_rows(skill=skill, **facts, **options).assign(stage=stage)
        for stage, facts, skill in (
            ("zeroshot", {}, 0.4),
            ("fewshot", few_shot_facts(100, pretrained=False), 0.9),
        )
    ])  # fmt: skip
    table = category_table(rows, "s4", SCORER)
    assert column(table, "category") == ["cat", "dog"]
    for synthetic, real, gap in zip(
        column(table, "sama_avs_synthetic"), column(table, "sama_avs_real"),
        column(table, "sama_avs_gap"), strict=True,
    ):  # fmt: skip
        assert gap.value == pytest.approx(synthetic.value - real.value)
        assert gap.high < 0
        assert gap.text.startswith("−")


def test_few_shot_lines_stand_by_model_and_share(scores):
    table = few_shot_table(scores.rows, "s4", SCORER)
    assert [row[:2] for row in table.rows] == [
        (model, f"{percent} %") for model in ("sama_avs", "save")
        for percent in (0, 10, 20, 30, 100)
    ]  # fmt: skip
    gains = column(table, "gain")
    assert gains[0].value > gains[4].value > -0.2
    assert list(table.frame().columns)[:3] == ["model", "real_percent", "m_j_without"]


def test_an_absent_half_of_a_few_shot_pair_is_a_dash(scores):
    rows = scores.rows[~scores.rows["run"].str.endswith("-10-without")]
    table = few_shot_table(rows, "s4", SCORER)
    assert column(table, "m_j_without")[1] == NOTHING
    assert column(table, "gain")[1] == NOTHING
    assert isinstance(column(table, "m_j_with")[1], EstimateCell)


def test_unseen_lines_say_their_class_set(scores):
    table = unseen_table(scores.rows, SCORER)
    assert sorted(set(column(table, "classes"))) == ["1: tiger", "3: bell, harp, tiger"]


def sound_row(pred_px, inter_px, gt_px=20, pixels=100):
    histogram = np.zeros((2, 256), np.int64)
    histogram[0, 0], histogram[1, 0] = pixels - gt_px, gt_px
    return {"pred_px": pred_px, "inter_px": inter_px, "gt_px": gt_px, "histogram": pack(histogram)}


def test_shares_of_the_image_by_hand():
    rows = pd.DataFrame([sound_row(30, 20), sound_row(0, 0), sound_row(1, 0, pixels=200)])
    assert image_px(rows).tolist() == [100, 100, 200]
    assert predicted_frac(rows).tolist() == [0.3, 0.0, 0.005]
    assert false_frac(rows).tolist() == [10 / 80, 0.0, 1 / 180]
    assert shows_mask(rows).tolist() == [1.0, 0.0, 0.0]


def test_every_pixel_is_false_where_nothing_should_sound(scores):
    table = audio_table(scores.audio_test, {"save": 0.4}, SCORER)
    bound = table.rows[-1]
    assert bound[:2] == ("any", "best masks that ignore the audio")
    assert bound[2].value == 0.4
    table = replace(table, rows=table.rows[:-1])
    audio = column(table, "audio")
    assert audio[:4] == ["its own", "silence", "white noise", "another category"]
    for name, predicted, false, alarms in zip(
        audio, column(table, "predicted"), column(table, "false_px"),
        column(table, "false_frames"), strict=True,
    ):  # fmt: skip
        assert (name == "its own") == (false.value < predicted.value) == (alarms == NOTHING)


def test_cells_write_numbers_as_people_read_them():
    nan = float("nan")
    assert EstimateCell(0.6405, 0.6, 0.68, "percent").text == "64.0"
    assert EstimateCell(-0.05, -0.1, 0.02, "percent", signed=True).text == "−5.0"
    assert EstimateCell(-0.05, -0.1, 0.02, "percent").interval == "−10.0 … 2.0"
    assert EstimateCell(nan, nan, nan, "fraction").text == NOTHING
    disputed = PublishedCell(((84.06, "T1"), (83.11, "T6"), (84.06, "T2")), "MJ")
    assert disputed.text == "84.06 ≠ 83.11"
    assert disputed.source == "84.06 in T1, T2; 83.11 in T6"


def test_a_model_that_is_not_trained_has_a_column_of_its_own():
    rows = score_rows(model="sam_oracle", trained_on="", prompt="3 boxes").assign(stage="zeroshot")
    table = category_table(rows, "s4", SCORER)
    assert [c.title for c in table.columns] == [
        "Category", "sam_oracle, not trained; prompted with 3 boxes of the ground truth", "Clips"
    ]  # fmt: skip
    assert table.rows
    assert all(0 < row[1].value < 1 for row in table.rows)
