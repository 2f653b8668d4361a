"""The papers' published numbers: nothing lost, contradictions kept."""

from collections import defaultdict
from importlib.resources import files

import pandas as pd
import pytest

COLUMNS = ["paper", "table", "system", "benchmark", "split", "setting", "metric", "value", "note"]


@pytest.fixture(scope="module")
def papers():
    with (files("avsynth.resources") / "papers.csv").open("rb") as file:
        return pd.read_csv(file, dtype={"table": str}, keep_default_na=False)


def test_every_record_is_there_once(papers):
    assert list(papers.columns) == COLUMNS
    assert papers.paper.value_counts().to_dict() == {
        "SAVE": 280, "Annotation-free AVS": 121, "ST-BAVA": 100, "AV-SAM": 18,
    }  # fmt: skip
    assert not papers.duplicated(COLUMNS[:-2]).any()
    assert (papers[COLUMNS[:-2]] != "").all(axis=None)
    assert papers.value.notna().all()


def test_values_have_the_units_of_the_papers(papers):
    per_cent = papers[papers.metric == "MJ"].value
    assert per_cent.between(1, 100).all()
    fraction = papers[papers.metric == "MF"].value
    assert fraction.between(0, 1).all()


def test_known_contradictions_are_kept(papers):
    """SAVE publishes 84.06 and 83.11 for S4 at 256 without pre-training, and two F on MS3."""
    save = papers[(papers.paper == "SAVE") & papers.system.str.startswith("SAVE")]
    published = defaultdict(set)
    for _, row in save[save.split == "test"].iterrows():
        published[row.benchmark, row.metric].add(row.value)
    assert {84.06, 83.11, 85.11, 86.16, 85.16} <= published["AVSBench S4", "MJ"]
    assert {0.712, 0.699, 0.777, 0.739} <= published["AVSBench MS3", "MF"]


def test_what_the_text_says_otherwise_is_noted(papers):
    noted = papers[papers.note != ""]
    assert len(noted) == 4
    assert "running text gives 0.773" in noted.iloc[0].note
