"""A user's own model, without SAM or VGGish, through the same functions as the six systems."""

import inspect
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.evaluation.evaluate import score
from avsynth.loading.batch import AvsModel, Prediction, check_model
from avsynth.metrics.rows import RunFacts
from avsynth.models import MODELS
from avsynth.models.backbones.vggish import embed
from avsynth.models.checkpoints import load_trained, read_info, save_trained
from avsynth.models.parts.init import seeded
from avsynth.pipelines.shared import models, project, runs
from avsynth.pipelines.train import train as train_stage
from avsynth.reports.read_scores import read_scores
from avsynth.runtime.errors import CheckpointError, ConfigError
from avsynth.runtime.options import Runtime
from avsynth.training import loop
from avsynth.training.distributed import Ranks
from avsynth.training.parallel import prepare
from tests.conftest import REPOSITORY
from tests.helpers.score_rows import facts_of
from tests.helpers.small import SETTINGS, small_split, write_small_shards


class ToneNet(nn.Module):
    """Image features times audio features, pixel by pixel."""

    name, architecture, input_size = "tone_net", "conv", 32
    needs_waveform = needs_whole_clips = False
    audio_encoder = ground_truth_use = None

    def __init__(self):
        super().__init__()
        self.image, self.audio = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(64, 8)

    def forward(self, batch):
        image, audio = self.image(batch.image / 255), self.audio(batch.logmel.mean(dim=2))
        logits = (image * audio[:, 0, :, None, None]).sum(dim=1, keepdim=True)
        return Prediction(nn.functional.interpolate(logits, batch.frame_size)[:, 0])

    def trainable_names(self):
        return sorted(self.state_dict())

    def loss(self, batch):
        logits, mask = self(batch).logits, batch.mask.float()
        return nn.functional.binary_cross_entropy_with_logits(logits, mask)


class MeanOverTime(nn.Module):
    """A frozen audio encoder of 64 numbers: the mean of the log-mel over time."""

    embedding_dim = 64

    def forward(self, logmel):
        return logmel[:, 0].mean(dim=1)


class EncodedToneNet(ToneNet):
    """The same network on audio embeddings of an encoder of its own."""

    audio_encoder = MeanOverTime()

    def forward(self, batch):
        embedding = batch.audio_embedding
        if embedding is None:
            embedding = self.audio_encoder(batch.logmel)
        logmel = embedding[:, None, None].expand(-1, 1, 96, 64)
        return super().forward(replace(batch, logmel=logmel))


RUNTIME, ALONE = Runtime(quiet=True), Ranks(0, 1, torch.device("cpu"))
FACTS = RunFacts(**facts_of(run="tone_net", model="tone_net", benchmark="synthetic"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_small_shards(tmp_path_factory.mktemp("own"), {"train": 26, "val": 8, "test": 8})


def tone_net():
    with seeded(0):
        return ToneNet()


def trained(shards, folder, model, settings=SETTINGS):
    splits = tuple(small_split(shards, name, size=model.input_size) for name in ("train", "val"))
    state = loop.Run(folder / "state.pt", "own", seed=1)
    return loop.train(model, splits, settings, state, ranks=ALONE, runtime=RUNTIME)


def ious(model, shards):
    split = small_split(shards, "test", whole_clips=True, size=model.input_size)
    rows = score(model, split, FACTS, batch_size=4, runtime=RUNTIME)
    return [row.iou for row in rows]


def test_it_has_at_most_20_lines_and_is_the_example_of_the_documentation():
    source = inspect.getsource(ToneNet)
    assert len([line for line in source.splitlines() if line]) <= 20
    assert source in (REPOSITORY / "docs" / "models.md").read_text()


def test_it_trains_saves_loads_and_scores(shards, tmp_path):
    model, path = tone_net(), tmp_path / "weights.safetensors"
    assert isinstance(model, AvsModel)
    before = ious(model, shards)
    done = trained(shards, tmp_path, model)
    assert len(done.history) == SETTINGS.epochs
    info = save_trained(model, path, {})
    assert (info.model, info.architecture, info.frozen) == ("tone_net", "conv", {})
    assert info == read_info(path)
    fresh = tone_net()
    assert load_trained(fresh, path) == info
    after = ious(model, shards)
    assert ious(fresh, shards) == after
    assert sum(after) > sum(before)


def test_a_frozen_part_of_it_is_compared_when_weights_are_loaded(tmp_path):
    path, model = tmp_path / "weights.safetensors", tone_net()
    model.trainable_names = lambda: ["audio.bias", "audio.weight"]
    assert set(save_trained(model, path, {}).frozen) == {"image"}
    other = tone_net()
    other.trainable_names = model.trainable_names
    nn.init.zeros_(other.image.weight)
    with pytest.raises(CheckpointError, match=r"expected backbone conv, image \w{12}; found"):
        load_trained(other, path)
    other = tone_net()
    other.architecture = "deep conv"
    with pytest.raises(CheckpointError, match="backbone deep conv; found backbone conv"):
        load_trained(other, path)


@pytest.mark.parametrize("network", [ToneNet, EncodedToneNet])
def test_it_runs_as_a_stage_with_the_paths_of_the_six(built, tmp_path, monkeypatch, network):
    def build(sam, vggish=None, *, seed=0):
        with seeded(seed):
            return network()

    root = tmp_path / "project"
    shutil.copytree(built, root)
    for module in (project, models):
        monkeypatch.setattr(module, "MODELS", {**MODELS, "tone_net": build})
    banks = []
    monkeypatch.setattr(
        runs, "open_bank", lambda *given, f=runs.open_bank: banks.append(f(*given)) or banks[-1]
    )
    params = load_params(root, ["evaluate.frame_size=32", "evaluate.example_frames=1"])
    section = params.models["ap_sam"]
    training = section.train.model_copy(update={"epochs": 1})
    own = section.model_copy(update={"input_size": 32, "build": {}, "train": training})
    params = params.model_copy(update={"models": {**params.models, "tone_net": own}})
    layout, runtime = Layout(root), Runtime(cache_dir=tmp_path / "cache", quiet=True)
    train_stage("tone_net", params, layout, runtime)
    assert read_info(layout.runs / "train/tone_net/weights.safetensors").model == "tone_net"
    rows = read_scores(layout.scores).rows
    assert set(rows["model"]) == {"tone_net"}
    widths = {row.shape[1] for bank in banks for row in bank.seconds.values()}
    assert widths == ({64} if network is EncodedToneNet else set())


class NoAttributes(nn.Module):
    pass


class Unnamed(ToneNet):
    def trainable_names(self):
        return ["audio.weight"]


class Misspelt(ToneNet):
    def trainable_names(self):
        return ["audio.wieght"]


class HiddenEncoder(ToneNet):
    def __init__(self):
        super().__init__()
        self.audio_encoder = MeanOverTime()


class TrainedEncoder(nn.Module):
    name, architecture, input_size = "own", "conv", 32
    needs_waveform = needs_whole_clips = False
    ground_truth_use = None
    trainable_names = ToneNet.trainable_names
    loss = ToneNet.loss

    def __init__(self):
        super().__init__()
        self.audio_encoder = nn.Linear(64, 64)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (NoAttributes, "found no name, architecture, input_size, needs_waveform"),
        (Unnamed, "found 'image.weight' is not named"),
        (Misspelt, "found 'audio.wieght'"),
        (HiddenEncoder, "one audio_encoder; found None in the class, and a module"),
        (TrainedEncoder, r"a frozen audio_encoder; found audio_encoder\.bias is trained"),
        (object, "a torch.nn.Module; found object"),
    ],
)
def test_what_it_lacks_is_named_before_it_trains(network, message):
    with pytest.raises(ConfigError, match=message):
        check_model(network())


def test_an_audio_encoder_of_another_width_is_refused():
    encoder = MeanOverTime()
    encoder.embedding_dim = 128
    with pytest.raises(ConfigError, match=r"output \(2, 128\); found \(2, 64\)"):
        embed(encoder, torch.zeros(2, 1, 96, 64))


@pytest.mark.parametrize("switch", ["checkpointing", "compile"])
def test_switches_of_the_encoder_blocks_are_refused_without_blocks(switch):
    training = SETTINGS.model_copy(update={switch: True})
    with pytest.raises(ConfigError, match=rf"train\.{switch}: .* encoder_blocks; found ToneNet"):
        prepare(tone_net(), training, ALONE)
