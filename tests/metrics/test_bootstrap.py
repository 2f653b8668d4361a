"""Measures: rows alone give back every published value; intervals and comparisons are sound."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from avsynth.core.tables import read_table, write_table
from avsynth.metrics.bootstrap import compare, estimate
from avsynth.metrics.fmeasure import pack
from avsynth.metrics.frames import f_measure, frame_iou, score_frames
from avsynth.metrics.measures import MEASURES
from avsynth.metrics.rows import FrameRow
from avsynth.runtime.errors import ConfigError, DataError
from tests.helpers.score_rows import facts_of

METER = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())["meter"][0]
FRAME_MEASURES = ("meter_iou", "meter_f", "miou", "miou_with_truth", "f_frame", "f_at_cut",
                  "f_dataset", "iou_dataset")  # fmt: skip
QUICK = {"draws": 200, "seed": 3}


def rows_of(logits, gt, frames_per_clip=1, protocol="avsbench"):
    scores = score_frames(logits, gt, protocol)
    return [
        FrameRow(
            key=f"k{n:04d}",
            clip_key=f"c{n // frames_per_clip:04d}",
            version="1",
            **facts_of(run="r", model="m", benchmark="toy", protocol=protocol),
            category="dog" if n // frames_per_clip % 2 else "cat",
            iou=scores.iou[n].item(),
            fscore=scores.fscore[n].item(),
            inter_px=int(scores.inter_px[n]),
            union_px=int(scores.union_px[n]),
            gt_px=int(scores.gt_px[n]),
            pred_px=int(scores.pred_px[n]),
            histogram=pack(scores.histogram[n]),
            num_frames=frames_per_clip,
            frame_index=n % frames_per_clip,
        )
        for n in range(len(logits))
    ]


def frame_of(rows):
    return pd.DataFrame([asdict(row) for row in rows])


@pytest.fixture(scope="module")
def scene():
    rng = torch.Generator().manual_seed(1)
    gt = (torch.rand(24, 12, 12, generator=rng) < 0.3).float()
    gt[[5, 6, 7, 8]] = 0  # frame 5 of a clip with truth; clip 2 (frames 6..8) has none
    return torch.randn(24, 12, 12, generator=rng) + 1.5 * gt - 0.7, gt


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize(("key", "protocol"), [("f_avsbench", "avsbench"), ("f_sama", "sama")])
def test_rows_give_the_published_meter_whatever_the_batch(batch, key, protocol):
    rows = frame_of(rows_of(torch.tensor(METER["logits"]), torch.tensor(METER["gt"]), 1, protocol))
    expected = METER["expected"][f"batch_size_{batch}"]
    f = estimate(rows, "meter_f", clips_per_batch=batch, **QUICK)
    assert f.value == pytest.approx(expected[key], abs=1e-7)
    assert f.units == 4 // batch
    iou = estimate(rows, "meter_iou", clips_per_batch=batch, **QUICK)
    assert iou.value == pytest.approx(expected["miou"], abs=1e-7)


def test_rows_written_to_csv_give_the_same_numbers(tmp_path, scene):
    rows = rows_of(*scene, 3)
    write_table(tmp_path / "scores.csv", FrameRow, reversed(rows), ["key"])
    read = read_table(tmp_path / "scores.csv", FrameRow)
    for measure in FRAME_MEASURES:
        before, after = (estimate(r, measure, **QUICK) for r in (frame_of(rows), read))
        assert before == after


def test_every_measure_by_its_definition(scene):
    logits, gt = scene
    rows = frame_of(rows_of(logits, gt, 3))
    clips = list(zip(logits.split(3), gt.split(3), strict=True))
    full = gt.any(dim=2).any(dim=1)
    iou = frame_iou(logits, gt)
    hit = ((logits > 0) & gt.bool()).sum().item()
    either = ((logits > 0) | gt.bool()).sum().item()
    singles = [f_measure(z[None], g[None]) for z, g in zip(logits[full], gt[full], strict=True)]
    expected = {
        "meter_f": np.mean([f_measure(z, g) for z, g in clips]),
        "meter_iou": np.mean([frame_iou(z, g).mean() for z, g in clips]),
        "miou": iou.mean(),
        "miou_with_truth": iou[full].mean(),
        "f_frame": np.mean(singles),
        "f_dataset": f_measure(logits, gt),
        "iou_dataset": hit / either,
    }
    for measure, value in expected.items():
        assert estimate(rows, measure, **QUICK).value == pytest.approx(float(value), abs=1e-6)
    at_cut = []
    for z, g in zip(logits[full] > 0, gt[full].bool(), strict=True):
        tp = (z & g).sum().item()
        p, r = tp / max(z.sum().item(), 1), tp / g.sum().item()
        at_cut.append(1.3 * p * r / (0.3 * p + r) if tp else 0.0)
    assert estimate(rows, "f_at_cut", **QUICK).value == pytest.approx(np.mean(at_cut))


def test_clips_of_unequal_length_weigh_the_same_in_the_meter(scene):
    rows = frame_of(rows_of(*scene, 3))
    rows.loc[rows.clip_key == "c0001", "clip_key"] = "c0000"  # one clip of six frames
    per_clip = [group.iou.mean() for _, group in rows.groupby("clip_key")]
    meter, frames = (estimate(rows, m, **QUICK).value for m in ("meter_iou", "miou"))
    assert meter == pytest.approx(np.mean(per_clip))
    assert meter != pytest.approx(frames)


def test_the_order_of_rows_changes_no_bit(scene):
    rows = frame_of(rows_of(*scene, 3))
    shuffled = rows.sample(frac=1, random_state=0)
    for measure in FRAME_MEASURES:
        same = [estimate(r, measure, clips_per_batch=2, **QUICK) for r in (rows, shuffled)]
        assert same[0] == same[1], measure


def test_interval_holds_the_value_is_seeded_and_narrows(scene):
    logits, gt = scene
    rows = frame_of(rows_of(logits, gt, 3))
    for measure in FRAME_MEASURES:
        one, same = (estimate(rows, measure, draws=500, seed=1) for _ in range(2))
        assert one == same
        assert one.low < one.value < one.high
        assert one.units == 8
    assert estimate(rows, "miou", draws=500, seed=2).low != one.low
    many = pd.concat(
        [rows.assign(key=rows.key + f"-{i}", clip_key=rows.clip_key + f"-{i}") for i in range(9)]
    )
    wide, narrow = (estimate(r, "miou", draws=2000, seed=0) for r in (rows, many))
    assert (narrow.high - narrow.low) == pytest.approx((wide.high - wide.low) / 3, rel=0.15)


def test_frames_of_a_clip_are_resampled_together(scene):
    """Nine copies of every frame in its own clip must not make the interval narrower."""
    rows = frame_of(rows_of(*scene, 1))
    copies = pd.concat([rows.assign(key=rows.key + f"-{i}") for i in range(9)])
    one, nine = (estimate(r, "miou", draws=500, seed=0) for r in (rows, copies))
    assert (nine.low, nine.high) == pytest.approx((one.low, one.high))


def test_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        iou = np.repeat(rng.beta(4, 2, 80), 2)  # mean 2/3; the two frames of a clip are alike
        rows = pd.DataFrame({"iou": iou, "protocol": "p", "benchmark": "b", "version": "v"})
        rows["key"] = [f"{n:03d}" for n in range(160)]
        rows["clip_key"] = [f"{n // 2:03d}" for n in range(160)]
        interval = estimate(rows, "miou", draws=300, seed=1)
        hits += interval.low <= 2 / 3 <= interval.high
    assert 0.90 < hits / 200 < 0.985


def test_comparison_finds_a_difference_and_none(scene):
    logits, gt = scene
    weak, strong = frame_of(rows_of(logits, gt, 3)), frame_of(rows_of(logits + 2 * gt, gt, 3))
    better = compare(weak, strong, "miou", draws=999, seed=0)
    assert better.difference == pytest.approx(better.b - better.a)
    assert 0 < better.low < better.difference < better.high
    assert better.p_value == 2 / 1000
    same = compare(weak, weak.sample(frac=1, random_state=0), "meter_f", draws=99, seed=0)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    back = compare(strong, weak, "miou", draws=999, seed=0)
    assert back.difference == -better.difference


def test_localisation_measures():
    rows = pd.DataFrame({"key": ["a", "b"], "clip_key": ["a", "b"], "ciou": [0.5, 0.1],
                         "pixel_ap": [0.9, 0.3], "piap": [0.8, 0.2], "category": "flickr",
                         "benchmark": "flickr", "version": "1", "protocol": "c"})  # fmt: skip
    values = {
        m: estimate(rows, m, **QUICK).value for m in ("ciou", "ap50", "auc", "pixel_ap", "piap")
    }
    # Success up to 0.5 (0.1): trapezoid with the last half step.
    auc = ((0.5 + 0.025) + (0.1 + 0.025)) / 2
    assert values == pytest.approx(
        {"ciou": 0.3, "ap50": 0.5, "auc": auc, "pixel_ap": 0.6, "piap": 0.5}
    )


def test_all_frames_without_truth(scene):
    rows = frame_of(rows_of(scene[0][:4], torch.zeros(4, 12, 12), 2))
    assert estimate(rows, "meter_f", **QUICK).value == 0  # the published meter counts them as 0
    for measure in ("f_frame", "f_dataset", "f_at_cut", "miou_with_truth"):
        assert np.isnan(estimate(rows, measure, **QUICK).value)


def test_bad_rows(scene):
    rows = frame_of(rows_of(*scene, 3))
    other = frame_of(rows_of(*scene, 3, protocol="sama"))
    with pytest.raises(DataError, match="score rows of one protocol; found avsbench, sama"):
        estimate(pd.concat([rows, other]), "miou", **QUICK)
    with pytest.raises(DataError, match="protocol"):
        compare(rows, other, "miou", **QUICK)
    with pytest.raises(DataError, match="3 that only one has, first 'k0021'"):
        compare(rows, rows[:-3], "miou", **QUICK)
    with pytest.raises(DataError, match="one run; found 'k0000' twice"):
        estimate(pd.concat([rows, rows.assign(model="other")]), "miou", **QUICK)
    with pytest.raises(DataError, match="no rows"):
        estimate(rows[:0], "miou", **QUICK)
    with pytest.raises(ConfigError, match="Did you mean 'miou'"):
        estimate(rows, "miuo", **QUICK)


def test_measures_are_all_tried():
    tried = set(FRAME_MEASURES) | {"ciou", "ap50", "auc", "pixel_ap", "piap"}
    assert set(MEASURES) == tried
