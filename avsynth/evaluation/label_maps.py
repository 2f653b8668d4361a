"""Predicted label maps x AVSBench-semantic -> sums per class.

A label map is an index image: a grey or palette PNG whose pixels are class numbers 0..70. The
predictions are in ``<folder>/<uid>/<frame>.png``, parallel to ``<label>/<uid>/labels_semantic`` of
`avsynth.benchmarks.avss`. A binary mask times a known class is not a semantic prediction, so no
model of `avsynth.models` writes them: they come from a system that predicts classes.
"""

import json
from collections.abc import Iterator
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from avsynth.benchmarks import avss
from avsynth.formats.images import ImageError, open_image
from avsynth.metrics.semantic import NUM_CLASSES, ClassSums, class_sums
from avsynth.runtime.errors import DataError


def score_label_maps(root: Path, folder: Path, split: str) -> ClassSums:
    """Score every frame of a split of AVSBench-semantic, at the size of its ground truth.

    Args:
        root: of AVSBench-semantic.
        folder: of the predictions; a map of another size is resized to the nearest pixel.
        split: of metadata.csv; its clips of v1s, v1m and v2 are scored together.

    Raises:
        DataError: the split has no clips, or a label map is absent, damaged or no index image.
    """
    pairs = list(_pairs(root, folder, split))
    if not pairs:
        fix = "Choose train, val or test."
        raise DataError(str(root / "metadata.csv"), f"clips of split {split}", "none", fix)
    absent = [predicted for predicted, _ in pairs if not predicted.is_file()]
    if absent:
        found = f"{len(absent)} of {len(pairs)} absent, first {absent[0].relative_to(folder)}"
        fix = "Write a label map for every frame of the split."
        raise DataError(str(folder), "a label map <uid>/<frame>.png for every frame", found, fix)
    return reduce(add, (_frame_sums(predicted, target) for predicted, target in pairs))


def class_names(root: Path) -> list[str]:
    """Read the names of the 71 classes from ``label2idx.json``, in order of their numbers.

    Raises:
        DataError: the file is absent, damaged or has other numbers.
    """
    path = root / "label2idx.json"
    fix = "Get label2idx.json from the authors of AVSBench-semantic again."
    try:
        numbers = json.loads(path.read_bytes())
        names = {int(number): str(name) for name, number in numbers.items()}
    except FileNotFoundError:
        raise DataError(str(path), "the names of the classes", "no such file", fix) from None
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(str(path), "class names and their numbers", repr(error), fix) from None
    if sorted(names) != list(range(NUM_CLASSES)):
        raise DataError(str(path), f"numbers 0..{NUM_CLASSES - 1}", f"{len(names)} classes", fix)
    return [names[number] for number in range(NUM_CLASSES)]


def _pairs(root: Path, folder: Path, split: str) -> Iterator[tuple[Path, Path]]:
    """Yield the paths of prediction and ground truth of every labelled frame."""
    for uid, row in sorted(avss.read_metadata(root).items()):
        if row["split"] != split:
            continue
        ground_truth = root / row["label"] / uid / "labels_semantic"
        labelled = 1 if (row["label"], split) == ("v1s", "train") else avss.FRAMES[row["label"]]
        for number in range(labelled):
            yield folder / uid / f"{number}.png", ground_truth / f"{number}.png"


def _frame_sums(predicted: Path, target: Path) -> ClassSums:
    ground_truth = _read(target, None)
    height, width = ground_truth.shape
    return class_sums(_read(predicted, (width, height))[None], ground_truth[None])


def _read(path: Path, size: tuple[int, int] | None) -> Tensor:
    """Read a label map: int64 ``[H, W]``, resized to ``size`` (width, height)."""
    expected = f"an index image of classes 0..{NUM_CLASSES - 1}"
    fix = "Write class numbers as a grey or palette PNG."
    try:
        with open_image(path) as image:
            if image.mode not in ("L", "P"):
                raise DataError(str(path), expected, f"an image of mode {image.mode}", fix)
            fitted = image if size is None else image.resize(size, Image.Resampling.NEAREST)
            labels = np.asarray(fitted).astype(np.int64)
    except FileNotFoundError:
        raise DataError(str(path), expected, "no such file", "Restore the data set.") from None
    except (OSError, ImageError) as error:
        raise DataError(str(path), expected, str(error), fix) from None
    if labels.max() >= NUM_CLASSES:
        raise DataError(str(path), expected, f"class {labels.max()}", fix)
    return torch.from_numpy(labels)
