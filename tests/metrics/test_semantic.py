"""Class scores against the golden values of the published code."""

import json
from pathlib import Path

import pytest
import torch

from avsynth.metrics.semantic import class_sums, per_class, summary
from avsynth.runtime.errors import DataError

CASES = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())[
    "avss_semantic"
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden(case):
    predicted, truth = torch.tensor(case["pred_labels"]), torch.tensor(case["target_labels"])
    sums = class_sums(predicted, truth, case["num_classes"])
    expected = case["expected"]
    assert sums.iou.tolist() == pytest.approx(expected["iou_sum_per_class"], abs=1e-6)
    assert sums.fscore.tolist() == pytest.approx(expected["f_sum_per_class"], abs=1e-6)
    assert sums.frames.tolist() == expected["count_per_class"]
    values = summary(sums)
    for ours, theirs in {
        "miou": "miou_reference",
        "fscore": "f_reference",
        "miou_present": "miou_over_present_classes",
        "fscore_present": "f_over_present_classes",
        "miou_foreground": "miou_excluding_class0",
    }.items():
        assert values[ours] == pytest.approx(expected[theirs], abs=1e-6)
    dropped_last = per_class(sums)[0][:-1].mean().item()
    assert dropped_last == pytest.approx(expected["miou_noBg_reference_drops_last_class"], abs=1e-6)


def test_sums_of_batches_add_up():
    rng = torch.Generator().manual_seed(0)
    predicted, truth = torch.randint(0, 71, (2, 6, 8, 8), generator=rng)
    whole = class_sums(predicted, truth)
    parts = class_sums(predicted[:2], truth[:2]) + class_sums(predicted[2:], truth[2:])
    assert torch.allclose(whole.iou, parts.iou, atol=1e-12)
    assert torch.equal(whole.frames, parts.frames)
    assert summary(whole) == pytest.approx(summary(parts))


def test_bad_labels():
    good = torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.raises(DataError, match=r"labels 0\.\.70"):
        class_sums(good, good + 71)
    with pytest.raises(DataError, match="one shape"):
        class_sums(good, good[:, :1])
