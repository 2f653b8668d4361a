"""Label maps on AVSBench-semantic: the command's table, files and messages."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from avsynth.commands.semantic import semantic
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.runtime.errors import ConfigError, DataError
from avsynth.runtime.options import Runtime
from tests.cli.test_cli import avsynth


@pytest.fixture
def predictions(built, tmp_path):
    """A folder with the ground truth of the test split as predictions."""
    root = built / "data/raw/avss"
    metadata = pd.read_csv(root / "metadata.csv", dtype=str)
    test = metadata[metadata["split"] == "test"]
    assert len(test) > 0
    for row in test.itertuples():
        shutil.copytree(root / row.label / row.uid / "labels_semantic", tmp_path / "maps" / row.uid)
    return tmp_path / "maps"


def run(built, tmp_path, folder, split="test"):
    params = load_params(built)
    layout = Layout(tmp_path / "project")
    roots = {k: str(built / v) for k, v in params.convert.roots.items()}
    params = params.model_copy(
        update={"convert": params.convert.model_copy(update={"roots": roots})}
    )
    return semantic(folder, split, params, layout, Runtime()), layout.reports / "semantic"


def frames(folder):
    return sorted(folder.rglob("*.png"))


def test_perfect_maps_score_one_on_the_classes_that_occur(built, tmp_path, predictions):
    table, reports = run(built, tmp_path, predictions)
    means = json.loads((reports / "maps.json").read_text())
    assert means["miou_present"] == pytest.approx(1)
    occurring = len({c for p in frames(predictions) for c in np.unique(Image.open(p))})
    assert 2 < occurring < 71
    assert means["miou"] == pytest.approx(
        occurring / 71, abs=1e-6
    )  # as published: absent classes are 0
    written = pd.read_csv(reports / "maps.csv")
    assert len(written) == occurring + 3 == len(table.rows)
    assert written["iou"][:occurring].tolist() == pytest.approx([1] * occurring)
    assert written["category"][0] == "background"
    assert written["frames"][0] == len(frames(predictions))


def test_a_class_that_is_missed_scores_by_hand(built, tmp_path, predictions):
    for path in frames(predictions):
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    table, _ = run(built, tmp_path, predictions)
    by_name = {row[0]: row for row in table.rows}
    assert by_name["background"][1].value > 0.3
    others = [row[1].value for row in table.rows[1:-3]]
    assert others
    assert max(others) == 0


def test_maps_of_another_size_or_with_a_palette_are_read(built, tmp_path, predictions):
    for path in frames(predictions):
        labels = Image.open(path)
        large = labels.resize((2 * labels.width, 2 * labels.height), Image.Resampling.NEAREST)
        image = Image.fromarray(np.asarray(large), "P")
        image.putpalette([255 - i for i in range(256) for _ in range(3)])
        image.save(path)
    _, reports = run(built, tmp_path, predictions)
    assert json.loads((reports / "maps.json").read_text())["miou_present"] == pytest.approx(1)


def test_faults_are_named(built, tmp_path, predictions):
    first, second, *_ = frames(predictions)
    Image.open(first).convert("RGB").save(first)
    with pytest.raises(DataError, match="mode RGB"):
        run(built, tmp_path, predictions)
    Image.fromarray(np.full((4, 4), 200, np.uint8)).save(first)
    with pytest.raises(DataError, match="class 200"):
        run(built, tmp_path, predictions)
    second.unlink()
    with pytest.raises(DataError, match=r"1 of \d+ absent, first .*\.png"):
        run(built, tmp_path, predictions)
    with pytest.raises(DataError, match="clips of split tets; found none"):
        run(built, tmp_path, predictions, "tets")
    params = load_params(built)
    params = params.model_copy(update={"convert": params.convert.model_copy(update={"roots": {}})})
    with pytest.raises(ConfigError, match="v2 or v3"):
        semantic(predictions, "test", params, Layout(tmp_path), Runtime())


def test_the_command_prints_the_means(built, tmp_path, predictions):
    root = tmp_path / "project"
    shutil.copytree(built, root)
    done = avsynth("semantic", predictions, cwd=root)
    assert done.returncode == 0, done.stderr
    assert re.search(r"mean of those that occur +100\.0 +1\.000", done.stdout)
