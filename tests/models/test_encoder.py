"""The fast encoder gives segment_anything's own numbers."""

from functools import partial
from typing import Any

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from avsynth.models.backbones.encoder import _MASK_BYTES, ImageEncoder


def pair(size: int, **changes: Any) -> tuple[ImageEncoderViT, ImageEncoder]:
    """Build the official encoder and ours with the same random weights, in float64."""
    numbers: dict[str, Any] = {
        "img_size": size,
        "embed_dim": 32,
        "depth": 3,
        "num_heads": 2,
        "out_chans": 8,
        "use_rel_pos": True,
        "window_size": 14,
        "global_attn_indexes": (1,),
        "norm_layer": partial(nn.LayerNorm, eps=1e-6),
        **changes,
    }
    torch.manual_seed(0)
    official, ours = ImageEncoderViT(**numbers), ImageEncoder(**numbers)
    for parameter in official.parameters():
        nn.init.normal_(parameter, std=0.1 if parameter.ndim > 1 else 0.3)
    ours.load_state_dict(official.state_dict())
    return official.double(), ours.double()


def error(ours: Tensor, official: Tensor) -> float:
    return ((ours - official).norm() / official.norm()).item()


# 64: less than a window. 224: one window. 256: three kinds of partial windows. 448: whole ones.
@pytest.mark.parametrize("size", [64, 224, 256, 448])
def test_forward_equals_the_official_one(size: int) -> None:
    official, ours = pair(size)
    pixels = torch.randn(2, 3, size, size, dtype=torch.float64)
    with torch.no_grad():
        assert error(ours(pixels), official(pixels)) < 1e-13


@pytest.mark.parametrize("size", [64, 256])
def test_gradients_equal_the_official_ones(size: int) -> None:
    official, ours = pair(size)
    grads = []
    for encoder in (official, ours):
        pixels = torch.linspace(-1, 1, 6 * size * size, dtype=torch.float64)
        pixels = pixels.view(2, 3, size, size).requires_grad_()
        encoder(pixels).square().sum().backward()
        grads.append([pixels.grad, *(p.grad for p in encoder.parameters())])
    assert len(grads[0]) > 30
    assert max(error(b, a) for a, b in zip(*grads, strict=True)) < 1e-12


def test_forward_equals_the_official_one_in_float32() -> None:
    official, ours = (e.float() for e in pair(256))
    pixels = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        assert error(ours(pixels), official(pixels)) < 1e-6


def test_a_table_of_another_size_is_resampled_as_officially() -> None:
    official, ours = pair(256)
    table = torch.randn(127, 16, dtype=torch.float64)
    for encoder in (official, ours):
        encoder.blocks[1].attn.rel_pos_h = nn.Parameter(table)
        encoder.blocks[1].attn.rel_pos_w = nn.Parameter(table.flip(0))
    pixels = torch.randn(1, 3, 256, 256, dtype=torch.float64)
    with torch.no_grad():
        assert error(ours(pixels), official(pixels)) < 1e-13


def test_rows_of_queries_are_cut_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours = pair(256)
    pixels = torch.randn(1, 3, 256, 256, dtype=torch.float64)
    with torch.no_grad():
        whole = ours(pixels)
        monkeypatch.setitem(_MASK_BYTES, False, 1)
        assert error(ours(pixels), whole) < 1e-13


def test_folding_without_gradients_changes_no_number() -> None:
    _, ours = pair(256)
    pixels = torch.randn(1, 3, 256, 256, dtype=torch.float64)
    with torch.no_grad():
        masked = ours(pixels)
        ours.folded = True
        assert error(ours(pixels), masked) < 1e-13


def test_checkpointing_changes_memory_and_no_number() -> None:
    _, ours = pair(64)
    pixels = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    results, kept = [], []
    for ours.checkpointing in (False, True):
        ours.zero_grad()
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: sizes.append(t.nbytes) or t, lambda t: t
        ):
            loss = ours(pixels).square().sum()
        loss.backward()
        kept.append(sum(sizes))
        results.append([p.grad.clone() for p in ours.parameters()])
    assert kept[1] < kept[0] / 2
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_tokens_and_adapters_enter_where_they_should() -> None:
    _, ours = pair(64)
    pixels = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    tokens = [torch.randn(2, 1, 1, 32, dtype=torch.float64) for _ in range(4)]
    tokens_or_none = [tokens[0], None, tokens[2], tokens[3]]
    adapters = [nn.Linear(32, 32).double() for _ in range(3)]
    with torch.no_grad():
        x = ours.patch_embed(pixels) + ours.pos_embed
        for index, block in enumerate(ours.blocks):
            x = x if tokens_or_none[index] is None else x + tokens_or_none[index]
            attended = x + (block(x) - x - mlp_of(block, x))
            x = attended + block.mlp(block.norm2(attended)) + adapters[index](block.norm2(attended))
        expected = ours.neck((x + tokens[3]).permute(0, 3, 1, 2))
        assert error(ours(pixels, tokens_or_none, adapters), expected) < 1e-12


def mlp_of(block: nn.Module, x: Tensor) -> Tensor:
    """Return what the block's MLP adds, by the official attention."""
    attended = x + block.attn(block.norm1(x)) if block.window_size == 0 else windowed(block, x)
    return block.mlp(block.norm2(attended))


def windowed(block: nn.Module, x: Tensor) -> Tensor:
    """Attend by windows through the official functions."""
    from segment_anything.modeling.image_encoder import window_partition, window_unpartition

    windows, padded = window_partition(block.norm1(x), block.window_size)
    out = window_unpartition(block.attn(windows), block.window_size, padded, x.shape[1:3])
    return x + out


def test_bfloat16_stays_near() -> None:
    _, ours = pair(256)
    ours.float()
    pixels = torch.randn(1, 3, 256, 256)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = ours(pixels)
    with torch.no_grad():
        assert error(rounded.float(), ours(pixels)) < 1.5e-2


def test_a_frozen_weight_is_rounded_once_and_anew_when_it_changes() -> None:
    _, ours = pair(64)
    ours.float().requires_grad_(False)
    pixels = torch.randn(1, 3, 64, 64)
    layer = ours.blocks[0].mlp.lin1
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        first = ours(pixels)
        copy = layer._rounded[1]
        assert torch.equal(ours(pixels), first)
        assert layer._rounded[1] is copy
        layer.weight.mul_(1.5)
        changed = ours(pixels)
        assert not torch.equal(changed, first)
        assert "_rounded" not in ours.state_dict()
        ours.requires_grad_(True)  # autocast's own rounding
        assert torch.equal(ours(pixels), changed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_compile_gives_the_same_numbers() -> None:
    _, ours = pair(64)
    pixels = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = ours(pixels)
        ours.compile()
        assert error(ours(pixels), expected) < 1e-12
