"""What is particular to each system."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import spectrogram as reference_spectrogram
from torch import Tensor, nn

from avsynth.models.av_sam import PixelFusion, spectrogram
from avsynth.models.backbones.sam import build_sam
from avsynth.models.st_bava import Block
from avsynth.runtime.errors import ConfigError, DataError
from tests.helpers.model_samples import make_batch, make_model


def spread(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


# What may be cached


@pytest.mark.parametrize(
    ("name", "parameters", "fixed"),
    [
        ("ap_sam", {}, True),
        ("ap_sam", {"train_image_encoder": True}, False),
        ("av_sam", {"train_image_encoder": False}, True),
        ("av_sam", {}, False),
        ("sama_avs", {}, False),
        ("save", {}, False),
        ("save", {"recurrence": None, "spatial_conv": None}, True),
        ("st_bava", {}, False),
        ("st_bava", {"num_adapters": 0}, True),
        ("sam_oracle", {}, True),
    ],
)
def test_the_cache_is_used_only_where_the_image_embedding_is_fixed(
    name: str, parameters: dict[str, bool | int | None], fixed: bool
) -> None:
    model, batch = make_model(name, spread=True, **parameters), make_batch()
    used: list[Tensor] = []

    def cache(image: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
        used.append(image)
        return torch.randn(2, 64, 8, 8)

    with torch.no_grad():
        expected = model(batch).logits
        model.sam.embedding_cache = cache
        assert torch.equal(model(batch).logits, expected) != fixed
    assert bool(used) == fixed


# AP-SAM, SAMA-AVS


def test_ap_sam_prompts_with_one_token() -> None:
    model, batch = make_model("ap_sam"), make_batch(embedded=True)
    sparse: list[Tensor] = []
    model.sam.mask_decoder.register_forward_pre_hook(
        lambda _, __, kwargs: sparse.append(kwargs["sparse_prompt_embeddings"]), with_kwargs=True
    )
    model(batch)
    assert sparse[0].shape == (2, 1, 64)


def test_sama_avs_adds_sound_to_the_input_of_every_block() -> None:
    model, batch = make_model("sama_avs", spread=True), make_batch(embedded=True)
    tokens = model.adapters(batch.audio_embedding)
    assert [t is not None for t in tokens] == [*[True] * model.sam.depth, False]
    gelu = nn.functional.gelu(model.adapters.down[2](batch.audio_embedding))
    torch.testing.assert_close(tokens[2][:, 0, 0], model.adapters.up(gelu))


def test_sama_avs_can_emulate_random_prompt_parameters() -> None:
    name = "sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    plain, random = (make_model("sama_avs", random_prompts=r) for r in (False, True))
    assert torch.equal(plain.state_dict()[name], build_sam("tiny", 64).state_dict()[name[4:]])
    assert not torch.equal(plain.state_dict()[name], random.state_dict()[name])
    assert name in random.trainable_names()
    assert name not in plain.trainable_names()


# SAVE


@pytest.mark.parametrize(
    ("parameters", "absent"),
    [
        ({"spatial_conv": None}, "image_adapters"),
        ({"recurrence": None}, "audio_adapters"),
        ({"prompt_source": None}, "prompt"),
    ],
)
def test_save_modules_switch_off(parameters: dict[str, None], absent: str) -> None:
    batch, other = make_batch(), make_batch(seed=1)
    model = make_model("save", spread=True, **parameters)
    assert getattr(model, absent) is None
    with torch.no_grad():
        first = model(batch).logits
        assert not torch.equal(first, make_model("save", spread=True)(batch).logits)
        assert (model(replace(batch, logmel=other.logmel)).logits - first).abs().max() > 1e-3


def test_save_readings_of_equation_2_differ() -> None:
    batch, seen = make_batch(), []
    for parameters in (
        {},
        {"recurrence": "chained"},
        {"prompt_source": "last"},
        {"spatial_conv": "depthwise"},
        {"mlp_layers": 3},
        {"hidden_dim": 8},
    ):
        with torch.no_grad():
            seen.append(make_model("save", spread=True, **parameters)(batch).logits)
    assert len(seen) == 6
    for index, logits in enumerate(seen):
        assert not any(torch.equal(logits, other) for other in seen[:index])


@pytest.mark.parametrize(
    "parameters",
    [
        {"prompt_source": "first"},
        {"recurrence": "other"},
        {"spatial_conv": "sparse"},
        {"recurrence": None, "prompt_source": None},
    ],
)
def test_save_refuses_unknown_words(parameters: dict[str, str | None]) -> None:
    with pytest.raises(ConfigError, match="SAVE: expected"):
        make_model("save", **parameters)


# AV-SAM


@pytest.mark.parametrize("samples", [48_352, 60_000, 16_000])
def test_spectrogram_is_that_of_scipy(samples: int) -> None:
    sound = np.random.default_rng(0).normal(size=samples).astype(np.float32) * 0.1
    whole = np.tile(sound, 4)[:48_352] if samples < 48_352 else sound
    start = (len(whole) - 48_352) // 2
    _, _, power = reference_spectrogram(
        whole[start : start + 48_352], 16_000, ("tukey", 0.25), nperseg=512, noverlap=352
    )
    ours = spectrogram(torch.from_numpy(sound)[None])
    assert ours.shape == (1, 1, 257, 300)
    np.testing.assert_allclose(ours[0, 0], np.log(power + 1e-7) / 12, atol=2e-5)


def test_pixel_fusion_equals_equation_1_over_all_pairs() -> None:
    fusion = spread(PixelFusion(6)).double()
    v, a = torch.randn(2, 6, 3, 5, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    repeated = a[..., None, None].expand(-1, -1, 3, 5)
    theta, phi, omega = (
        layer(x).flatten(2)
        for layer, x in ((fusion.theta, v), (fusion.phi, repeated), (fusion.omega, v))
    )
    attention = theta.transpose(1, 2) @ phi / 15  # every pair of positions
    gathered = (attention @ omega.transpose(1, 2)).transpose(1, 2).view_as(v)
    torch.testing.assert_close(fusion(v, a), v + fusion.mu(gathered))


def test_av_sam_starts_as_plain_sam_and_needs_a_waveform() -> None:
    model, batch = make_model("av_sam"), make_batch()
    with torch.no_grad():
        logits, _ = model.sam.decode(model.sam.encode(batch))
        expected = model.sam.to_frame(logits[:, 0], batch.frame_size)
        torch.testing.assert_close(model(batch).logits, expected)
        with pytest.raises(DataError, match="expected waveforms; found none"):
            model(replace(batch, waveform=None))


@pytest.mark.parametrize("part", ["mask_decoder", "prompt_encoder", "image_encoder"])
def test_av_sam_freezes_by_switch(part: str) -> None:
    for on in (True, False):
        names = make_model("av_sam", **{f"train_{part}": on}).trainable_names()
        assert any(n.startswith(f"sam.{part}.") for n in names) == on
    assert any(n.endswith("running_mean") for n in names)


# ST-BAVA


def reference_block(block: Block, a: Tensor, v: Tensor, pe_a: Tensor, pe_v: Tensor) -> list[Tensor]:
    """Follow the released code's seven steps for one clip: a ``[T, C]``, v ``[T, P, C]``."""
    temporal, spatial = block.attention["temporal"], block.attention["spatial"]
    norm, P = block.norm, v.shape[1]

    def along_t(q: Tensor, k: Tensor, value: Tensor) -> Tensor:
        q, k, value = (x.transpose(0, 1) for x in (q, k, value))
        return temporal(q, k, value)[0].transpose(0, 1)

    def rep(x: Tensor) -> Tensor:
        return x[:, None].repeat(1, P, 1)

    a = norm["audio"](a + block.mlp["audio"](a))
    v = norm["visual"](v + block.mlp["visual"](v))
    a = norm["audio_temporal"](a + along_t(v + pe_v, rep(a + pe_a), rep(a)).mean(1))
    a = norm["audio_spatial"](a + spatial(v + pe_v, (a + pe_a)[:, None], a[:, None])[0].mean(1))
    a = norm["audio_out"](a + block.mlp["audio_out"](a))
    v = norm["visual_temporal"](v + along_t(rep(a + pe_a), v + pe_v, v))
    v = norm["visual_spatial"](v + spatial((a + pe_a)[:, None], v + pe_v, v)[0])
    return [a, norm["visual_out"](v + block.mlp["visual_out"](v))]


def test_st_bava_block_follows_the_seven_steps_clip_by_clip() -> None:
    block = Block(8, 2, spatial=True, temporal=True, bidirectional=True)
    spread(block)
    a, pe_a = torch.randn(2, 2, 3, 8)
    v, pe_v = torch.randn(2, 3, 6, 8), torch.randn(1, 6, 8)
    ours = block(a, v, pe_a, pe_v)
    for clip in range(2):
        expected = reference_block(block, a[clip], v[clip], pe_a[clip], pe_v)
        for mine, wanted in zip(ours, expected, strict=True):
            torch.testing.assert_close(mine[clip], wanted, rtol=1e-4, atol=1e-5)


def test_st_bava_sees_its_neighbours_in_time_and_not_other_clips() -> None:
    batch = make_batch(4, num_frames=2)
    changed = batch.image.clone()
    changed[0] = 255 - changed[0]
    for temporal in (True, False):
        model = make_model("st_bava", spread=True, temporal=temporal)
        with torch.no_grad():
            before = model(batch).logits
            after = model(replace(batch, image=changed)).logits
        moved = [not torch.allclose(x, y, atol=1e-5) for x, y in zip(before, after, strict=True)]
        assert moved == [True, temporal, False, False]


@pytest.mark.parametrize("toggle", ["spatial", "temporal", "bidirectional"])
def test_st_bava_toggles_leave_parameters_out(toggle: str) -> None:
    full, less = make_model("st_bava"), make_model("st_bava", **{toggle: False})
    assert len(less.trainable_names()) < len(full.trainable_names())
    less.train().loss(make_batch(2, num_frames=2)).backward()
    assert all(p.grad is not None for p in less.parameters() if p.requires_grad)


def test_st_bava_refuses_half_a_clip() -> None:
    with pytest.raises(ConfigError, match="whole clips of 5 frames; found a batch of 4 frames"):
        make_model("st_bava")(make_batch(4, num_frames=5))
