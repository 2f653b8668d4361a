"""torchvision and torchaudio can be imported beside any torch."""

import subprocess
import sys

import pytest
import torch

from avsynth.runtime.torchvision_compat import _nms, ensure_importable

USE = """
import sys
for package in sys.argv[1:]:
    try:
        __import__(package)
    except Exception:
        pass
from avsynth.runtime.torchvision_compat import ensure_importable
ensure_importable()
ensure_importable()
import torch, torchaudio, torchvision
from torchaudio.transforms import Resample
from torchvision.ops import batched_nms
from torchvision.transforms.functional import resize
boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
kept = batched_nms(boxes, torch.tensor([0.5, 0.9, 0.1]), torch.zeros(3), 0.5)
assert kept.tolist() == [1, 2], kept
assert Resample(44100, 16000)(torch.zeros(1, 44100)).shape == (1, 16000)
assert resize(torch.zeros(3, 8, 8), [4, 4]).shape == (3, 4, 4)
import segment_anything
"""


@pytest.mark.parametrize(
    "tried_before",
    [pytest.param([], marks=pytest.mark.slow), ["torchvision", "torchaudio"]],
    ids=["at once", "after failed imports"],
)
def test_both_import_in_a_fresh_process(tried_before: list[str]) -> None:
    command = [sys.executable, "-c", USE, *tried_before]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nms_drops_what_overlaps_a_better_box() -> None:
    rng = torch.Generator().manual_seed(0)
    corners = torch.rand(60, 2, generator=rng) * 50
    boxes = torch.cat((corners, corners + 5 + 20 * torch.rand(60, 2, generator=rng)), dim=1)
    scores = torch.rand(60, generator=rng)
    kept = _nms(boxes, scores, 0.5).tolist()

    def iou(a: int, b: int) -> float:
        low, high = (
            torch.maximum(boxes[a, :2], boxes[b, :2]),
            torch.minimum(boxes[a, 2:], boxes[b, 2:]),
        )
        inter = (high - low).clamp(min=0).prod()
        areas = [(boxes[i, 2:] - boxes[i, :2]).prod() for i in (a, b)]
        return float(inter / (areas[0] + areas[1] - inter))

    expected: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(iou(index, better) <= 0.5 for better in expected):
            expected.append(index)
    assert kept == expected
    assert 5 < len(kept) < 60
    assert _nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def test_where_the_libraries_load_nothing_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avsynth.runtime.torchvision_compat._loads", lambda package, pattern: True)
    monkeypatch.setattr("avsynth.runtime.torchvision_compat._kept", [])
    before = dict(sys.modules)
    for package in ("torchvision", "torchaudio"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    ensure_importable()
    assert "torchvision" not in sys.modules
    assert "torchaudio" not in sys.modules
    assert before.keys() >= sys.modules.keys()
