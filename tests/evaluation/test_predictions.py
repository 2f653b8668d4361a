"""The masks that a report shows are those that were scored, of the frames it means to show."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.evaluation.predictions import (
    best_median_worst,
    best_of_categories,
    predict,
    write_predictions,
)
from avsynth.runtime.options import Runtime
from tests.helpers.score_rows import facts_of

torch = pytest.importorskip("torch")


def rows_of(ious, categories="abc"):
    names = [(f"k{i:02d}", iou, categories[i % len(categories)]) for i, iou in enumerate(ious)]
    frame = pd.DataFrame(names, columns=["key", "iou", "category"])
    return list(frame.itertuples(index=False))


def test_best_median_and_worst_are_chosen_by_iou_and_ties_by_key():
    rows = rows_of([0.5, 0.9, 0.1, 0.7, 0.3, 0.9, 0.2, 0.6, 0.4])
    assert best_median_worst(rows, 1) == ["k01", "k00", "k02"]
    assert best_median_worst(rows, 2) == ["k01", "k05", "k07", "k00", "k06", "k02"]
    assert best_median_worst(rows[::-1], 2) == best_median_worst(rows, 2)
    assert best_median_worst(rows_of([0.5, 0.9]), 3) == ["k01", "k00"]


def test_the_best_of_each_category_come_best_first():
    rows = rows_of([0.5, 0.9, 0.1, 0.7, 0.3, 0.8])
    assert best_of_categories(rows, 2) == ["k01", "k05"]
    assert best_of_categories(rows, 9) == ["k01", "k05", "k03"]


def test_a_folder_holds_the_masks_of_this_run_alone(tmp_path):
    mask = np.eye(5, dtype=bool)
    write_predictions(tmp_path / "run", {"old.png": mask})
    write_predictions(tmp_path / "run", {"new.png": mask, "new.noise.flac": b"fLaC"})
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"new.png", "new.noise.flac"}
    with Image.open(tmp_path / "run" / "new.png") as image:
        assert image.mode == "1"
        assert np.array_equal(np.asarray(image), mask)


def test_what_is_shown_is_what_was_scored(built):
    from avsynth.evaluation.evaluate import score
    from avsynth.metrics.rows import RunFacts
    from avsynth.pipelines.shared.models import build_model
    from avsynth.pipelines.shared.project import Project
    from avsynth.pipelines.shared.scoring import open_split

    params, runtime = load_params(built), Runtime()
    project = Project(params, Layout(built), runtime)
    model = build_model(project, "ap_sam")
    split = open_split(project, model, "synthetic", "test")
    facts = RunFacts(**facts_of(run="a", model="ap_sam", benchmark="synthetic", protocol="gavs"))
    scored = score(model, split, facts, batch_size=7, runtime=runtime)
    keys = best_median_worst(scored, 2)
    masks = dict(predict(model, split, keys, protocol="gavs", runtime=runtime))
    assert set(masks) == set(keys)
    pixels = {row.key: row.pred_px for row in scored}
    assert sum(pixels[key] for key in keys) > 0
    for key, mask in masks.items():
        assert abs(int(mask.sum()) - pixels[key]) <= mask.size // 1000  # other batch, other sums
