"""Make torchvision and torchaudio importable beside a CPU-only torch.

The wheels of the package index carry libraries that link CUDA. Beside a CPU build of torch these
libraries cannot load, and the packages fail to import with ``RuntimeError: operator
torchvision::nms does not exist`` and ``OSError``, although the Python code that this project uses
(transforms, ``ops.nms``, ``models``) needs none of it. Where the libraries load, nothing is
changed. ``torchvision.io``, ``torchaudio.load`` and ``torchaudio.save`` remain unavailable: images
are read with Pillow or OpenCV, audio with soundfile or PyAV.
"""

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import torch
from torch import Tensor

_kept: list[torch.library.Library] = []
"""Operator libraries: a schema lives only as long as the object that defined it."""


def ensure_importable() -> None:
    """Make ``import torchvision`` and ``import torchaudio`` work where they fail.

    A package that is not installed is left alone: its import then fails as usual.
    """
    _ensure_torchvision()
    _ensure_torchaudio()


def _ensure_torchvision() -> None:
    if "torchvision" in sys.modules or _kept or _loads("torchvision", "_C*"):
        return
    _forget("torchvision")
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    _kept.append(library)
    importlib.import_module("torchvision").extension._has_ops = lambda: True


def _ensure_torchaudio() -> None:
    if "torchaudio" in sys.modules or _loads("torchaudio", "lib/_torchaudio*"):
        return
    _forget("torchaudio")
    stub = types.ModuleType("torchaudio._extension.utils")
    stub.__dict__.update(
        _load_lib=lambda name: False,
        _check_cuda_version=lambda: None,
        _init_dll_path=lambda: None,
    )
    sys.modules[stub.__name__] = stub
    importlib.import_module("torchaudio")


def _loads(package: str, pattern: str) -> bool:
    """Return whether a package is absent, pure Python, or has a library that loads here."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return True
    for path in sorted(Path(spec.origin).parent.glob(f"{pattern}.so")):
        try:
            torch.ops.load_library(path)
        except OSError:
            return False
    return True


def _forget(package: str) -> None:
    """Remove the modules that a failed import of ``package`` left."""
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        del sys.modules[name]


def _nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression of boxes, the operator ``torchvision::nms``.

    Args:
        dets: float ``[K, 4]``, boxes ``x0, y0, x1, y1``.
        scores: float ``[K]``.
        iou_threshold: a box is dropped where its IoU with a kept one exceeds this.

    Returns:
        int64 indices of the kept boxes, best score first.
    """
    order = scores.sort(descending=True, stable=True).indices
    boxes = dets[order]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = torch.ones(len(boxes), dtype=torch.bool)
    keep: list[int] = []
    for index in range(len(boxes)):
        if not alive[index]:
            continue
        keep.append(index)
        low = torch.maximum(boxes[index, :2], boxes[index + 1 :, :2])
        high = torch.minimum(boxes[index, 2:], boxes[index + 1 :, 2:])
        inter = (high - low).clamp(min=0).prod(dim=1)
        alive[index + 1 :] &= inter <= iou_threshold * (area[index] + area[index + 1 :] - inter)
    return order[torch.tensor(keep, dtype=torch.int64)]
