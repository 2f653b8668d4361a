"""Localisation from the official layout of boxes to the report: convert, score, report."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from avsynth.building.new_project import init_project
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.evaluation.evaluate import localise
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import encode_wav
from avsynth.loading.batch import Prediction
from avsynth.metrics.localisation import ciou, consensus_map
from avsynth.metrics.rows import RunFacts
from avsynth.models.checkpoints import save_trained
from avsynth.pipelines.convert import convert
from avsynth.pipelines.report import report
from avsynth.pipelines.shared.models import build_model
from avsynth.pipelines.shared.project import Project, pretrained
from avsynth.pipelines.shared.scoring import open_split
from avsynth.pipelines.zeroshot import zeroshot
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.options import Runtime
from tests.helpers.score_rows import facts_of

LEFT, RIGHT, CORNER = (0, 0, 128, 256), (128, 0, 256, 256), (128, 128, 256, 256)
PICTURES = {
    "100": [LEFT, LEFT], "200": [RIGHT, RIGHT], "300": [RIGHT, CORNER],
    "400": [LEFT], "500": [CORNER, CORNER, RIGHT], "600": [LEFT, RIGHT],
}  # fmt: skip
SMALL = ("models.av_sam.input_size=32", "models.sam_oracle.input_size=32",
         "convert.roots={flickr: data/raw/flickr}", "evaluate.example_frames=1",
         "evaluate.batch_size=4", "report.draws=50")  # fmt: skip


def write_flickr(root):
    """Write the official layout: noise images with boxes, and audio whose pitch rises."""
    for folder in ("frames", "audio", "Annotations"):
        (root / folder).mkdir(parents=True)
    for number, (name, boxes) in enumerate(PICTURES.items()):
        pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "frames" / f"{name}.jpg")
        time_s = np.arange(3 * 16_000) / 16_000
        sound = 0.3 * np.sin(2 * np.pi * 200 * (number + 1) * np.ceil(time_s) * time_s)
        (root / "audio" / f"{name}.wav").write_bytes(encode_wav(sound.astype(np.float32)))
        drawn = "".join(
            f"<bbox><annotator>{i}</annotator><xmin>{x0}</xmin><ymin>{y0}</ymin>"
            f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bbox>"
            for i, (x0, y0, x1, y1) in enumerate(boxes)
        )
        path = root / "Annotations" / f"{name}.xml"
        path.write_text(f"<annotation><object>{drawn}</object></annotation>")
    (root / "flickr_test.csv").write_text("".join(f"{name},x\n" for name in PICTURES))


def project_of(root):
    return Project(
        load_params(root, SMALL), Layout(root), Runtime(cache_dir=root / "cache", quiet=True)
    )


def run(stage, *items, root):
    project = project_of(root)
    return stage(*items, project.params, project.layout, project.runtime)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Build a project with Flickr-SoundNet, scored by an untrained model."""
    root = tmp_path_factory.mktemp("localised") / "project"
    init_project(root, "toy")
    write_flickr(root / "data" / "raw" / "flickr")
    run(convert, "flickr", root=root)
    project = project_of(root)
    for name in ("av_sam", "sam_oracle"):
        save_trained(build_model(project, name), pretrained(project, name), {})
        run(zeroshot, name, "flickr", root=root)
    return root


def test_every_image_has_a_row_with_its_protocol(scored):
    layout = Layout(scored)
    rows = pd.read_csv(layout.scores / "zeroshot" / "av_sam-flickr.csv", dtype={"clip_key": str})
    assert sorted(rows["clip_key"]) == sorted(PICTURES)
    assert set(rows["protocol"]) == {"consensus"}
    assert set(rows["version"]) == {"test-250"}
    assert set(rows["trained_on"]) == {"synthetic"}
    assert set(rows["real_percent"]) == {0}
    assert rows[["ciou", "pixel_ap", "piap"]].stack().between(0, 1).all()
    assert rows["ciou"].nunique() > 3


def test_the_stored_prediction_is_the_upper_half_that_was_scored(scored):
    layout = Layout(scored)
    rows = pd.read_csv(layout.scores / "zeroshot" / "av_sam-flickr.csv", dtype={"clip_key": str})
    by_key = rows.set_index("key")
    kept = sorted((layout.predictions / "zeroshot" / "av_sam-flickr").iterdir())
    assert len(kept) == 3
    assert {rows["ciou"].idxmin(), rows["ciou"].idxmax()} <= {
        rows.index[rows["key"] == path.stem][0] for path in kept
    }
    for path in kept:
        with Image.open(path) as image:
            predicted = np.asarray(image)
        assert predicted.shape == (224, 224)
        assert 0.5 <= predicted.mean() < 0.51
        row = by_key.loc[path.stem]
        truth = consensus_map(PICTURES[row["clip_key"]])
        assert ciou(predicted, truth) == pytest.approx(row["ciou"], abs=1e-12)


class HeatOnTheLeft(torch.nn.Module):
    """A model that predicts the left half of every image."""

    name = "left"
    architecture = "none"
    input_size = 32
    needs_waveform = False
    needs_whole_clips = False
    audio_encoder = None
    ground_truth_use = None

    def forward(self, batch):
        ramp = torch.linspace(1, -1, batch.frame_size[1])
        return Prediction(ramp.expand(len(batch), *batch.frame_size))


def test_scores_of_a_simple_prediction_by_hand(scored):
    project = project_of(scored)
    model = HeatOnTheLeft()
    split = open_split(project, model, "flickr", "test")
    facts = RunFacts(**facts_of(run="left", model="left", benchmark="flickr", protocol="consensus"))
    found = list(localise(model, split, facts, batch_size=4, runtime=project.runtime))
    expected = {
        "100": 1.0,  # both annotators drew the left half
        "200": 0.0,
        "300": 0.0,
        "400": 1.0,  # one annotator: a true pixel counts 0.5 in numerator and denominator
        "500": 0.0,
        "600": 0.5,  # one annotator drew the left half, one the right
    }
    assert {row.clip_key: row.ciou for row, _ in found} == pytest.approx(expected)
    assert {row.clip_key: row.pixel_ap for row, _ in found}["100"] == pytest.approx(1.0)
    for _, predicted in found:
        assert predicted[:, :112].all()
        assert not predicted[:, 112:].any()


def test_scoring_twice_gives_the_same_bytes(scored):
    path = Layout(scored).scores / "zeroshot" / "av_sam-flickr.csv"
    before = path.read_bytes()
    run(zeroshot, "av_sam", "flickr", root=scored)
    assert path.read_bytes() == before
    with pytest.raises(ConfigError, match="Did you mean 'flickr'"):
        run(zeroshot, "av_sam", "flicker", root=scored)


def test_the_report_shows_localisation_beside_the_published_values(scored):
    run(report, root=scored)
    layout = Layout(scored)
    table = pd.read_csv(layout.reports / "tables" / "localisation-flickr.csv")
    ours = table.set_index("run").loc["av_sam-flickr"]
    rows = pd.read_csv(layout.scores / "zeroshot" / "av_sam-flickr.csv")
    assert ours["ciou"] == pytest.approx(rows["ciou"].mean())
    assert ours["ap50"] == pytest.approx((rows["ciou"] >= 0.5).mean())
    assert ours["auc_low"] <= ours["auc"] <= ours["auc_high"]
    assert ours[["ap50_published", "auc_published", "piap_published"]].tolist() == [
        50.80,
        29.76,
        28.93,
    ]
    assert table.set_index("run").loc["sam_oracle-flickr", "piap_published"] != 28.93
    assert ours["images"] == len(PICTURES)
    page, twin = ((layout.reports / name).read_text() for name in ("index.html", "index.md"))
    section = page[page.index('<section id="localisation">') :].split("</section>")[0]
    for text in ("CIoU", "the two AP do not compare", "50.80", "worst · CIoU"):
        assert text in section
    assert section.count("<article") == 6
    assert "### Flickr-SoundNet" in twin
    assert not list(layout.reports.joinpath("tables").glob("results-flickr*"))
    metrics = json.loads((layout.reports / "metrics.json").read_text())
    values = metrics["zeroshot"]["av_sam-flickr"]
    assert set(values) == {"ciou", "ap50", "auc"}
    assert len(ShardReader(layout.shards("flickr"), "test")) == len(PICTURES)
