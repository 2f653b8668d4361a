"""The SAM oracle: which mask the ground truth chooses, and what it prompts with."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator
from torch import Tensor

from avsynth.models.backbones.sam import build_sam
from avsynth.models.sam_oracle import LOGIT, build_sam_oracle, regions
from avsynth.runtime.errors import ConfigError
from tests.helpers.model_samples import make_batch


@pytest.mark.parametrize("prompt", ["automatic", "points", "boxes"])
@pytest.mark.parametrize("number", [1, 3])
def test_oracle_gives_hard_masks_and_nothing_for_nothing(prompt: str, number: int) -> None:
    batch = make_batch(2)
    mask = batch.mask
    assert mask is not None
    mask[1] = 0
    model = build_sam_oracle(
        build_sam("tiny", 64), prompt=prompt, num_prompts=number, points_per_side=2
    )
    logits = model(batch).logits
    assert set(logits.unique().tolist()) <= {LOGIT, -LOGIT}
    assert (logits[1] == -LOGIT).all()
    assert torch.sigmoid(torch.tensor(LOGIT)) == 1
    assert model.trainable_names() == []
    with pytest.raises(ConfigError, match="a model that trains"):
        model.loss(batch)


def test_oracle_takes_the_proposal_of_highest_iou(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(1, 64)
    assert batch.mask is not None
    truth = batch.mask[0].bool()
    square = torch.nn.functional.interpolate(truth[None, None].float(), (64, 64))[0, 0] > 0
    worse, other = square.clone(), ~square
    worse[:10] = False
    proposals = [{"segmentation": m.numpy()} for m in (other, worse, square)]
    found: list[list[dict[str, np.ndarray]]] = [proposals, proposals[:2], [], proposals[:1]]
    monkeypatch.setattr(
        "avsynth.models.sam_oracle.SamAutomaticMaskGenerator.generate",
        lambda self, image: found.pop(0),
    )
    model = build_sam_oracle(build_sam("tiny", 64))

    def iou() -> float:
        mask = model(batch).logits[0] > 0
        return ((mask & truth).sum() / (mask | truth).sum()).item()

    assert iou() > 0.9
    assert 0.3 < iou() < 0.8
    assert iou() == 0  # no proposal
    assert iou() < 0.01  # one that hardly overlaps


@pytest.mark.parametrize("bfloat16", [False, True])
def test_oracle_finds_masks_automatically(monkeypatch: pytest.MonkeyPatch, bfloat16: bool) -> None:
    """An untrained SAM doubts all its masks, so the generator's thresholds are taken away."""
    generator = "avsynth.models.sam_oracle.SamAutomaticMaskGenerator"
    lenient = partial(SamAutomaticMaskGenerator, pred_iou_thresh=-9, stability_score_thresh=-1)
    monkeypatch.setattr(generator, lenient)
    model = build_sam_oracle(build_sam("tiny", 64), points_per_side=4)
    batch = make_batch(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        found = model(batch).logits[0] > 0
    assert batch.mask is not None
    truth = batch.mask[0].bool()
    assert 0 < (found & truth).sum() / (found | truth).sum() <= 1


def test_oracle_prompts_with_the_largest_regions() -> None:
    truth = np.zeros((20, 30), bool)
    truth[2:4, 3:5] = truth[8:14, 10:20] = truth[16:19, 25:29] = True
    sizes = [int(region.sum()) for region in regions(truth, 3)]
    assert sizes == [60, 12, 4]
    assert len(regions(truth, 1)) == 1
    assert regions(np.zeros((4, 4), bool), 3) == []


@pytest.mark.parametrize(("shape", "inside"), [("disc", True), ("ring", False)])
def test_oracle_points_lie_on_the_mask(shape: str, inside: bool) -> None:
    batch = make_batch(1)
    assert batch.mask is not None
    y, x = np.mgrid[:64, :70]
    radius = np.hypot(y - 32, x - 35)
    mask = radius < 20 if shape == "disc" else (radius < 20) & (radius > 10)
    batch = replace(batch, mask=torch.from_numpy(mask[None]).byte())
    model = build_sam_oracle(build_sam("tiny", 64), prompt="points")
    seen: list[Tensor] = []
    model.sam.prompt_encoder.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(kwargs["points"][0]), with_kwargs=True
    )
    first, again = model(batch).logits, model(batch).logits
    assert torch.equal(first, again)
    px, py = seen[0][0, 0].tolist()
    column, row = round((px + 0.5) * 70 / 64 - 0.5), round(py)
    assert mask[row, column]
    assert (abs(column - 35) < 2 and abs(row - 32) < 2) == inside


def test_oracle_boxes_fit_the_regions() -> None:
    batch = make_batch(1)
    model = build_sam_oracle(build_sam("tiny", 64), prompt="boxes", num_prompts=3)
    seen: list[Tensor] = []
    model.sam.prompt_encoder.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(kwargs["boxes"]), with_kwargs=True
    )
    model(batch)
    expected = torch.tensor([[8 * 64 / 70, 4, 40 * 64 / 70, 20]])
    torch.testing.assert_close(seen[0], expected)


def test_oracle_refuses_an_unknown_prompt() -> None:
    with pytest.raises(ConfigError, match="a prompt of automatic, points, boxes"):
        build_sam_oracle(build_sam("tiny", 64), prompt="text")
