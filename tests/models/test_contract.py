"""What every system must hold to, whatever is inside it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from avsynth.loading.batch import AvsModel, Batch
from avsynth.models import MODELS, av_sam
from avsynth.models.checkpoints import load_trained, save_trained
from avsynth.runtime.errors import ConfigError
from tests.helpers.model_samples import SMALL, TRAINED, make_batch, make_model

NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CUDA])]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, and a tenth of AV-SAM's spectrogram: its ResNet18 costs more than all else."""
    monkeypatch.setattr(av_sam, "SAMPLES", av_sam.WINDOW + 31 * av_sam.HOP)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def halves(batch: Batch, at: int) -> tuple[Batch, Batch]:
    """Cut a batch into its first ``at`` frames and the others."""
    parts = []
    for place in (slice(0, at), slice(at, None)):
        tensors = {
            name: value[place]
            for name in ("image", "logmel", "audio_embedding", "waveform", "mask")
            if (value := getattr(batch, name)) is not None
        }
        parts.append(replace(batch, keys=batch.keys[place], **tensors))
    return parts[0], parts[1]


def test_there_are_six_systems() -> None:
    assert list(MODELS) == ["sam_oracle", "ap_sam", "av_sam", "sama_avs", "save", "st_bava"]
    assert len(TRAINED) == 5


@pytest.mark.parametrize("size", [64, 256])
@pytest.mark.parametrize("name", MODELS)
def test_logits_have_the_size_of_the_frame(name: str, size: int) -> None:
    model, batch = make_model(name, size), make_batch(2, size)
    assert isinstance(model, AvsModel)
    assert (model.name, model.input_size) == (name, size)
    with torch.no_grad():
        logits = model(batch).logits
    assert logits.shape == (2, size, size + 6)
    assert logits.isfinite().all()


@pytest.mark.parametrize("num_frames", [1, 5])
@pytest.mark.parametrize("name", MODELS)
def test_a_batch_equals_its_clips_one_by_one(name: str, num_frames: int) -> None:
    model = make_model(name, spread=True)
    batch = make_batch(2 * num_frames, num_frames=num_frames)
    with torch.no_grad():
        together = model(batch).logits
        apart = torch.cat([model(part).logits for part in halves(batch, num_frames)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", TRAINED)
def test_a_step_moves_what_trains_and_nothing_else(name: str, device: str) -> None:
    model, batch = make_model(name, spread=True).to(device).train(), make_batch().to(device)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    model.loss(batch).backward()
    optimizer.step()
    names = model.trainable_names()
    assert names == sorted(names)
    assert set(names) < set(before)
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert moved <= set(names)
    parameters = {n for n, p in model.named_parameters() if p.requires_grad}
    assert len(moved & parameters) == len(parameters)


@pytest.mark.parametrize("train_image_encoder", [False, True])
@pytest.mark.parametrize("name", TRAINED)
def test_gradients_reach_every_trainable_parameter(name: str, train_image_encoder: bool) -> None:
    model = make_model(name, spread=True, train_image_encoder=train_image_encoder).train()
    batch = make_batch(10, num_frames=5)
    model.loss(batch).backward()
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert parameters
    for path, parameter in parameters.items():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        # A constant added to every key leaves attention as it is: this gradient is zero.
        assert parameter.grad.abs().max() > 0 or path.endswith("k_proj.bias"), path
    encoder = {n for n in parameters if n.startswith("sam.image_encoder.")}
    assert bool(encoder) == train_image_encoder


@pytest.mark.parametrize("name", TRAINED)
def test_another_sound_gives_another_mask(name: str) -> None:
    model, batch = make_model(name, spread=True), make_batch()
    other = make_batch(seed=1)
    assert batch.waveform is not None
    silence = replace(
        batch,
        logmel=torch.full_like(batch.logmel, -4.60517),
        waveform=torch.zeros_like(batch.waveform),
    )
    with torch.no_grad():
        first = model(batch).logits
        for sound in (silence, replace(batch, logmel=other.logmel, waveform=other.waveform)):
            assert (model(sound).logits - first).abs().max() > 1e-3


@pytest.mark.parametrize("name", sorted(set(TRAINED) - {"av_sam"}))
def test_the_embedding_stands_for_the_sound(name: str) -> None:
    model, batch = make_model(name, spread=True), make_batch()
    with torch.no_grad():
        heard = model(batch).logits
        given = replace(batch, audio_embedding=model.audio_encoder(batch.logmel))
        model.audio_encoder = None
        assert torch.equal(model(given).logits, heard)
        with pytest.raises(ConfigError, match="a VGGish, or batches with their embedding"):
            model(batch)


@pytest.mark.parametrize("name", MODELS)
def test_eval_is_deterministic(name: str) -> None:
    batch = make_batch(5, num_frames=5)
    with torch.no_grad():
        model = make_model(name, spread=True)
        first, again = model(batch).logits, model(batch).logits
        torch.manual_seed(123)
        rebuilt = make_model(name, spread=True)(batch).logits
    assert torch.equal(first, again)
    assert torch.equal(first, rebuilt)


@pytest.mark.parametrize("name", MODELS)
def test_building_leaves_the_random_state_alone(name: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    make_model(name)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", TRAINED)
def test_the_seed_draws_the_new_weights(name: str) -> None:
    new = {"av_sam": "project.weight", "ap_sam": "audio_mlp.0.weight", "st_bava": "project.weight"}
    path = new.get(name, "adapters.up.weight" if name == "sama_avs" else "prompt.1.0.weight")
    drawn = [make_model(name, seed=seed).state_dict()[path] for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("name", MODELS)
def test_save_and_load_is_exact(name: str, tmp_path: Path) -> None:
    model, batch = make_model(name, spread=True), make_batch()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.5
    parameters = SMALL.get(name, {})
    info = save_trained(model, tmp_path / "one.safetensors", parameters)
    save_trained(model, tmp_path / "two.safetensors", parameters)
    assert (tmp_path / "one.safetensors").read_bytes() == (
        tmp_path / "two.safetensors"
    ).read_bytes()
    fresh = make_model(name)
    assert load_trained(fresh, tmp_path / "one.safetensors") == info
    with torch.no_grad():
        assert torch.equal(fresh(batch).logits, model(batch).logits)
    assert set(info.parameters) == set(parameters)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_runs_and_stays_near(name: str, device: str) -> None:
    model, batch = make_model(name).to(device), make_batch(5, num_frames=5).to(device)
    with torch.no_grad():
        exact = model(batch).logits
        with torch.autocast(device, torch.bfloat16):
            rounded = model(batch).logits
    assert rounded.dtype == torch.float32
    error = (rounded - exact).norm() / exact.norm()
    # The oracle's hard mask may flip whole pixels at its border; logits move by rounding only.
    assert error < (0.5 if name == "sam_oracle" else 0.05)
    if name in TRAINED:
        model.train()
        with torch.autocast(device, torch.bfloat16):
            loss = model.loss(batch)
        loss.backward()
        assert loss.dtype == torch.float32
        grads = [p.grad for p in model.parameters() if p.requires_grad]
        assert all(g is not None and g.isfinite().all() for g in grads)


@pytest.mark.parametrize("name", TRAINED)
def test_training_lowers_the_loss(name: str) -> None:
    parameters = {"train_image_encoder": True}
    model, batch = make_model(name, **parameters).train(), make_batch(2)
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=2e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("name", MODELS)
def test_frames_of_another_size_are_refused(name: str) -> None:
    parameters = {"prompt": "boxes"} if name == "sam_oracle" else {}
    model = make_model(name, 64, **parameters)
    with pytest.raises(ConfigError, match="frames of 64 x 64 px; found 128 x 128 px"):
        model(make_batch(2, 128))
