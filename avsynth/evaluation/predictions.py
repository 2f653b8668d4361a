"""Predicted masks that a report shows: a few frames of a run, chosen by score, kept as PNG.

Layout: ``reports/predictions/<stage>/<run>/<key>.png``, parallel to ``reports/scores``. In the
audio test the name is ``<key>.<audio>.png``.
"""

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from avsynth.core.files import atomic_file
from avsynth.core.names import inside
from avsynth.loading.batch import AvsModel
from avsynth.loading.dataset import SplitData, load
from avsynth.loading.sampler import Request
from avsynth.metrics.frames import protocol_named
from avsynth.metrics.rows import FrameRow, LocalisationRow
from avsynth.runtime.options import Runtime

Mask = NDArray[np.bool_]
_SUFFIXES = (".png", ".flac")
"""Suffixes of predictions; files of other kinds in a run's folder are kept."""


def best_median_worst(
    rows: Sequence[FrameRow | LocalisationRow], each: int, by: str = "iou"
) -> list[str]:
    """Choose the keys of frames from the top, the middle and the bottom by score.

    Args:
        rows: of one run.
        each: frames of each kind; fewer if the run has fewer.
        by: the rows' column that holds the score.

    Returns:
        Keys without repetition, best first.
    """
    ordered = [row.key for row in sorted(rows, key=lambda row: (-getattr(row, by), row.key))]
    count = len(ordered)
    middle = max(0, (count - each) // 2)
    chosen = ordered[:each] + ordered[middle : middle + each] + ordered[-each:]
    return list(dict.fromkeys(chosen))


def best_of_categories(rows: Sequence[FrameRow], count: int) -> list[str]:
    """Choose the keys of the best frames of ``count`` different categories, best first."""
    best: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (-row.iou, row.key)):
        best.setdefault(row.category, row.key)
    return list(best.values())[:count]


def predict(
    model: AvsModel, split: SplitData, keys: Collection[str], *, protocol: str, runtime: Runtime
) -> Iterator[tuple[str, Mask]]:
    """Predict the masks of some frames, at the size that scores are taken at.

    Args:
        model: as it was scored.
        split: the same that was scored; clips stay whole.
        keys: of the frames.
        protocol: its IoU threshold binarises the masks.
        runtime: loader workers and device.

    Yields:
        Key and mask, bool ``[H, W]``.
    """
    wanted = set(keys)
    groups = [group for group in split.groups if wanted & set(group.keys)]
    requests = [Request(0, i, (group,), 1.0) for i, group in enumerate(groups)]
    threshold = protocol_named(protocol).iou_threshold
    assert isinstance(model, nn.Module)
    model.to(runtime.device).eval()
    with torch.no_grad():
        for _, batch in load(split.dataset, requests, runtime):
            logits = model(batch.to(runtime.device)).logits.float()
            masks = (torch.sigmoid(logits) > threshold).cpu().numpy()
            yield from ((k, m) for k, m in zip(batch.keys, masks, strict=True) if k in wanted)


def write_predictions(folder: Path, files: Mapping[str, Mask | bytes]) -> None:
    """Write a run's folder: masks as 1-bit PNG, bytes unchanged; remove its older predictions.

    Args:
        folder: of the run.
        files: name to content; a mask's name ends in ``.png``.
    """
    for name, content in files.items():
        with atomic_file(inside(folder, name)) as temporary:
            temporary.write_bytes(content if isinstance(content, bytes) else _png(content))
    for path in folder.glob("*"):
        if path.name not in files and path.suffix in _SUFFIXES and path.is_file():
            path.unlink()


def _png(mask: Mask) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
