"""Score rows: one per frame, recomputable; the audio test and its bound."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from avsynth.core.tables import read_table, write_table
from avsynth.evaluation.audio_sensitivity import (
    ReplacedAudio,
    audio_blind_iou,
    audio_rows,
    choose_partners,
)
from avsynth.evaluation.evaluate import score
from avsynth.loading.dataset import SampleSpec, ShardDataset, SplitData
from avsynth.loading.decode import decode_mask
from avsynth.metrics.bootstrap import estimate
from avsynth.metrics.fmeasure import unpack
from avsynth.metrics.frames import f_measure, frame_iou
from avsynth.metrics.rows import AUDIO, AudioRow, FrameRow, RunFacts
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from tests.helpers.score_rows import facts_of
from tests.helpers.small import SmallModel, small_split, write_small_shards
from tests.helpers.training_job import Job, run

FACTS = RunFacts(**facts_of(run="small-run", model="small", benchmark="small"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    counts = {"train": 26, "val": 8, "test": 6}
    return write_small_shards(tmp_path_factory.mktemp("scores"), counts, {"test": 2})


@pytest.fixture(scope="module")
def model(shards, tmp_path_factory):
    model = SmallModel()
    state = tmp_path_factory.mktemp("state") / "s.pt"
    model.load_state_dict(run(Job(str(shards), str(state), dropout=0.1)))
    return model


def rows_of(model, split, batch_size=4):
    return score(model, split, FACTS, batch_size=batch_size, runtime=Runtime())


def test_every_frame_has_one_row_with_its_sample_and_the_facts_of_its_run(shards, model, tmp_path):
    split = small_split(shards, "test", whole_clips=True)
    rows = rows_of(model, split)
    assert [row.key for row in rows] == list(split.dataset.reader.keys)
    first = rows[0]
    assert (first.clip_key, first.category, first.num_frames, first.frame_index) == (
        "test0", "low", 2, 0,
    )  # fmt: skip
    assert (first.run, first.model, first.benchmark, first.split) == (
        "small-run", "small", "small", "test",
    )  # fmt: skip
    write_table(tmp_path / "rows.csv", FrameRow, rows, key=("key",))
    read = read_table(tmp_path / "rows.csv", FrameRow)
    assert list(read["key"]) == sorted(row.key for row in rows)
    value = estimate(read, "miou", draws=10, seed=0).value
    assert value == pytest.approx(np.mean([row.iou for row in rows]))


def test_rows_hold_what_the_metrics_say_of_the_logits(shards, model):
    split = small_split(shards, "test", whole_clips=True)
    rows = rows_of(model, split)
    assert len(rows) > 2
    for row in rows[:3]:
        parts = split.dataset.reader.parts(row.key)
        mask = decode_mask(parts["mask.png"], (16, 16))
        from avsynth.loading.sampler import Request

        (group,) = [g for g in split.groups if row.key in g.keys]
        _, batch = split.dataset[Request(0, 0, (group,), 1.0)]
        with torch.no_grad():
            logits = model(batch).logits[[batch.keys.index(row.key)]]
        assert row.iou == pytest.approx(frame_iou(logits, mask[None]).item())
        assert row.fscore == pytest.approx(f_measure(logits, mask[None]))
        assert row.gt_px == int(mask.sum())
        assert row.pred_px == int((logits > 0).sum())
        assert unpack(row.histogram).sum() == 256


def test_batch_size_and_workers_change_no_row(shards, model):
    split = small_split(shards, "test", whole_clips=True)
    plain = rows_of(model, split, batch_size=100)
    assert len(plain) > 3, "more than one batch of the larger size"
    for size in (1, 3):
        for a, b in zip(plain, rows_of(model, split, size), strict=True):
            assert (a.key, a.inter_px, a.pred_px) == (b.key, b.inter_px, b.pred_px)


def test_frames_are_scored_at_their_own_size_when_none_is_set(shards, model):
    class Resizing(SmallModel):
        def forward(self, batch):
            logits = super().forward(batch).logits[:, None]
            from avsynth.loading.batch import Prediction

            return Prediction(torch.nn.functional.interpolate(logits, batch.frame_size)[:, 0])

    split = small_split(shards, "test", whole_clips=True)
    own = SplitData(ShardDataset(split.dataset.reader, SampleSpec(16, None)), split.groups)
    rows = rows_of(Resizing(), own)
    assert {unpack(row.histogram).sum() for row in rows} == {20 * 24}


def test_nothing_to_score_is_said(shards, model):
    split = small_split(shards, "test")
    with pytest.raises(DataError, match="samples of split test; found none"):
        rows_of(model, SplitData(split.dataset, []))


def test_the_right_audio_beats_every_other(shards, model):
    split = small_split(shards, "test", whole_clips=True)
    reader = split.dataset.reader
    metas = {key: dict(reader.meta(key)) for key in reader.keys}
    for key, meta in metas.items():  # every clip has an image of its own here
        meta["image_id"] = key
    partners = choose_partners(metas, seed=0)
    assert set(partners) == set(reader.keys)
    assert all(metas[k]["category"] != metas[p]["category"] for k, p in partners.items())
    found: list[AudioRow] = []
    for audio in AUDIO:
        replaced = ReplacedAudio(split.dataset, audio, partners, seed=0)
        found += audio_rows(rows_of(model, SplitData(replaced, split.groups)), audio, partners)
    table = pd.DataFrame([(r.audio, r.iou, r.audio_key) for r in found], columns=list("sik"))
    means = table.groupby("s")["i"].mean()
    assert means["own"] > 0.8
    assert means["own"] > means[["silence", "noise", "other"]].max() + 0.3
    assert set(table.loc[table["s"] == "silence", "k"]) == {""}
    assert set(table.loc[table["s"] == "own", "k"]) == set(reader.keys)


def test_audio_is_other_only_where_no_mask_of_its_category_is_known():
    metas = {
        "a": {"category": "dog", "image_id": "1"},
        "b": {"category": "cat", "image_id": "1"},
        "c": {"category": "bus", "image_id": "2"},
    }
    for seed in range(5):
        assert choose_partners(metas, seed)["a"] == "c"
        assert choose_partners(metas, seed)["c"] in "ab"
    del metas["c"]
    assert choose_partners(metas, 0) == {}


def test_the_bound_without_audio_is_the_best_single_mask(shards):
    # Both halves of an image sound in turn: half of it, or all of it, has IoU 1/2 on average.
    reader = small_split(shards, "test").dataset.reader
    bound = audio_blind_iou(reader, None)
    assert set(bound) == set(reader.keys)
    assert np.mean(list(bound.values())) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("areas", "best"),
    [
        ((4,), 1.0),
        ((4, 4), 0.5),
        ((9, 1), 0.5),  # (0.9 + 0.1) / 2 with both, (1 + 0) / 2 with one
        ((2, 2, 2), 1 / 3),
    ],
)
def test_disjoint_masks_bound_each_other(areas, best):
    from avsynth.evaluation.audio_sensitivity import _best_single

    masks = np.zeros((len(areas), 12), np.uint8)
    edges = np.cumsum([0, *areas])
    for i, (start, end) in enumerate(itertools.pairwise(edges)):
        masks[i, start:end] = 1
    assert _best_single(masks).mean() == pytest.approx(best)


def test_no_random_mask_beats_the_bound():
    from avsynth.evaluation.audio_sensitivity import _best_single

    rng = np.random.default_rng(0)
    masks = (rng.random((3, 40)) < 0.4).astype(np.uint8)
    bound = _best_single(masks).mean()
    for _ in range(3000):
        guess = rng.random(40) < rng.random()
        ious = (masks & guess).sum(1) / np.maximum((masks | guess).sum(1), 1)
        assert ious.mean() <= bound + 1e-12
