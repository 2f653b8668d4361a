"""The stages after the shards on a small toy world: every one runs and writes its outputs."""

import json
import shutil

import pandas as pd
import pytest

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.formats.shards import ShardReader
from avsynth.inspection.fiftyone_app.scores import gaps, scored_runs
from avsynth.models.checkpoints import read_info
from avsynth.pipelines.ablate import ablate
from avsynth.pipelines.convert import convert
from avsynth.pipelines.fewshot import fewshot
from avsynth.pipelines.s4_to_ms3 import s4_to_ms3
from avsynth.pipelines.train import train
from avsynth.pipelines.v3_base import v3_base
from avsynth.pipelines.v3_shots import v3_shots
from avsynth.pipelines.zeroshot import zeroshot
from avsynth.reports.read_scores import read_scores
from avsynth.runtime.errors import CheckpointError, ConfigError, DataError
from avsynth.runtime.options import Runtime

SMALL = (
    "models.sama_avs.input_size=32", "models.sama_avs.train.epochs=1",
    "models.save.input_size=32", "models.save.train.epochs=1",
    "models.st_bava.input_size=32", "models.st_bava.train.epochs=1",
    "models.sam_oracle.input_size=32", "evaluate.frame_size=48",
    "fewshot.epochs=1", "s4_to_ms3.epochs=1", "v3_base.epochs=1", "v3_shots.epochs=1",
    "ablate.epochs=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def project(built, tmp_path_factory):
    root = tmp_path_factory.mktemp("experiments") / "project"
    shutil.copytree(built, root)
    return root


def facts(rows):
    names = ["trained_on", "pretrained_on", "finetuned_on", "real_percent", "shots", "ablation"]
    return set(rows[names].itertuples(index=False, name=None))


def stage(run, *items, root, settings=()):
    runtime = Runtime(cache_dir=root / "cache", quiet=True)
    return run(*items, load_params(root, [*SMALL, *settings]), Layout(root), runtime)


@pytest.fixture(scope="module")
def trained(project):
    stage(train, "sama_avs", root=project)
    return project


@pytest.fixture(scope="module")
def converted(project):
    for benchmark in ("s4", "ms3"):
        stage(convert, benchmark, root=project)
    return project


def test_a_benchmark_becomes_shards_with_complete_clips(converted):
    layout = Layout(converted)
    for benchmark, frames in (("s4", 5), ("ms3", 5)):
        reader = ShardReader(layout.shards(benchmark), "test")
        metas = [reader.meta(key) for key in reader.keys]
        clips = [m["clip_key"] for m in metas]
        assert len(clips) == frames * len(set(clips)) > 0
        assert [m["frame_index"] for m in metas] == list(range(frames)) * len(set(clips))
    again = {p.name: p.read_bytes() for p in layout.shards("s4").iterdir()}
    stage(convert, "s4", root=converted)
    assert again == {p.name: p.read_bytes() for p in layout.shards("s4").iterdir()}


def test_an_incomplete_benchmark_keeps_the_existing_shards(converted):
    layout = Layout(converted)
    frame = next((converted / "data/raw/avsbench").rglob("visual_frames/*/*/*/*.png"))
    before = sorted(p.name for p in layout.shards("s4").iterdir())
    moved = frame.rename(frame.with_suffix(".gone"))
    try:
        with pytest.raises(DataError, match=frame.name):
            stage(convert, "s4", root=converted)
    finally:
        moved.rename(frame)
    assert sorted(p.name for p in layout.shards("s4").iterdir()) == before
    with pytest.raises(ConfigError, match="'s5'"):
        stage(convert, "s5", root=converted)


def test_training_writes_weights_metrics_plots_and_rows(trained):
    layout = Layout(trained)
    folder = layout.runs / "train" / "sama_avs"
    assert read_info(folder / "weights.safetensors").model == "sama_avs"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["effective_batch"] == 16
    assert 0 <= metrics["val_miou"] <= 1
    plot = pd.read_csv(folder / "live/plots/metrics/val/miou.tsv", sep="\t")
    assert len(plot) == 1
    assert not list((layout.runs / ".state").glob("*.pt*"))
    scores = read_scores(layout.scores)
    assert len(scores.rows[scores.rows["stage"] == "test"]) == len(
        ShardReader(layout.shards("avs-synthetic"), "test")
    )
    assert set(scores.audio_test["audio"]) == {"own", "silence", "noise", "other"}
    bounds = json.loads((layout.scores / "audio-test/sama_avs.json").read_text())
    assert 0 < bounds["miou_audio_blind_bound"] < 1


def test_the_same_run_gives_the_same_bytes(trained):
    layout = Layout(trained)
    files = [
        layout.runs / "train/sama_avs/weights.safetensors",
        layout.scores / "test/sama_avs.csv",
        layout.scores / "audio-test/sama_avs.csv",
    ]
    before = [path.read_bytes() for path in files]
    stage(train, "sama_avs", root=trained)
    assert [path.read_bytes() for path in files] == before


def test_zero_shot_needs_weights_of_the_same_model(trained, converted):
    stage(zeroshot, "sama_avs", "s4", root=trained)
    rows = read_scores(Layout(trained).scores).rows
    rows = rows[rows["stage"] == "zeroshot"]
    assert facts(rows) == {("synthetic", "", "", 0, 0, "")}
    assert set(rows["architecture"]) == {"tiny"}
    assert set(rows["input_size"]) == {32}
    assert set(rows["benchmark"]) == {"s4"}
    with pytest.raises(CheckpointError, match="no such file"):
        stage(zeroshot, "save", "s4", root=trained)
    runs = Layout(trained).runs / "train"
    shutil.copytree(runs / "sama_avs", runs / "save")
    with pytest.raises(CheckpointError, match=r"expected save; found sama_avs"):
        stage(zeroshot, "save", "s4", root=trained)
    shutil.rmtree(runs / "save")
    with pytest.raises(ConfigError, match="Did you mean 'sama_avs'"):
        stage(zeroshot, "sama_av", "s4", root=trained)


@pytest.mark.slow
def test_every_other_stage_runs(trained, converted):
    layout = Layout(trained)
    stage(zeroshot, "sama_avs", "s4", root=trained)
    for percent in ("0", "10", "100"):
        stage(fewshot, "sama_avs", "s4", percent, root=trained)
    stage(s4_to_ms3, "sama_avs", root=trained)
    for benchmark in ("v3", "v3-1shot"):
        stage(convert, benchmark, root=trained)
    stage(v3_base, "sama_avs", root=trained)
    stage(v3_shots, "sama_avs", "1", root=trained)
    stage(ablate, "adapters-1", root=trained)
    for model in ("sam_oracle", "st_bava"):
        stage(train, model, root=trained)
        stage(zeroshot, model, "ms3", root=trained)
    rows = read_scores(layout.scores).rows
    assert set(rows["stage"]) >= {"ablate", "s4_to_ms3", "fewshot", "v3_base", "test", "v3_shots"}
    assert facts(rows[rows["stage"] == "fewshot"]) == {
        ("", "", "", 0, 0, ""), ("synthetic", "", "", 0, 0, ""),
        ("s4", "", "", 10, 0, ""), ("s4", "synthetic", "", 10, 0, ""),
        ("s4", "", "", 100, 0, ""), ("s4", "synthetic", "", 100, 0, ""),
    }  # fmt: skip
    assert facts(rows[rows["stage"] == "s4_to_ms3"]) == {
        ("s4", "", "ms3", 100, 0, ""), ("s4", "synthetic", "ms3", 100, 0, ""),
    }  # fmt: skip
    assert facts(rows[rows["stage"] == "v3_base"]) == {("v3", "", "", 100, 0, "")}
    assert facts(rows[rows["stage"] == "v3_shots"]) == {("v3", "", "v3-1shot", 100, 1, "")}
    assert facts(rows[rows["stage"] == "ablate"]) == {("s4", "", "", 100, 0, "num_adapters=1")}
    oracle = rows[rows["model"] == "sam_oracle"]
    assert facts(oracle) == {("", "", "", 0, 0, "")}
    assert set(oracle["prompt"]) == {"1 boxes"}
    assert set(rows.loc[rows["model"] != "sam_oracle", "prompt"]) == {""}
    keys = set(ShardReader(layout.shards("s4"), "test").keys)
    runs = {run.title: run.iou for run in scored_runs(layout, "s4", keys)}
    gap = gaps(scored_runs(layout, "s4", keys))
    assert gap.keys() == keys
    before = [runs[name] for name in ("zeroshot sama_avs-s4", "fewshot sama_avs-s4-0-with")]
    after = [runs[f"fewshot sama_avs-s4-{p}-{w}"] for p in (10, 100) for w in ("with", "without")]
    for key in keys:
        largest = max(run[key] for run in after) - min(run[key] for run in before)
        assert gap[key] == pytest.approx(largest)
    untrained = read_info(layout.runs / "fewshot/sama_avs-s4-0/without/weights.safetensors")
    assert untrained.model == "sama_avs"


def test_items_that_params_do_not_name_are_refused(trained):
    with pytest.raises(ConfigError, match="Did you mean 'adapters-1'"):
        stage(ablate, "adapter-1", root=trained)
    with pytest.raises(ConfigError, match="'v3-twoshot'"):
        stage(v3_shots, "sama_avs", "two", root=trained)
    for percent in ("101", "-1", "ten"):
        with pytest.raises(ConfigError, match="a percentage from 0 to 100"):
            stage(fewshot, "sama_avs", "s4", percent, root=trained)
    with pytest.raises(CheckpointError, match="no such file"):
        stage(s4_to_ms3, "save", root=trained)
