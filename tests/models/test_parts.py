"""VGGish, adapters, losses, checkpoints and cards."""

import ast
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from avsynth.models.backbones.vggish import Vggish, build_vggish, embed
from avsynth.models.card import model_card
from avsynth.models.checkpoints import load_trained, read_info, save_trained
from avsynth.models.parts import losses
from avsynth.models.parts.adapters import AudioAdapters, ImageAdapter, ResidualAudioAdapters
from avsynth.runtime.errors import CheckpointError, ConfigError, DataError
from tests.helpers.model_samples import make_batch, make_model

LAYOUT = {
    "features.0": (64, 1, 3, 3),
    "features.3": (128, 64, 3, 3),
    "features.6": (256, 128, 3, 3),
    "features.8": (256, 256, 3, 3),
    "features.11": (512, 256, 3, 3),
    "features.13": (512, 512, 3, 3),
    "embeddings.0": (4096, 12288),
    "embeddings.2": (4096, 4096),
    "embeddings.4": (128, 4096),
}
"""Weights of vggish-10086976.pth."""


def test_vggish_has_the_names_and_shapes_of_the_official_file() -> None:
    with torch.device("meta"):
        state = build_vggish().state_dict()
    weights = {n.removesuffix(".weight"): tuple(t.shape) for n, t in state.items() if t.ndim > 1}
    assert weights == LAYOUT
    assert len(state) == 2 * len(LAYOUT)


def test_vggish_flattens_rows_columns_channels() -> None:
    net = build_vggish(size="tiny")
    logmel = torch.randn(1, 1, 96, 64)
    with torch.no_grad():
        features = net.features(logmel)
        assert features.shape == (1, 32, 6, 4)
        flat = torch.stack(
            [features[0, c, y, x] for y in range(6) for x in range(4) for c in range(32)]
        )
        torch.testing.assert_close(net(logmel)[0], net.embeddings(flat))


def test_vggish_is_frozen_seeded_and_not_negative() -> None:
    logmel = torch.randn(5, 1, 96, 64, generator=torch.Generator().manual_seed(0)) - 2
    first, same, other = (build_vggish(size="tiny", seed=s) for s in (0, 0, 1))
    assert not any(p.requires_grad for p in first.parameters())
    assert torch.equal(embed(first, logmel), embed(same, logmel))
    assert torch.allclose(embed(first, logmel, batch_size=2), embed(first, logmel), atol=1e-4)
    assert not torch.equal(embed(first, logmel), embed(other, logmel))
    assert embed(first, logmel).min() == 0


def test_random_vggish_keeps_clips_of_a_kind_together() -> None:
    rng = torch.Generator().manual_seed(0)
    bands = [slice(4, 10), slice(28, 34), slice(50, 60)]
    kinds = []
    for band in bands:
        logmel = torch.full((8, 1, 96, 64), -4.6) + 0.3 * torch.rand(8, 1, 96, 64, generator=rng)
        logmel[..., band] += 4 + torch.rand(8, 1, 1, 1, generator=rng)
        kinds.append(embed(build_vggish(size="tiny"), logmel))
    centres = [k.mean(0) for k in kinds]
    spread = max((k - c).norm(dim=1).max() for k, c in zip(kinds, centres, strict=True))
    apart = min((a - b).norm() for i, a in enumerate(centres) for b in centres[:i])
    assert apart > spread


def test_vggish_loads_its_checkpoint_and_refuses_others(tmp_path: Path) -> None:
    path = tmp_path / "vggish.pth"
    net = Vggish(stages=(8, 16, 32, 32), hidden=128)
    torch.save(net.state_dict(), path)
    loaded = build_vggish(path, size="tiny")
    assert all(torch.equal(t, net.state_dict()[n]) for n, t in loaded.state_dict().items())
    with pytest.raises(CheckpointError, match=r"of shape \(4096,\); found shape \(128,\)"):
        build_vggish(path)
    with pytest.raises(ConfigError, match="Known: full, tiny"):
        build_vggish(size="huge")


@pytest.mark.parametrize(
    ("number", "blocks"), [(32, list(range(32))), (8, [0, 4, 8, 12, 16, 20, 24, 28]), (2, [0, 16])]
)
def test_fewer_audio_adapters_are_spread_evenly(number: int, blocks: list[int]) -> None:
    adapters = AudioAdapters(16, 32, number, 8, 128)
    tokens = adapters(torch.rand(3, 128))
    assert [i for i, t in enumerate(tokens) if t is not None] == blocks
    assert len(tokens) == 33
    assert len(adapters.down) == number
    first = tokens[0]
    assert first is not None
    assert first.shape == (3, 1, 1, 16)


def test_too_many_audio_adapters_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_adapters from 1 to 4, the number of blocks"):
        AudioAdapters(16, 4, 5, 8, 128)


def test_residual_audio_adapters_follow_equation_2() -> None:
    sound = torch.randn(2, 128)
    for recurrence in ("literal", "chained"):
        adapters = ResidualAudioAdapters(
            8, 4, hidden_dim=4, mlp_layers=3, recurrence=recurrence, audio_dim=128
        )
        for parameter in adapters.parameters():
            nn.init.normal_(parameter)
        f = adapters.project(sound)
        pe = [lambda x, m=m: m(x) + x for m in adapters.encoders]
        expected = [pe[0](f)]
        for i in range(1, 4):
            before = pe[i - 1](f) if recurrence == "literal" else expected[-1]
            expected.append(pe[i](f + before))
        for term, wanted in zip(adapters(sound), expected, strict=True):
            torch.testing.assert_close(term, wanted)
        assert len(adapters.encoders[0]) == 5


@pytest.mark.parametrize("size", [16, 14, 15, 1])
@pytest.mark.parametrize("spatial_conv", ["dense", "depthwise"])
def test_image_adapter_keeps_any_grid(size: int, spatial_conv: str) -> None:
    adapter = ImageAdapter(8, spatial_conv)
    tokens = torch.randn(2, size, size + 1, 8)
    out = adapter(tokens)
    assert out.shape == tokens.shape
    assert not torch.allclose(out, tokens)


def test_image_adapter_is_a_gate_plus_an_hour_glass() -> None:
    adapter = ImageAdapter(8, "dense")
    tokens = torch.randn(1, 4, 4, 8)
    gate = adapter.channel(tokens.mean((1, 2)))[:, None, None]
    spatial = adapter.spatial((tokens * gate).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(adapter(tokens), adapter.norm(spatial + tokens * gate))


def logits_of(mask: list[int], value: float = 20) -> Tensor:
    return torch.tensor(mask, dtype=torch.float32).view(1, 2, 2) * 2 * value - value


def test_soft_iou_by_hand() -> None:
    mask = torch.tensor([[[1.0, 1, 0, 0]]]).view(1, 2, 2)
    assert losses.soft_iou(logits_of([1, 1, 0, 0]), mask).item() == pytest.approx(0, abs=1e-6)
    assert losses.soft_iou(logits_of([1, 0, 1, 0]), mask).item() == pytest.approx(2 / 3)
    half = torch.zeros(1, 2, 2)  # every probability 0.5: 1 / (2 + 2 - 1)
    assert losses.soft_iou(half, mask).item() == pytest.approx(1 - 1 / 3)
    assert losses.bce_iou(half, mask, 2.0).item() == pytest.approx(0.693147 + 2 * 2 / 3)
    assert losses.bce_iou(half, mask, 1.0, 0.0).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("value", [0.0, -200.0, 200.0])
def test_losses_are_finite_for_an_empty_mask(value: float) -> None:
    logits = torch.full((2, 3, 3), value, requires_grad=True)
    loss = losses.bce_iou(logits, torch.zeros(2, 3, 3))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_losses_need_masks() -> None:
    from dataclasses import replace

    with pytest.raises(DataError, match="batch of dog-0000000000: expected masks"):
        losses.target(replace(make_batch(), mask=None))


def test_a_checkpoint_holds_what_trains_only(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    model = make_model("sama_avs")
    info = save_trained(model, path, {"hidden_dim": 512})
    assert info == read_info(path)
    assert info.num_trained == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert path.stat().st_size < 4 * info.num_trained + 50_000
    parts = ["audio_encoder", "sam.image_encoder", "sam.mask_decoder", "sam.prompt_encoder"]
    assert sorted(info.frozen) == parts
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_another_backbone_is_refused_with_both_names(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_trained(make_model("sama_avs"), path, {})
    other = make_model("sama_avs")
    before = {n: t.clone() for n, t in other.state_dict().items()}
    with torch.no_grad():
        other.sam.image_encoder.blocks[0].mlp.lin1.weight[0, 0] += 1e-6
    pattern = r"expected backbone tiny, sam\.image_encoder \w{12}; found backbone tiny, "
    with pytest.raises(CheckpointError, match=pattern):
        load_trained(other, path)
    assert torch.equal(other.adapters.up.weight, before["adapters.up.weight"])
    other.architecture = "vit_b"
    with pytest.raises(CheckpointError, match="backbone vit_b; found backbone tiny"):
        load_trained(other, path)
    with pytest.raises(CheckpointError, match="expected ap_sam; found sama_avs"):
        load_trained(make_model("ap_sam"), path)


def test_other_parameters_are_refused_with_the_right_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_trained(make_model("sama_avs", hidden_dim=16), path, {"hidden_dim": 16})
    with pytest.raises(CheckpointError, match=r'parameters: \{"hidden_dim": 16\}'):
        load_trained(make_model("sama_avs"), path)
    with pytest.raises(CheckpointError, match=r'parameters: \{"hidden_dim": 16\}'):
        load_trained(make_model("sama_avs", hidden_dim=16, num_adapters=2), path)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_trained(make_model("ap_sam"), path, {})
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], whole[:-50], b"\xff" * 64):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"a\.safetensors: expected a"):
            load_trained(make_model("ap_sam"), path)
    with pytest.raises(CheckpointError, match="found no such file"):
        read_info(tmp_path / "absent.safetensors")


def test_a_model_trained_at_one_size_loads_at_another(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for train_image_encoder in (False, True):
        parameters = {"train_image_encoder": train_image_encoder}
        save_trained(make_model("sama_avs", 64, spread=True, **parameters), path, parameters)
        model = make_model("sama_avs", 128, **parameters)
        assert load_trained(model, path).input_size == 64
        with torch.no_grad():
            assert model(make_batch(1, 128)).logits.isfinite().all()


def test_the_card_tells_what_was_trained_and_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    info = save_trained(make_model("save", mlp_layers=3), path, {"mlp_layers": 3})
    card = model_card(path, {"toy test, mean IoU": 0.61234})
    assert card.startswith("---\nlibrary_name: avsynth\n")
    assert "# SAVE: adapters for image and audio in SAM's encoder" in card
    assert "Differs from the paper in" in card
    assert f"| trained numbers in the file | {info.num_trained:,} |" in card
    assert "| `mlp_layers` | `3` |" in card
    assert info.frozen["sam.image_encoder"] in card
    assert "- toy test, mean IoU: 0.6123" in card
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace(', Path("path/to/sam_checkpoint.pth")', "")
    code = code.replace('Path("path/to/vggish-10086976.pth")', 'size="tiny"')
    code = code.replace("Path('a.safetensors')", f"Path({json.dumps(str(path))})")
    names: dict[str, object] = {}
    exec(code, names)  # the card's own lines, with the paths of this test
    assert isinstance(names["model"], nn.Module)


def _with_metadata(path: Path, text: str | None) -> None:
    save_file({"x": torch.zeros(1)}, path, None if text is None else {"avsynth": text})


_GOOD = {
    "model": "save", "architecture": "tiny", "input_size": 64, "parameters": {},
    "frozen": {}, "num_trained": 1, "format": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "no json",
        "[" * 100_000,
        "3",
        "[]",
        "{}",
        *[
            json.dumps(_GOOD | change)
            for change in (
                {"format": "2"}, {"format": [2]}, {"model": 3}, {"model": ""},
                {"architecture": "x\ny"}, {"input_size": "64"}, {"input_size": -1},
                {"num_trained": 1.5}, {"parameters": []}, {"parameters": {"x=1); evil(": 1}},
                {"parameters": {"lambda": 1}}, {"parameters": {"x": float("nan")}},
                {"frozen": None}, {"frozen": {"a": 1}}, {"frozen": {"a\n#": "0" * 64}}, {"more": 1},
            )
        ],
    ],
    ids=range(23),
)  # fmt: skip
def test_metadata_of_another_form_is_one_message(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "x.safetensors"
    _with_metadata(path, text)
    with pytest.raises(CheckpointError, match="a checkpoint of avsynth"):
        read_info(path)
    with pytest.raises(CheckpointError, match="a checkpoint of avsynth"):
        model_card(path)


def test_a_checkpoint_that_is_no_file_is_one_message(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\xff" * 20)
    (tmp_path / "empty.safetensors").touch()
    for path in (*tmp_path.iterdir(), tmp_path):
        with pytest.raises(CheckpointError, match=r"a checkpoint file|a whole safetensors file"):
            read_info(path)


def test_a_card_pastes_no_foreign_code_or_markup(tmp_path: Path) -> None:
    evil = """"); import os  # '\n```\n<script>alert(1)</script> | `x` |"""
    path = tmp_path / "it's <b>.safetensors"
    changed = _GOOD | {"architecture": evil.replace("\n", " "), "parameters": {"hidden_dim": evil}}
    _with_metadata(path, json.dumps(changed))
    card = model_card(path)
    code = card.split("```python\n")[1].split("```\n")[0]
    tree = ast.parse(code)
    assert [n.names[0].name for n in ast.walk(tree) if isinstance(n, ast.Import)] == []
    values = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    assert {evil, evil.replace("\n", " "), path.name} <= values
    prose = card.replace(code, "")
    assert "<script" not in prose


def test_a_trained_tensor_with_nan_is_blamed_on_the_checkpoint(tmp_path: Path) -> None:
    model, path = make_model("sama_avs"), tmp_path / "x.safetensors"
    name = model.trainable_names()[0]
    with torch.no_grad():
        dict(model.named_parameters())[name].view(-1)[0] = float("nan")
    save_trained(model, path, {})
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        load_trained(make_model("sama_avs"), path)
