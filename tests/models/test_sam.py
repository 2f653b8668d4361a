"""Building SAM at any size, official checkpoints, decoding of batches."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from segment_anything.modeling import ImageEncoderViT

from avsynth.models import MODELS
from avsynth.models.backbones.architectures import ARCHITECTURES
from avsynth.models.backbones.sam import Sam, build_sam
from avsynth.models.backbones.vggish import build_vggish
from avsynth.runtime.errors import CheckpointError, ConfigError
from tests.helpers.model_samples import make_batch


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the state of a tiny SAM of 128 px."""
    path = tmp_path_factory.mktemp("sam") / "tiny.pth"
    torch.save(build_sam("tiny", 128, seed=3).state_dict(), path)
    return path


def test_a_checkpoint_loads_exactly_at_its_own_size(checkpoint: Path) -> None:
    loaded, drawn = build_sam("tiny", 128, checkpoint), build_sam("tiny", 128, seed=3)
    state = drawn.state_dict()
    assert len(state) > 100
    assert all(torch.equal(t, state[n]) for n, t in loaded.state_dict().items())
    with torch.no_grad():
        batch = make_batch(1, 128)
        assert torch.equal(loaded.encode(batch), drawn.encode(batch))


def test_position_tables_are_interpolated_to_the_input_size(checkpoint: Path) -> None:
    source = torch.load(checkpoint, weights_only=True)
    loaded = build_sam("tiny", 64, checkpoint).state_dict()
    name = "image_encoder.pos_embed"
    expected = F.interpolate(source[name].permute(0, 3, 1, 2), (8, 8), mode="bilinear")
    torch.testing.assert_close(loaded[name], expected.permute(0, 2, 3, 1))
    name = "image_encoder.blocks.1.attn.rel_pos_h"  # global attention: 2 * 16 - 1 -> 2 * 8 - 1
    assert source[name].shape[0] == 31
    expected = F.interpolate(source[name].T[None], 15, mode="linear")[0].T
    torch.testing.assert_close(loaded[name], expected)
    name = "image_encoder.blocks.0.attn.rel_pos_h"  # windows do not change
    assert torch.equal(loaded[name], source[name])


def test_interpolating_a_relative_table_equals_resampling_it_at_run_time(checkpoint: Path) -> None:
    ours = build_sam("tiny", 64, checkpoint)
    whole = torch.load(checkpoint, weights_only=True)
    late = build_sam("tiny", 64, checkpoint)
    for index in ARCHITECTURES["tiny"].global_blocks:
        for axis in "hw":
            name = f"image_encoder.blocks.{index}.attn.rel_pos_{axis}"
            attn = late.image_encoder.blocks[index].attn
            setattr(attn, f"rel_pos_{axis}", torch.nn.Parameter(whole[name]))
    batch = make_batch(1, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.encode(batch), late.encode(batch))


def test_another_architecture_is_named(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="expected SAM vit_b; found SAM tiny"):
        build_sam("vit_b", 256, checkpoint)


def test_a_file_cut_short_is_named(checkpoint: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pth"
    whole = checkpoint.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 100):
        cut.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=rf"cut\.pth.*found {size:,} bytes"):
            build_sam("tiny", 128, cut)


def test_missing_unknown_and_misshapen_tensors_are_named(checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    path = tmp_path / "changed.pth"
    removed = state.pop("mask_decoder.iou_token.weight")
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"1 missing \(mask_decoder\.iou_token\.weight\)"):
        build_sam("tiny", 128, path)
    torch.save({**state, "mask_decoder.iou_token.weight": removed, "optimizer": removed}, path)
    with pytest.raises(CheckpointError, match=r"1 unknown \(optimizer\)"):
        build_sam("tiny", 128, path)
    torch.save({**state, "mask_decoder.iou_token.weight": removed[:, :7]}, path)
    with pytest.raises(CheckpointError, match=r"iou_token\.weight of shape \(1, 64\)"):
        build_sam("tiny", 128, path)


def test_a_file_of_other_things_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.pth"
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="found a list"):
        build_sam("tiny", 128, path)
    with pytest.raises(CheckpointError, match="found no such file"):
        build_sam("tiny", 128, tmp_path / "absent.pth")


class Evil:
    """Unpickling it would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1/0",)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"weight": Evil()}, path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        build_sam("tiny", 128, path)


def test_bad_sizes_and_names_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"multiple of 16; found 250\. Set input_size to 256"):
        build_sam("vit_b", 250)
    with pytest.raises(ConfigError, match="multiple of 8; found 0"):
        build_sam("tiny", 0)
    with pytest.raises(ConfigError, match="Did you mean 'vit_b'"):
        build_sam("vitb", 256)


def test_decoding_a_batch_equals_the_official_decoder_picture_by_picture() -> None:
    sam = build_sam("tiny", 64)
    embedding, sparse = torch.randn(3, 64, 8, 8), torch.randn(3, 2, 64)
    for multimask in (False, True):
        with torch.no_grad():
            logits, iou = sam.decode(embedding, sparse, multimask=multimask)
            for index in range(3):
                expected, expected_iou = sam.mask_decoder(
                    image_embeddings=embedding[index : index + 1],
                    image_pe=sam.prompt_encoder.get_dense_pe(),
                    sparse_prompt_embeddings=sparse[index : index + 1],
                    dense_prompt_embeddings=sam.no_mask().expand(1, -1, 8, 8),
                    multimask_output=multimask,
                )
                torch.testing.assert_close(logits[index], expected[0], rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(iou[index], expected_iou[0], rtol=1e-4, atol=1e-5)


def test_positional_encoding_keeps_its_precision_under_autocast() -> None:
    sam = build_sam("tiny", 64)
    exact = sam.dense_pe()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(sam.dense_pe(), exact)
        assert (sam.prompt_encoder.get_dense_pe() - exact).abs().max() > 0.01


@pytest.fixture(scope="module")
def vit_b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a full-size checkpoint in the official layout, with random weights."""
    from segment_anything import sam_model_registry

    torch.manual_seed(0)
    official = sam_model_registry["vit_b"]()
    for name, parameter in official.image_encoder.named_parameters():
        if "pos" in name:
            torch.nn.init.trunc_normal_(parameter, std=0.02)
    path = tmp_path_factory.mktemp("vit_b") / "sam_vit_b_01ec64.pth"
    torch.save(official.state_dict(), path)
    return path


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.slow
def test_all_systems_run_on_an_official_vit_b_at_256(vit_b: Path) -> None:
    assert vit_b.stat().st_size > 370_000_000
    batch = make_batch(2, 256)
    vggish = build_vggish()
    for name, build in MODELS.items():
        sam = build_sam("vit_b", 256, vit_b)
        parameters = {"prompt": "points"} if name == "sam_oracle" else {}
        model = build(sam, vggish, **parameters).eval()  # type: ignore[attr-defined]
        with torch.no_grad():
            logits = model(batch).logits
        assert logits.shape == (2, 256, 262)
        assert logits.isfinite().all()


@pytest.mark.slow
def test_an_official_vit_b_gives_the_official_numbers(vit_b: Path) -> None:
    from segment_anything import sam_model_registry

    ours: Sam = build_sam("vit_b", 256, vit_b)
    encoder = ours.image_encoder
    official = ImageEncoderViT(
        img_size=256,
        embed_dim=768,
        depth=12,
        num_heads=12,
        norm_layer=lambda dim: torch.nn.LayerNorm(dim, eps=1e-6),
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=(2, 5, 8, 11),
    )
    official.load_state_dict(encoder.state_dict())
    pixels = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        assert relative(encoder(pixels), official(pixels)) < 1e-6
        whole = sam_model_registry["vit_b"](checkpoint=vit_b)
        pixels = torch.randn(1, 3, 1024, 1024)
        ours_1024 = build_sam("vit_b", 1024, vit_b)
        for sam in (ours_1024, whole):  # two blocks with windows, one without: minutes less
            sam.image_encoder.blocks = sam.image_encoder.blocks[:3]
        assert relative(ours_1024.image_encoder(pixels), whole.image_encoder(pixels)) < 1e-6


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_and_nested_weights_are_read(
    tmp_path: Path, checkpoint: Path, key: str, kind: torch.dtype
):
    state = torch.load(checkpoint, weights_only=True)
    path = tmp_path / "other.pth"
    other = {name: t.to(kind) for name, t in state.items()}
    torch.save({key: other, "epoch": 3}, path)
    sam = build_sam("tiny", 128, path)
    assert {p.dtype for p in sam.parameters()} == {torch.float32}
    for name, tensor in sam.state_dict().items():
        assert torch.equal(tensor, other[name].float())


@pytest.mark.parametrize(
    "change",
    [
        lambda s: {3: torch.zeros(1)},
        lambda s: {**s, 3: torch.zeros(1)},
        lambda s: {**s, "x": 1},
        lambda s: {"model": [1]},
        lambda s: torch.zeros(3),
        lambda s: {n: t.to_sparse() for n, t in s.items()},
        lambda s: {n: t.int() for n, t in s.items()},
        lambda s: {n: t.to("meta") for n, t in s.items()},
    ],
    ids=range(8),
)
def test_a_file_of_something_else_is_one_message(tmp_path: Path, checkpoint: Path, change):
    path = tmp_path / "other.pth"
    torch.save(change(torch.load(checkpoint, weights_only=True)), path)
    with pytest.raises(CheckpointError, match=r"other\.pth: expected"):
        build_sam("tiny", 128, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_not_finite_is_blamed_on_the_checkpoint(
    tmp_path: Path, checkpoint: Path, value: float
):
    state = torch.load(checkpoint, weights_only=True)
    state["mask_decoder.iou_token.weight"][0, 3] = value
    path = tmp_path / "nan.pth"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"NaN or infinity .* mask_decoder.iou_token.weight"):
        build_sam("tiny", 128, path)
