"""The published values: complete, with their contradictions, and matched to our runs by facts."""

from dataclasses import asdict

import pandas as pd
import pytest

from avsynth.reports.fact_text import training_text
from avsynth.reports.page.tables import NOTHING, EstimateCell
from avsynth.reports.paper_tables import paper_tables
from avsynth.reports.papers import (
    TITLES,
    contradictions,
    matches,
    matches_at_other_input,
    read_papers,
)
from avsynth.reports.score_cells import Scorer
from tests.helpers.score_rows import facts_of, few_shot_facts, score_rows

PAPER_INPUT = {"input_size": 1024, "architecture": "vit_h"}


@pytest.fixture(scope="module")
def papers():
    return read_papers()


def value(papers, paper, table, system, setting, benchmark, metric="MJ"):
    found = papers[
        (papers["paper"] == paper) & (papers["table"] == table) & (papers["system"] == system)
        & (papers["setting"] == setting) & (papers["benchmark"] == benchmark)
        & (papers["metric"] == metric)
    ]  # fmt: skip
    assert len(found) == 1
    return found.iloc[0]


def test_all_published_tables_are_there_with_a_title(papers):
    assert len(papers) == 519
    assert set(zip(papers["paper"], papers["table"], strict=True)) == set(TITLES)
    zero_shot = value(papers, "Annotation-free AVS", "3", "SAMA-AVS",
                      "0% real, w/ P.T. (AVS-Synthetic)", "AVSBench S4")  # fmt: skip
    assert zero_shot["value"] == 64.05


def test_the_contradictions_of_save_are_all_found_and_no_other(papers):
    found = {
        (c.system, c.input_size, c.benchmark, training_text(asdict(c)), c.metric): cell.source
        for c, cell in contradictions(papers).items()
    }
    s4, ms3, both = "AVSBench S4", "AVSBench MS3", "AVS-Synthetic → AVSBench S4"
    assert found == {
        ("SAVE", 256, "s4", s4, "MJ"): "84.06 in T1, T2; 83.11 in T6, T7",
        ("SAVE", 256, "s4", s4, "MF"): "0.905 in T1, T2; 0.895 in T6, T7",
        ("SAVE", 256, "ms3", ms3, "MF"): "0.712 in T1; 0.699 in T2, T7",
        ("SAVE", 1024, "s4", s4, "MJ"): "85.11 in T1, T2; 84.06 in T6; 83.11 in T7",
        ("SAVE", 1024, "s4", s4, "MF"): "0.912 in T1, T2; 0.905 in T6; 0.895 in T7",
        ("SAVE", 1024, "ms3", ms3, "MF"): "0.777 in T1; 0.739 in T2, T7",
        ("SAVE", 1024, "s4", both, "MJ"): "86.16 in T2; 85.16 in T6",
        ("SAVE", 1024, "s4", both, "MF"): "0.921 in T2; 0.911 in T6",
    }


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, True),
        ({"trained_on": ""}, False),
        ({"model": "save"}, False),
        ({"benchmark": "ms3"}, False),
        ({"split": "val"}, False),
        (few_shot_facts(10, pretrained=True), False),
        ({"ablation": "num_adapters=2"}, False),
        ({"input_size": 64}, False),
        ({"architecture": "tiny"}, True),  # the table states none
    ],
)
def test_a_run_matches_its_own_experiment_only(papers, facts, expected):
    record = value(papers, "Annotation-free AVS", "3", "SAMA-AVS",
                   "0% real, w/ P.T. (AVS-Synthetic)", "AVSBench S4")  # fmt: skip
    assert record["value"] == 64.05
    run = facts_of(**{"run": "r", "model": "sama_avs", "benchmark": "s4", **PAPER_INPUT, **facts})
    assert matches(record["claim"], run) is expected


def test_a_stated_architecture_must_be_the_runs(papers):
    claim = value(
        papers, "Annotation-free AVS", "4", "SAMA-AVS", "ViT-H, 1024", "AVSBench S4"
    ).claim
    facts = {"run": "r", "model": "sama_avs", "benchmark": "s4", "input_size": 1024}
    facts |= few_shot_facts(100, pretrained=False)
    assert matches(claim, facts_of(**facts, architecture="vit_h"))
    assert not matches(claim, facts_of(**facts, architecture="vit_b"))
    assert matches_at_other_input(claim, facts_of(**facts, architecture="vit_b"))


@pytest.mark.parametrize(
    ("where", "facts"),
    [
        (("SAVE", "2", "SAVE", "1024, w/ F.T. (Syn.)", "AVSBench MS3"),
         {"pretrained_on": "synthetic", "trained_on": "s4", "finetuned_on": "ms3",
          "real_percent": 100}),
        (("SAVE", "2", "SAMA-AVS", "w/ F.T. (from S4)", "AVSBench MS3"),
         {"trained_on": "s4", "finetuned_on": "ms3", "real_percent": 100}),
        (("SAVE", "4", "SAVE", "0-shot", "AVSS V3"), {"trained_on": "v3", "real_percent": 100}),
        (("SAVE", "4", "SAVE", "3-shot", "AVSS V3"),
         {"benchmark": "v3-3shot", "trained_on": "v3", "finetuned_on": "v3-3shot", "shots": 3,
          "real_percent": 100}),
        (("SAVE", "1", "SAM", "1024, max-IoU selection (quoted)", "AVSBench S4"),
         {"trained_on": "", "prompt": "automatic"}),
        (("ST-BAVA", "2", "SAM 3 Points", "visual prompts from G.T. mask, no training",
          "AVSBench MS3"), {"trained_on": "", "prompt": "3 points"}),
        (("Annotation-free AVS", "7", "SAMA-AVS", "8 adapters", "AVSBench S4"),
         {"trained_on": "s4", "real_percent": 100, "ablation": "num_adapters=8"}),
        (("Annotation-free AVS", "6", "SAMA-AVS", "loss BCE", "AVSBench S4"),
         {"trained_on": "s4", "real_percent": 100, "ablation": "iou_weight=0"}),
        (("SAVE", "9", "SAVE", "3-layer (256) audio adapter MLP", "AVSBench S4"),
         {"trained_on": "s4", "real_percent": 100, "ablation": "mlp_layers=3",
          "input_size": 256}),
        (("SAVE", "3", "SAVE", "ViT-Huge, 224", "AVSS V2"),
         {"trained_on": "v2", "real_percent": 100, "input_size": 224}),
    ],
)  # fmt: skip
def test_the_words_of_the_papers_are_read_into_facts(papers, where, facts):
    claim = value(papers, *where).claim
    size = 224 if where[-1] == "AVSS V3" else 1024
    own = {"run": "r", "model": claim.model, "benchmark": claim.benchmark, "input_size": size}
    assert matches(claim, facts_of(**{**own, "architecture": "vit_h", **facts}))


def test_words_that_no_run_can_match_stay_an_ablation(papers):
    for record in papers.itertuples():
        ablation = record.claim.ablation
        if ablation and "=" not in ablation:
            assert record.setting.endswith(ablation), record.setting


def column(table, name):
    place = [c.name for c in table.columns].index(name)
    return {row[:2]: row[place] for row in table.rows}


def table_of(papers, rows, number):
    chosen = papers[(papers["paper"] == "SAVE") & (papers["table"] == number)]
    (table,) = paper_tables(chosen, rows, Scorer(20, 0))
    return table


def test_a_run_at_another_input_stands_beside_with_a_mark(papers):
    rows = score_rows(model="save", input_size=256).assign(stage="zeroshot")
    table = table_of(papers, rows, "6")
    ours = column(table, "avsbench_s4_test_mj_ours")
    setting = "0% real, w/ P.T. (AVS-Synthetic)"
    assert ours["SAVE (256)", setting].mark == ""
    assert ours["SAVE (1024)", setting].mark == "at 256 px, tiny"
    assert ours["SAVE (1024)", "100% real, w/o P.T."] == NOTHING
    assert "does not compare" in table.note
    marks = table.frame().set_index(["system", "setting"])["avsbench_s4_test_mj_ours_mark"]
    assert marks["SAVE (1024)", setting] == "at 256 px, tiny"


def test_a_run_at_the_tables_input_is_taken_before_any_other(papers):
    rows = pd.concat([
        score_rows(run="a", model="save", input_size=64, skill=0.2),
        score_rows(run="b", model="save", input_size=1024, skill=0.8),
    ]).assign(stage="zeroshot")  # fmt: skip
    ours = column(table_of(papers, rows, "6"), "avsbench_s4_test_mj_ours")
    cell = ours["SAVE (1024)", "0% real, w/ P.T. (AVS-Synthetic)"]
    assert isinstance(cell, EstimateCell)
    assert cell.mark == ""
    assert cell.value > 0.5


def test_categories_of_the_papers_are_those_of_our_vocabulary(papers):
    categories = ("ambulance_siren", "cat_meowing")
    rows = score_rows(model="save", input_size=256, categories=categories).assign(stage="zeroshot")
    table = table_of(papers, rows, "5")
    head = next(c.name for c in table.columns if c.name.endswith("_ours"))
    place = [c.name for c in table.columns].index(head)
    filled = {row[0] for row in table.rows if row[place] != NOTHING}
    assert filled == {"ambulance", "cat"}
