"""Model x shards -> one row per frame: the only outcome of an evaluation.

Every number of a table is a function of these rows (`avsynth.metrics.bootstrap`).
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from avsynth.evaluation.heat_maps import heat_maps
from avsynth.evaluation.predictions import Mask
from avsynth.loading.batch import AvsModel, Batch
from avsynth.loading.dataset import SplitData, load
from avsynth.loading.sampler import Request, in_turn
from avsynth.metrics.fmeasure import pack
from avsynth.metrics.frames import FrameScores, score_frames
from avsynth.metrics.localisation import consensus_map, score_heat, upper_half
from avsynth.metrics.rows import FrameRow, LocalisationRow, RunFacts
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track


def score(
    model: AvsModel, split: SplitData, facts: RunFacts, *, batch_size: int, runtime: Runtime
) -> list[FrameRow]:
    """Score every frame once, under the protocol that the facts name.

    Args:
        model: on the device that it runs on.
        split: whole clips in order, without an audio bank: pairs are fixed.
        facts: what the rows have in common.
        batch_size: most frames of a forward pass.
        runtime: loader workers and device.

    Returns:
        One row per frame, in the order of the groups.

    Raises:
        DataError: the split has no samples.
    """
    common = asdict(facts)
    rows: list[FrameRow] = []
    for batch, logits in iter_predictions(model, split, facts, batch_size, runtime):
        assert batch.mask is not None
        scores = score_frames(logits, batch.mask, facts.protocol)
        rows += [
            _frame_row(key, split.dataset.reader.meta(key), common, scores, i)
            for i, key in enumerate(batch.keys)
        ]
    return rows


def localise(
    model: AvsModel, split: SplitData, facts: RunFacts, *, batch_size: int, runtime: Runtime
) -> Iterator[tuple[LocalisationRow, Mask]]:
    """Score the logits of every frame as a heat map against the consensus of its boxes.

    Args:
        model: on the device that it runs on.
        split: frames with ``meta.boxes``; their size is
            `avsynth.metrics.localisation.SIDE_PX`.
        facts: what the rows have in common.
        batch_size: most frames of a forward pass.
        runtime: loader workers and device.

    Yields:
        A frame's row and its prediction: the upper half of the heat, bool ``[224, 224]``.

    Raises:
        DataError: the split has no samples.
    """
    common = asdict(facts)
    for batch, logits in iter_predictions(model, split, facts, batch_size, runtime):
        for key, heat in zip(batch.keys, heat_maps(logits), strict=True):
            meta = split.dataset.reader.meta(key)
            ciou, pixel_ap, piap = score_heat(heat, consensus_map(meta["boxes"]))
            row = LocalisationRow(
                **_sample(key, meta), **common, ciou=ciou, pixel_ap=pixel_ap, piap=piap
            )
            yield row, upper_half(heat)


def iter_predictions(
    model: AvsModel, split: SplitData, facts: RunFacts, batch_size: int, runtime: Runtime
) -> Iterator[tuple[Batch, Tensor]]:
    """Yield every batch, on the device, with the model's logits: float32 ``[N, Hf, Wf]``.

    Raises:
        DataError: the split has no samples.
    """
    dataset, groups = split.dataset, split.groups
    if not groups:
        where = str(dataset.reader.folder)
        raise DataError(where, f"samples of split {facts.split}", "none", "Build more data.")
    if dataset.spec.frame_size is None:
        requests = [Request(0, i, (group,), 1.0) for i, group in enumerate(groups)]
    else:
        parts = in_turn(groups, batch_size)
        requests = [Request(0, i, part, 1.0) for i, part in enumerate(parts)]
    assert isinstance(model, nn.Module)
    model.to(runtime.device).eval()
    what = f"scores of {facts.run}"
    for _, batch in track(load(dataset, requests, runtime), what, len(requests), runtime):
        moved = batch.to(runtime.device)
        with torch.no_grad():
            logits = model(moved).logits.float()
        yield moved, logits


def _sample(key: str, meta: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": key,
        "clip_key": meta["clip_key"],
        "category": meta["category"],
        "version": str(meta.get("version", "build")),
    }


def _frame_row(
    key: str, meta: dict[str, Any], common: dict[str, Any], scores: FrameScores, i: int
) -> FrameRow:
    return FrameRow(
        **_sample(key, meta),
        **common,
        **_numbers(scores, i),
        num_frames=meta["num_frames"],
        frame_index=meta["frame_index"],
    )


def _numbers(scores: FrameScores, i: int) -> dict[str, Any]:
    return {
        "iou": float(scores.iou[i]),
        "fscore": float(scores.fscore[i]),
        "inter_px": int(scores.inter_px[i]),
        "union_px": int(scores.union_px[i]),
        "gt_px": int(scores.gt_px[i]),
        "pred_px": int(scores.pred_px[i]),
        "histogram": pack(scores.histogram[i]),
    }
