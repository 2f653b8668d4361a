"""Metrics against the published code's own outputs, hand-made cases and the plain loop."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avsynth.metrics.fmeasure import batch_f, f_curves, has_foreground, pack, unpack
from avsynth.metrics.frames import PROTOCOLS, f_measure, frame_iou, score_frames
from avsynth.runtime.errors import ConfigError, DataError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())
BINARY = {case["name"]: case for case in GOLDEN["binary"]}
# ST-BAVA's code has AVSBench's formulas; its golden values are met by the protocol avsbench.
PUBLISHED = {"avsbench": "avsbench", "stbava": "avsbench", "sama": "sama", "gavs": "gavs"}


def tensors(case):
    return torch.tensor(case["logits"]), torch.tensor(case["gt"])


def loop_f_curve(values, gt):
    """F of one frame at the 255 thresholds, straight from the definition."""
    curve = []
    for threshold in torch.linspace(0, 1 - 1e-10, 255):
        predicted = (values >= threshold).float()
        hit = (predicted * gt).sum()
        precision, recall = hit / (predicted.sum() + 1e-20), hit / (gt.sum() + 1e-20)
        f = 1.3 * precision * recall / (0.3 * precision + recall)
        curve.append(torch.where(f.isnan(), torch.zeros(()), f))
    return torch.stack(curve)


def loop_f(values, gt):
    """AVSBench's F of a batch by the plain loop."""
    curves = [loop_f_curve(v, g) for v, g in zip(values, gt, strict=True) if g.any()]
    return (sum(curves) / len(curves)).max().item() if curves else 0.0


def test_golden_cases_are_all_there():
    assert len(BINARY) == 8
    assert len(GOLDEN["meter"]) == 1


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("published", PUBLISHED)
def test_binary_golden_to_the_bit(name, published):
    logits, gt = tensors(BINARY[name])
    expected, ours = BINARY[name]["expected"], PUBLISHED[published]
    iou = frame_iou(logits, gt, PROTOCOLS[ours].iou_threshold)
    assert iou.dtype == torch.float32
    assert (iou.sum() / len(iou)).item() == expected["miou"][published]
    assert f_measure(logits, gt, ours) == expected["max_f"][published]


@pytest.mark.parametrize("name", BINARY)
def test_per_frame_iou_and_curve_golden_to_the_bit(name):
    logits, gt = tensors(BINARY[name])
    expected = BINARY[name]["expected"]
    assert frame_iou(logits, gt).tolist() == expected["iou_per_frame_avsbench"]
    histogram = score_frames(logits, gt).histogram
    curves = f_curves(histogram[has_foreground(histogram)])
    mean = sum(curves) / np.float32(len(curves)) if len(curves) else np.zeros(255)
    for index, value in expected["avsbench_mean_f_at_threshold_index"].items():
        assert float(mean[int(index)]) == value
    assert int(mean.argmax()) == expected["avsbench_first_argmax_threshold"]["index"]


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_meter_golden(batch):
    case = GOLDEN["meter"][0]
    logits, gt = tensors(case)
    expected = case["expected"][f"batch_size_{batch}"]
    parts = list(zip(logits.split(batch), gt.split(batch), strict=True))
    for key, protocol in (("f_avsbench", "avsbench"), ("f_sama", "sama")):
        meter = np.mean([f_measure(z, g, protocol) for z, g in parts])
        assert meter == pytest.approx(expected[key], abs=1e-7)
    miou = np.mean([frame_iou(z, g).mean().item() for z, g in parts])
    assert miou == pytest.approx(expected["miou"], abs=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["avsbench", "sama"]), st.floats(0.01, 30))
def test_one_pass_equals_the_loop_to_the_bit(seed, protocol, spread):
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 9, 7, generator=rng) * spread
    gt = (torch.rand(3, 9, 7, generator=rng) < torch.rand(3, 1, 1, generator=rng)).float()
    values = logits.sigmoid() if protocol == "avsbench" else logits
    assert f_measure(logits, gt, protocol) == loop_f(values, gt)


def test_every_threshold_edge_is_on_the_right_side():
    edges = torch.linspace(0, 1 - 1e-10, 255)
    up, down = (torch.nextafter(edges, torch.full_like(edges, to)) for to in (2.0, -2.0))
    odd = torch.tensor([float("inf"), float("-inf"), float("nan"), -0.0, 1e30, -1e30, 1e-45])
    values = torch.cat([edges, up, down, odd])
    passed = (values[:, None] >= edges).sum(1)
    for value, count in zip(values, passed, strict=True):
        histogram = score_frames(value.view(1, 1, 1), torch.ones(1, 1, 1), "sama").histogram
        assert histogram[0, 1].nonzero()[0].tolist() == [count], value


def test_scores_by_hand():
    logits = torch.full((3, 2, 3), -5.0)
    logits[0, 0, :2] = 5.0  # two predicted, one of them true
    gt = torch.zeros(3, 2, 3)
    gt[0, 0, 1:] = 1
    gt[2] = 1  # full mask, nothing predicted
    scores = score_frames(logits, gt)
    assert scores.inter_px.tolist() == [1, 0, 0]
    assert scores.union_px.tolist() == [3, 0, 6]
    assert scores.gt_px.tolist() == [2, 0, 6]
    assert scores.pred_px.tolist() == [2, 0, 0]
    assert scores.iou.tolist() == pytest.approx([1 / 3, 1, 0])
    # Frame 0: P = R = 1/2. Frame 2: sigmoid(-5) = 0.0067 passes threshold 1 with P = R = 1.
    assert scores.fscore[[0, 2]].tolist() == pytest.approx([0.5, 1])
    assert scores.fscore[1].isnan()
    assert scores.histogram.sum(axis=(1, 2)).tolist() == [6, 6, 6]


def test_empty_truth_scores_the_background_kept():
    logits = torch.full((1, 4, 4), -5.0)
    logits[0, 0] = 5.0
    assert frame_iou(logits, torch.zeros(1, 4, 4)).item() == 0.75
    assert f_measure(logits, torch.zeros(1, 4, 4)) == 0.0


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_truth_of_any_dtype(dtype):
    logits, gt = tensors(BINARY["random_6x6"])
    assert f_measure(logits, gt.to(dtype)) == f_measure(logits, gt)
    assert torch.equal(frame_iou(logits, gt.to(dtype)), frame_iou(logits, gt))


def test_bf16_logits_are_scored_in_float32():
    logits, gt = tensors(BINARY["random_6x6"])
    half = logits.bfloat16()
    assert f_measure(half, gt) == f_measure(half.float(), gt)


def test_nan_is_background():
    logits = torch.full((1, 2, 2), float("nan"))
    gt = torch.tensor([[[1, 0], [0, 0]]])
    assert frame_iou(logits, gt).item() == 0
    assert f_measure(logits, gt) == 0


def test_bigger_batch_shares_one_threshold():
    logits, gt = tensors(GOLDEN["meter"][0])
    singles = [f_measure(z[None], g[None]) for z, g in zip(logits, gt, strict=True) if g.any()]
    assert f_measure(logits, gt) <= np.mean(singles)


def test_histogram_cell_round_trip_is_small():
    smooth = torch.nn.functional.interpolate(
        torch.randn(1, 1, 7, 7, generator=torch.Generator().manual_seed(0)) * 8, size=(224, 224)
    )[0]
    histogram = score_frames(smooth, (smooth > 1).float()).histogram
    cell = pack(histogram[0])
    assert np.array_equal(unpack(cell), histogram[0])
    assert batch_f(unpack(cell)[None]) == f_measure(smooth, (smooth > 1).float())
    assert len(cell) < 600
    assert not set(cell) & set(",\"'\n ")


@pytest.mark.parametrize("cell", ["", "abc", "no base 85 \x7f", "c$|ee"])
def test_damaged_cell(cell):
    with pytest.raises(DataError, match="histogram"):
        unpack(cell)


def test_a_cell_that_inflates_without_end_is_refused():
    import zlib
    from base64 import b85encode

    bomb = b85encode(zlib.compress(bytes(10_000_000))).decode()
    with pytest.raises(DataError, match="2049 bytes"):
        unpack(bomb)


def test_bad_input():
    logits = torch.zeros(1, 4, 4)
    with pytest.raises(DataError, match=r"\[1, 4, 4\] and \[1, 2, 2\]"):
        frame_iou(logits, torch.zeros(1, 2, 2))
    with pytest.raises(DataError, match="values up to 255"):
        f_measure(logits, torch.full((1, 4, 4), 255, dtype=torch.uint8))
    with pytest.raises(DataError, match="values up to"):
        frame_iou(logits, torch.full((1, 4, 4), 0.5))
    with pytest.raises(ConfigError, match="Did you mean 'avsbench'"):
        f_measure(logits, logits, "avsbnch")
    with pytest.raises(DataError):
        f_measure(torch.zeros(0, 4, 4), torch.zeros(0, 4, 4))
