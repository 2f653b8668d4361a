"""The printed values: complete, with their contradictions, and matched to our runs."""

import pandas as pd
import pytest

from avsynth.reports.papers import TITLES, answers, claim_of, contradictions, read_papers


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


def test_all_printed_tables_are_there_with_a_title(papers):
    assert len(papers) == 519
    assert set(zip(papers["paper"], papers["table"], strict=True)) == set(TITLES)
    zero_shot = value(papers, "Annotation-free AVS", "3", "SAMA-AVS",
                      "0% real, w/ P.T. (AVS-Synthetic)", "AVSBench S4")  # fmt: skip
    assert zero_shot["value"] == 64.05


def test_the_contradictions_of_save_are_all_found_and_no_other(papers):
    found = {
        (c.system, c.size, c.benchmark[-3:].strip(), c.training, c.metric): cell.source
        for c, cell in contradictions(papers).items()
    }
    assert found == {
        ("SAVE", "256", "S4", "real", "MJ"): "84.06 in T1, T2; 83.11 in T6, T7",
        ("SAVE", "256", "S4", "real", "MF"): "0.905 in T1, T2; 0.895 in T6, T7",
        ("SAVE", "256", "MS3", "real", "MF"): "0.712 in T1; 0.699 in T2, T7",
        ("SAVE", "1024", "S4", "real", "MJ"): "85.11 in T1, T2; 84.06 in T6; 83.11 in T7",
        ("SAVE", "1024", "S4", "real", "MF"): "0.912 in T1, T2; 0.905 in T6; 0.895 in T7",
        ("SAVE", "1024", "MS3", "real", "MF"): "0.777 in T1; 0.739 in T2, T7",
        ("SAVE", "1024", "S4", "synthetic, then real", "MJ"): "86.16 in T2; 85.16 in T6",
        ("SAVE", "1024", "S4", "synthetic, then real", "MF"): "0.921 in T2; 0.911 in T6",
    }


@pytest.mark.parametrize(
    ("model", "benchmark", "stage", "setting", "printed", "expected"),
    [
        ("sama_avs", "s4", "fewshot", "0% real, w/ P.T.", 64.05, True),
        ("sama_avs", "s4", "zeroshot", "trained with Synthetic", 64.05, True),
        ("sama_avs", "s4", "fewshot", "0% real, w/o P.T.", 64.05, False),
        ("save", "s4", "fewshot", "0% real, w/ P.T.", 64.05, False),
        ("sama_avs", "ms3", "fewshot", "0% real, w/ P.T.", 64.05, False),
        ("sama_avs", "s4", "fewshot", "10% real, w/ P.T.", 64.05, False),
    ],
)
def test_a_run_answers_its_own_experiment_only(
    papers, model, benchmark, stage, setting, printed, expected
):
    record = value(papers, "Annotation-free AVS", "3", "SAMA-AVS",
                   "0% real, w/ P.T. (AVS-Synthetic)", "AVSBench S4")  # fmt: skip
    assert record["value"] == printed
    run = pd.Series({"model": model, "benchmark": benchmark, "stage": stage, "setting": setting})
    assert answers(claim_of(record), run) is expected


def test_shots_are_answered_by_the_benchmark_of_their_class_set(papers):
    record = value(papers, "SAVE", "4", "SAVE", "3-shot", "AVSS V3")
    for benchmark, expected in (("v3-3shot", True), ("v3", False), ("v3-1shot", False)):
        run = pd.Series({"model": "save", "benchmark": benchmark, "stage": "v3_shots",
                         "setting": "3-shot"})  # fmt: skip
        assert answers(claim_of(record), run) is expected
