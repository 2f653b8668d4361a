"""Benchmark of the training loader, compared with loaders that repeat all work at each access.

Peer, as in published AVS loaders: decode the image with Pillow, resize, convert to float,
normalise; the same for the mask; read the 10-s clip at 44.1 kHz, resample it with resampy
(kaiser_best), compute the log-mel of the whole clip, keep one example. Ours: shards and the audio
bank; pixels stay uint8. Images are photo-like JPEGs of 640 x 480 and about 120 kB.

Run: ``python -m bench.loader [--quick]``. Ratios of CPU time, measured alternately in one process
on one thread.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import io
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import torch
from PIL import Image
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from avsynth.core.records import Sample
from avsynth.formats.mask_rle import mask_to_rle, rle_to_png
from avsynth.formats.shards import ShardReader, write_index, write_shard
from avsynth.formats.waveform import encode_flac
from avsynth.loading.audio_bank import AudioBank
from avsynth.loading.dataset import SampleSpec, ShardDataset, load
from avsynth.loading.sampler import Request, in_turn, list_groups
from avsynth.runtime.options import Runtime
from bench.audio import music, peer_patch
from bench.interleaved import Timing, machine, measure, ratios, table
from bench.rows import Row, record

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
GOALS = {"avsynth": (25.0, 40.0)}
WORKERS_GOAL = 1.6
BATCH = 8


def main() -> None:
    """Print a table for each input size, then the gain of a second worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few samples, two rounds")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print(machine(), "\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, 16 if quick else 48)
        for side in (1024, 256):
            print(compare(folder, side, rounds=2 if quick else 5, peers=4 if quick else 8))
        print(workers(folder, passes=4 if quick else 12, rounds=1 if quick else 3))


def write_inputs(folder: Path, count: int) -> None:
    """Write the same samples as loose files and as a shard."""
    rng, samples = np.random.default_rng(0), []
    for number in range(count):
        coarse = rng.integers(0, 256, (60, 80, 3), np.uint8)
        image = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
        grain = rng.normal(0, 8, (480, 640, 3))
        image = Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG", quality=84)
        rows, columns = np.mgrid[:480, :640]
        mask = (rows - 240) ** 2 + (columns - 320) ** 2 < 150**2
        (folder / f"{number}.jpg").write_bytes(jpeg.getvalue())
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{number}.png")
        logmel = io.BytesIO()
        np.save(logmel, np.zeros((1, 96, 64), np.float32))
        meta = {"category": "dog", "clip_key": str(number), "frame_index": 0, "num_frames": 1}
        png = rle_to_png(mask_to_rle(mask), 480, 640)
        samples.append(
            Sample(
                f"dog-{number:04d}", jpeg.getvalue(), "jpg", png,
                encode_flac(np.zeros(16_000, np.float32)), logmel.getvalue(), dict(meta),
            )
        )  # fmt: skip
    soundfile.write(folder / "clip.wav", music(44_100, 2), 44_100)
    write_index(folder, "bench", [write_shard(folder / "train-00000.tar", "train", samples)])


def peer_sample(folder: Path, number: int, side: int) -> tuple[torch.Tensor, ...]:
    """Load a sample as published loaders do."""
    image = Image.open(folder / f"{number}.jpg").convert("RGB")
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float().div(255)
    image = (image - MEAN[:, None, None]) / STD[:, None, None]
    grey = Image.open(folder / f"{number}.png").convert("1")
    mask = np.asarray(grey.resize((side, side), Image.Resampling.NEAREST))
    audio = torch.from_numpy(peer_patch(folder / "clip.wav"))
    return image, torch.from_numpy(mask.copy()).float(), audio


def our_dataset(folder: Path, side: int) -> tuple[ShardDataset, list[Request]]:
    """Open the shard and its audio bank; return the dataset and a request for every sample."""
    rows = {"clip": np.zeros((10, 128), np.float32)}
    bank = AudioBank(rows, {"dog": (("clip", tuple(range(10))),)}, seed=0)
    reader = ShardReader(folder, "train")
    groups = list_groups(reader, whole_clips=False)
    requests = [Request(0, i, part, 1.0) for i, part in enumerate(in_turn(groups, BATCH))]
    return ShardDataset(reader, SampleSpec(side, (side, side)), bank), requests


def compare(folder: Path, side: int, rounds: int, peers: int) -> str:
    """Measure both loaders alternately; return a table of CPU seconds per sample."""
    dataset, requests = our_dataset(folder, side)
    count = len(dataset.reader)
    timings = measure(
        {
            "peer": lambda: [peer_sample(folder, n, side) for n in range(peers)],
            "avsynth": lambda: deque(load(dataset, requests, Runtime()), maxlen=0),
        },
        rounds,
    )
    each = {
        name: Timing([t / n for t in timing.cpu_s], [t / n for t in timing.wall_s])
        for (name, timing), n in zip(timings.items(), (peers, count), strict=True)
    }
    return table(f"One sample at {side} x {side} px", each, {}, GOALS)


def workers(folder: Path, passes: int, rounds: int) -> str:
    """Measure the samples per second of one and of two worker processes."""
    dataset, requests = our_dataset(folder, 256)
    asked = requests * passes
    taken: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for number in taken:
            loader = DataLoader(
                dataset, batch_size=None, sampler=asked, num_workers=number,
                collate_fn=lambda loaded: loaded,
            )  # fmt: skip
            batches = iter(loader)
            next(batches)  # the workers have started
            start = time.perf_counter()
            for _ in batches:
                pass
            taken[number].append(time.perf_counter() - start)
    middle, low, high = ratios(taken[1], taken[2])
    rate = BATCH * len(asked) / median(taken[2])
    found = [one / two for one, two in zip(taken[1], taken[2], strict=True)]
    record(Row("loader", "two workers vs one, wall", found, WORKERS_GOAL))
    judged = "pass" if middle >= WORKERS_GOAL else "FAIL"
    return (
        f"Two workers against one at 256 px: {middle:.2f}x ({low:.2f} to {high:.2f}), "
        f"{rate:.0f} samples a second; goal {WORKERS_GOAL}: {judged}\n"
    )


if __name__ == "__main__":
    main()
