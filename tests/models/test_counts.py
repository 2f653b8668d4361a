"""Parameter counts against those of the published networks (tests/golden/parameters.json)."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from avsynth.models import MODELS
from avsynth.models.backbones.sam import Sam, build_sam
from avsynth.models.backbones.vggish import build_vggish
from avsynth.models.parts.adapters import ImageAdapter, ResidualAudioAdapters
from avsynth.models.summary import describe, table

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "parameters.json").read_text())
OFFICIAL = ["vit_b", "vit_l", "vit_h"]


def count(module: nn.Module | None) -> int:
    assert module is not None
    return sum(p.numel() for p in module.parameters())


def empty_sam(architecture: str, size: int) -> Sam:
    with torch.device("meta"):
        return build_sam(architecture, size)


def empty_model(name: str, architecture: str, size: int = 1024, **parameters: Any) -> Any:
    with torch.device("meta"):
        return MODELS[name](build_sam(architecture, size), build_vggish(), **parameters)


@pytest.mark.parametrize("architecture", OFFICIAL)
def test_sam(architecture: str) -> None:
    sam = empty_sam(architecture, 1024)
    assert count(sam) == GOLDEN["sam_1024"][architecture]
    assert len(sam.state_dict()) == GOLDEN["checkpoint_keys"][architecture]
    assert count(sam.prompt_encoder) == GOLDEN["prompt_encoder"]
    assert count(sam.mask_decoder) == GOLDEN["mask_decoder"]
    for size in (1024, 256, 224):
        encoder = empty_sam(architecture, size).image_encoder
        assert count(encoder) == GOLDEN[f"encoder_{size}"][architecture]


def test_vggish() -> None:
    with torch.device("meta"):
        assert count(build_vggish()) == GOLDEN["vggish"]


@pytest.mark.parametrize("architecture", OFFICIAL)
def test_sama_avs_adapters(architecture: str) -> None:
    model = empty_model("sama_avs", architecture)
    assert count(model.adapters) == GOLDEN["sama_adapters"][architecture]


def test_sama_avs_as_published() -> None:
    model = empty_model("sama_avs", "vit_h")
    sam = model.sam
    own = count(model.adapters) + sam.prompt_encoder.no_mask_embed.weight.numel()
    assert own + count(sam.mask_decoder) == GOLDEN["sama_trained_as_published"]
    everything = (
        own + count(sam.mask_decoder) + count(sam.image_encoder) + count(model.audio_encoder)
    )
    assert everything == GOLDEN["sama_all_as_published"]


@pytest.mark.parametrize("blocks", [5, 7])
def test_st_bava(blocks: int) -> None:
    model = empty_model("st_bava", "vit_h", num_blocks=blocks)
    assert {count(block) for block in model.blocks} == {GOLDEN["st_bava_block"]}
    own = count(model.blocks) + count(model.project)
    assert own == GOLDEN["st_bava"][str(blocks)]
    whole = own + count(model.adapters) + count(model.sam.mask_decoder)
    assert whole == GOLDEN["st_bava_with_adapters_and_decoder"][str(blocks)]


@pytest.mark.parametrize("dim", [768, 1024, 1280])
def test_save_image_adapter(dim: int) -> None:
    with torch.device("meta"):
        dense = ImageAdapter(dim, "dense")
    assert count(dense) == GOLDEN["save_image_adapter_dense"][str(dim)]


@pytest.mark.parametrize("architecture", OFFICIAL)
def test_save_depthwise_image_adapters(architecture: str) -> None:
    model = empty_model("save", architecture, spatial_conv="depthwise")
    golden = GOLDEN["save_image_adapter_depthwise_total"]
    assert count(model.image_adapters) == golden[architecture]


@pytest.mark.parametrize("hidden_dim", [320, 1280])
def test_save_audio_mlp(hidden_dim: int) -> None:
    adapters = ResidualAudioAdapters(
        1280, 1, hidden_dim=hidden_dim, mlp_layers=2, recurrence="literal", audio_dim=128
    )
    assert count(adapters.encoders[0]) == GOLDEN["save_audio_mlp"][str(hidden_dim)]


def test_av_sam() -> None:
    model = empty_model("av_sam", "vit_b")
    assert count(model.spectrogram_encoder) == GOLDEN["av_sam_resnet18"]
    assert count(model.project) == GOLDEN["av_sam_project"]
    assert count(model.fusion) == GOLDEN["av_sam_fusion"]


def test_the_table_counts_what_trains_and_what_is_there() -> None:
    rows = {row.model: row for row in describe("vit_h", 1024)}
    assert list(rows) == list(MODELS)
    assert rows["sam_oracle"].trainable == 0
    assert rows["sam_oracle"].total == GOLDEN["sam_1024"]["vit_h"]
    both = GOLDEN["sam_1024"]["vit_h"] + GOLDEN["vggish"]
    sama = rows["sama_avs"]
    assert sama.total == both + GOLDEN["sama_adapters"]["vit_h"]
    unreached = 132_612 + 3 * 559_232 // 4  # the IoU head and the heads of three masks
    assert sama.trainable == GOLDEN["sama_trained_as_published"] - unreached
    assert sama.frozen == "image encoder, VGGish"
    assert rows["av_sam"].frozen == "nothing"
    lines = table(list(rows.values())).splitlines()
    assert len(lines) == 8
    assert "| sama_avs | vit_h | 1024 | 6,276,736 | 716,001,968 | 0.877 % |" in lines[5]
