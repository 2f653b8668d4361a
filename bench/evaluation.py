"""Benchmark of scoring a split, with loading and model, compared with the published method.

Run: ``python -m bench.evaluation [--quick]``. Peer, as in published evaluations: each batch's IoU,
and its F-measure by a loop over 255 thresholds, averaged over batches. Ours: one row per frame, and
the same averages computed from the rows. Both use the same loader and model (AP-SAM, tiny, because
the time of a larger model would hide the difference). CPU time of one thread, measured alternately;
the averages must agree.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path
from statistics import mean

import pandas as pd
import torch

from avsynth.evaluation.evaluate import score
from avsynth.loading.batch import AvsModel
from avsynth.loading.dataset import SampleSpec, ShardDataset, SplitData, load
from avsynth.loading.sampler import Request, in_turn
from avsynth.metrics.bootstrap import estimate
from avsynth.metrics.frames import frame_iou
from avsynth.metrics.rows import RunFacts
from avsynth.models import MODELS
from avsynth.models.backbones.sam import build_sam
from avsynth.models.backbones.vggish import build_vggish
from avsynth.runtime.options import Runtime
from bench.interleaved import machine, measure, table
from bench.loader import BATCH, our_dataset, write_inputs
from bench.metrics import loop_f

INPUT, SIDE = 64, 224
"""Side of the model's input, and of the frames that are scored, in pixels."""
GOALS = {"avsynth": (3.0, 5.0)}


def published(model: AvsModel, split: SplitData) -> tuple[float, float]:
    """Compute IoU and F-measure, averaged over batches."""
    parts = in_turn(split.groups, BATCH)
    requests = [Request(0, i, part, 1.0) for i, part in enumerate(parts)]
    ious, fs = [], []
    with torch.no_grad():
        for _, batch in load(split.dataset, requests, Runtime()):
            assert batch.mask is not None
            logits = model(batch).logits.float()
            ious.append(float(frame_iou(logits, batch.mask).mean()))
            fs.append(loop_f(logits, batch.mask))
    return mean(ious), mean(fs)


def ours(model: AvsModel, split: SplitData) -> tuple[float, float]:
    """Score frame by frame, and average the rows as published."""
    facts = RunFacts(
        run="bench", model="ap_sam", benchmark="bench", split="test", protocol="avsbench",
        architecture="", input_size=0, pretrained_on="", trained_on="", finetuned_on="",
        real_percent=0, shots=0, ablation="", prompt="",
    )  # fmt: skip
    rows = score(model, split, facts, batch_size=BATCH, runtime=Runtime(quiet=True))
    frame = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    iou, f = (
        estimate(frame, name, draws=1, seed=0, clips_per_batch=BATCH).value
        for name in ("meter_iou", "meter_f")
    )
    return iou, f


def main() -> None:
    """Check that both methods agree, then print and record their times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few frames, one round")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print(machine(), end="\n\n")
    model = MODELS["ap_sam"](build_sam("tiny", INPUT), build_vggish(size="tiny"))
    count = 2 * BATCH if quick else 8 * BATCH
    with tempfile.TemporaryDirectory() as name:
        write_inputs(Path(name), count)
        whole, requests = our_dataset(Path(name), SIDE)
        dataset = ShardDataset(whole.reader, SampleSpec(INPUT, (SIDE, SIDE)), whole.bank)
        groups = [group for request in requests for group in request.groups]
        groups.sort(key=lambda group: str(dataset.reader.meta(group.keys[0])["clip_key"]))
        split = SplitData(dataset, groups)  # batches follow the order of clips
        expected, found = published(model, split), ours(model, split)
        if any(abs(a - b) > 1e-6 for a, b in zip(expected, found, strict=True)):
            raise SystemExit(f"published {expected}, from rows {found}")
        timings = measure(
            {"published": lambda: published(model, split), "avsynth": lambda: ours(model, split)},
            1 if quick else 5,
        )
    note = {"avsynth": f"IoU {found[0]:.6f}, F {found[1]:.6f}: the same"}
    print(table(f"A split of {count} frames at {SIDE} px", timings, note, GOALS))


if __name__ == "__main__":
    main()
