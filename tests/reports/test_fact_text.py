"""Facts become text in one place, and each fact is in it."""

import pytest

from avsynth.reports.fact_text import input_text, training_text
from tests.helpers.score_rows import facts_of, few_shot_facts


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "AVS-Synthetic"),
        ({"trained_on": ""}, "not trained"),
        ({"trained_on": "", "prompt": "automatic"}, "not trained; best of the automatic masks"),
        ({"trained_on": "", "prompt": "1 boxes"},
         "not trained; prompted with 1 box of the ground truth"),
        ({"trained_on": "", "prompt": "3 points"},
         "not trained; prompted with 3 points of the ground truth"),
        (few_shot_facts(0, pretrained=False), "not trained"),
        (few_shot_facts(10, pretrained=True), "AVS-Synthetic → 10 % of AVSBench S4"),
        (few_shot_facts(100, pretrained=False), "AVSBench S4"),
        ({"trained_on": "s4", "finetuned_on": "ms3", "pretrained_on": "synthetic",
          "real_percent": 100}, "AVS-Synthetic → AVSBench S4 → AVSBench MS3"),
        ({"trained_on": "v3", "real_percent": 100}, "AVSS V3 seen"),
        ({"trained_on": "v3", "finetuned_on": "v3-3shot", "shots": 3, "real_percent": 100},
         "AVSS V3 seen → 3 shots"),
        ({"trained_on": "s4", "real_percent": 100, "ablation": "num_adapters=2"},
         "AVSBench S4; num_adapters=2"),
    ],
)  # fmt: skip
def test_training(facts, text):
    assert training_text(facts_of(run="r", model="m", benchmark="s4", **facts)) == text


def test_input():
    facts = facts_of(run="r", model="m", benchmark="s4")
    assert input_text(facts) == "64 px, tiny"
    assert input_text(facts | {"architecture": ""}) == "64 px"
    assert input_text(facts | {"architecture": "", "input_size": 0}) == ""
