"""Learning on the toy world: the model uses the audio, and pre-training helps on real data.

The tests train for minutes, so they are marked slow. The settings are those of params.yaml.
"""

import json

import pandas as pd
import pytest

from avsynth.building.new_project import init_project
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.pipelines.build import build
from avsynth.pipelines.convert import convert
from avsynth.pipelines.fewshot import fewshot
from avsynth.pipelines.train import train
from avsynth.runtime.options import Runtime

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    root = tmp_path_factory.mktemp("learning") / "project"
    init_project(root, "toy")
    params, layout = load_params(root), Layout(root)
    runtime = Runtime(workers=2, executor="process", quiet=True)
    for _ in build(params, layout, runtime):
        pass
    alone = Runtime(cache_dir=root / "cache", quiet=True)
    train("sama_avs", params, layout, alone)
    return params, layout, alone


def test_the_correct_audio_beats_every_audio_blind_prediction(learned):
    _, layout, _ = learned
    found = json.loads((layout.scores / "audio-test" / "sama_avs.json").read_text())
    assert found["miou_own"] > found["miou_audio_blind_bound"] + 0.1
    wrong = max(found[f"miou_{sound}"] for sound in ("silence", "noise", "other"))
    assert found["miou_own"] > wrong + 0.2


def test_pre_training_helps_with_little_real_data(learned):
    params, layout, runtime = learned
    convert("s4", params, layout, runtime)
    for percent in ("0", "10"):
        fewshot("sama_avs", "s4", percent, params, layout, runtime)
        with_, without = (
            pd.read_csv(layout.scores / "fewshot" / f"sama_avs-s4-{percent}-{word}.csv")["iou"]
            for word in ("with", "without")
        )
        assert with_.mean() > without.mean() + 0.1
