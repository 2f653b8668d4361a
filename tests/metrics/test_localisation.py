"""Localisation scores against the golden values of the published code, and by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avsynth.evaluation.heat_maps import heat_maps
from avsynth.metrics.localisation import (
    average_precision,
    ciou,
    score_heat,
    success_auc,
    upper_half,
)
from avsynth.runtime.errors import DataError

CASE = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())[
    "localisation"
][0]
SAMPLES = {sample["name"]: sample for sample in CASE["samples"]}


def heat_and_truth(sample):
    cx, cy, sigma = sample["gaussian_cx_cy_sigma"]
    y, x = np.mgrid[:224, :224]
    heat = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
    heat = (heat - heat.min()) / (heat.max() - heat.min())
    votes = np.zeros((224, 224))
    for x0, y0, x1, y1 in sample["boxes_xyxy"]:
        votes[y0:y1, x0:x1] += 0.5 if sample["format"] == "flickr" else 1.0
    return heat, np.minimum(votes, 1.0)


@pytest.mark.parametrize("name", SAMPLES)
def test_golden_samples(name):
    sample = SAMPLES[name]
    heat, truth = heat_and_truth(sample)
    assert heat[upper_half(heat)].min() == pytest.approx(sample["median_threshold"], rel=1e-9)
    assert score_heat(heat, truth) == pytest.approx(
        (
            sample["ciou_median_threshold"],
            sample["pixel_ap_gt_ge_half_vs_heat"],
            sample["avgn_piap_swapped_arguments"],
        ),
        abs=1e-9,
    )
    assert ciou(heat >= 0.5, truth) == pytest.approx(sample["ciou_fixed_0.5_threshold"], abs=1e-9)


def test_golden_averages():
    assert len(SAMPLES) == 5
    scores = np.array([score_heat(*heat_and_truth(s)) for s in SAMPLES.values()])
    expected = CASE["expected"]
    assert scores[:, 0].mean() == pytest.approx(expected["ez_vsl"]["mean_ciou"], abs=1e-9)
    assert (scores[:, 0] >= 0.5).mean() == expected["ez_vsl"]["AP50 (fraction ciou>=0.5)"]
    assert success_auc(scores[:, 0]).mean() == pytest.approx(expected["ez_vsl"]["AUC"], abs=1e-12)
    assert scores[:, 1].mean() == pytest.approx(expected["mean_pixel_ap_conventional"], abs=1e-9)
    piap = expected["avgn"]["piap_average (swapped arguments)"]
    assert scores[:, 2].mean() == pytest.approx(piap, abs=1e-9)


def test_average_precision_by_hand():
    truth = np.array([True, False, True, False])
    assert average_precision(truth, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx(
        0.5 + 0.5 * 2 / 3
    )
    assert average_precision(truth, np.zeros(4)) == 0.5  # one tie: precision at full recall
    assert average_precision(np.zeros(4, bool), np.arange(4.0)) == 0.0


def test_heat_maps_are_stretched_and_constant_maps_survive():
    logits = torch.stack([torch.tensor([[-3.0, 1.0], [0.0, 5.0]]), torch.full((2, 2), 7.0)])
    heat = heat_maps(logits)
    assert heat.shape == (2, 224, 224)
    assert heat[0].min() == 0
    assert heat[0].max() == 1
    assert heat[0, 0, 0] == 0
    assert heat[0, -1, -1] == 1
    assert np.allclose(
        np.diff(heat[0, 0]), 0.5 / 223, atol=1e-6
    )  # aligned corners: a ramp from end to end
    assert not heat[1].any()


@pytest.mark.parametrize("truth", [np.zeros((4, 4)), np.full((4, 4), 2.0), np.ones((2, 2))])
def test_bad_truth(truth):
    with pytest.raises(DataError, match="localisation"):
        score_heat(np.random.default_rng(0).random((4, 4)), truth)
