"""Benchmark of the models on a GPU, all variants in one process, goals G1 to G10.

    python bench/gpu.py                   # ViT-H, about 25 minutes on one H200
    python bench/gpu.py --cases loader    # of forward, training, cached, evaluation, loader
    python bench/gpu.py --tiny            # tiny backbone, also without a GPU: a check that it runs

The reference is segment-anything's unchanged encoder in fp32 without and with TF32, and with bf16
autocast. Each variant uses its fastest batch size. The share of the GPU is the rate of FLOPs
without padding, relative to the rate of a large bf16 matrix product measured in the same run.
To publish results, copy the output into docs/performance.md.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

if not __package__:  # run as a file: import from the repository root, not from bench/
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from avsynth.loading.dataset import load
from avsynth.loading.sampler import Request, in_turn
from avsynth.metrics.frames import score_frames
from avsynth.models import MODELS
from avsynth.models.backbones.architectures import ARCHITECTURES
from avsynth.models.backbones.sam import build_sam
from avsynth.runtime.options import Runtime
from bench.interleaved import machine
from bench.loader import our_dataset, write_inputs
from bench.models import FAST, OFFICIAL, Setting, make_batch, run_as, saved_bytes


@dataclass(frozen=True)
class Variant:
    """One encoder, precision and backend setting on a GPU."""

    setting: Setting
    tf32: bool = False
    folded: bool = False
    compiled: bool = False

    @property
    def name(self) -> str:
        """The name of the variant in the table."""
        marks = [m for m, on in (("TF32", self.tf32), ("folded", self.folded)) if on]
        return ", ".join([self.setting.name, *marks, *(["compiled"] if self.compiled else [])])


@dataclass(frozen=True)
class Scale:
    """The sizes of all cases."""

    architecture: str
    sizes: tuple[int, ...]
    batches: dict[int, tuple[int, ...]]
    rounds: int
    device: str
    frames: int
    """Frames of the training set, for the printed training time."""


FULL = Scale("vit_h", (1024, 256), {1024: (1, 2, 4, 8), 256: (8, 16, 32, 64)}, 7, "cuda", 60_000)
TINY = Scale("tiny", (128, 64), {128: (1, 2), 64: (2,)}, 1, "cpu", 60_000)

REFERENCES = [
    Variant(Setting(OFFICIAL)),
    Variant(Setting(OFFICIAL), tf32=True),
    Variant(Setting(OFFICIAL, True)),
]
INFERENCE = [
    *REFERENCES,
    Variant(Setting(FAST)),
    Variant(Setting(FAST, True)),
    Variant(Setting(FAST, True), folded=True),
    Variant(Setting(FAST, True), compiled=True),
    Variant(Setting(FAST, True), folded=True, compiled=True),
]
TRAINING = [
    *REFERENCES,
    Variant(Setting(FAST, True)),
    Variant(Setting(FAST, True), compiled=True),
    Variant(Setting(FAST, True, True)),
]


def seconds(job: Callable[[], object], scale: Scale) -> float:
    """Measure a job: median wall time of the rounds after two warm-up runs."""
    found = []
    for index in range(scale.rounds + 2):
        synchronise(scale)
        start = time.perf_counter()
        job()
        synchronise(scale)
        if index > 1:
            found.append(time.perf_counter() - start)
    return median(found)


def synchronise(scale: Scale) -> None:
    """Wait until the device has finished its work."""
    if scale.device == "cuda":
        torch.cuda.synchronize()


@contextmanager
def running(variant: Variant, model: nn.Module, scale: Scale) -> Iterator[None]:
    """Switch model and backend to a variant."""
    run_as(variant.setting, model)
    encoder = model.sam.image_encoder
    encoder.folded = variant.folded
    if variant.compiled:
        torch.compiler.reset()
        encoder.compile()
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = variant.tf32
    try:
        with torch.autocast(scale.device, torch.bfloat16, enabled=variant.setting.bfloat16):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
        encoder._compiled_call_impl = None


def flops(architecture: str, size: int) -> float:
    """Count the encoder's floating-point operations for one image, without padding."""
    a = ARCHITECTURES[architecture]
    tokens = (size // a.patch) ** 2
    linear = a.depth * 24 * tokens * a.dim**2
    spans = len(a.global_blocks) * tokens + (a.depth - len(a.global_blocks)) * a.window**2
    ends = 2 * tokens * (3 * a.patch**2 * a.dim + a.dim * a.out_dim + 9 * a.out_dim**2)
    return linear + 4 * tokens * a.dim * spans + ends


def gemm_rate(scale: Scale) -> float:
    """Measure the rate of a large bf16 matrix product in FLOP/s."""
    side = 8192 if scale.device == "cuda" else 256
    left, right = (
        torch.randn(side, side, device=scale.device, dtype=torch.bfloat16) for _ in range(2)
    )
    return 2 * side**3 / seconds(lambda: left @ right, scale)


Row = tuple[float, int, float]
"""Seconds per image, batch size, peak bytes per image."""


def fastest(
    job: Callable[[int], Callable[[], object]], batches: tuple[int, ...], scale: Scale
) -> Row:
    """Measure all batch sizes and return the fastest."""
    best = (float("inf"), 0, 0.0)
    for frames in batches:
        try:
            run = job(frames)
            if scale.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            taken = seconds(run, scale) / frames
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        peak = torch.cuda.max_memory_allocated() / frames if scale.device == "cuda" else 0.0
        best = min(best, (taken, frames, peak))
    return best


def report(title: str, rows: list[tuple[str, Row]], work: float, rate: float) -> None:
    """Print a table with the ratios to each of the three references."""
    print(f"### {title}\n")
    print("| variant | batch | images/s | vs fp32 | vs TF32 | vs bf16 | GPU share | MiB an image |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, (taken, frames, peak) in rows:
        against = " | ".join(f"{rows[i][1][0] / taken:.2f}" for i in range(3))
        print(
            f"| {name} | {frames} | {1 / taken:.1f} | {against} | {work / taken / rate:.0%} "
            f"| {peak / 2**20:.0f} |",
            flush=True,
        )
    print()


def forward_case(scale: Scale, size: int, rate: float) -> None:
    """Measure G1 to G4: encode images."""
    model = MODELS["ap_sam"](build_sam(scale.architecture, size)).to(scale.device)
    rows, exact = [], None

    def job(frames: int) -> Callable[[], Tensor]:
        batch = make_batch(scale.architecture, size, frames).to(scale.device)
        return lambda: model.sam.encode(batch)

    for variant in INFERENCE:
        with torch.no_grad(), running(variant, model, scale):
            sample = job(1)().float()
            exact = sample if exact is None else exact
            error = ((sample - exact).norm() / exact.norm()).item()
            row = fastest(job, scale.batches[size], scale)
        rows.append((f"{variant.name} (error {error:.0e})", row))
    report(f"Encoder {scale.architecture}, {size} px", rows, flops(scale.architecture, size), rate)


def training_case(scale: Scale, size: int, rate: float) -> None:
    """Measure G5 to G7: SAMA-AVS training steps, 2.08 times the work of a forward pass.

    The factor is below 3 because the encoder's weights are frozen.
    """
    model = MODELS["sama_avs"](build_sam(scale.architecture, size)).to(scale.device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0, fused=True)
    rows = []

    def job(frames: int) -> Callable[[], Tensor]:
        batch = make_batch(scale.architecture, size, frames).to(scale.device)

        def step() -> Tensor:
            optimizer.zero_grad()
            loss = model.loss(batch)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    for variant in TRAINING:
        notes = ""
        with running(variant, model, scale):
            if not variant.compiled:
                saved, loss = saved_bytes(model, job(1))
                notes = f" (loss {loss:.5f}, saves {saved / 2**20:.0f} MiB)"
            row = fastest(job, scale.batches[size], scale)
        rows.append((variant.name + notes, row))
    title = f"SAMA-AVS training step {scale.architecture}, {size} px"
    report(title, rows, 2.08 * flops(scale.architecture, size), rate)


def cached_case(scale: Scale) -> None:
    """Measure G8: AP-SAM training steps with the encoder, or with cached embeddings."""
    size = scale.sizes[-1]
    model = MODELS["ap_sam"](build_sam(scale.architecture, size)).to(scale.device)
    frames = scale.batches[size][-1]
    batch = make_batch(scale.architecture, size, frames).to(scale.device)
    with torch.no_grad():
        embedding = model.sam.encode(batch).bfloat16()
    print(f"### AP-SAM training step {scale.architecture}, {size} px, batch {frames}\n")
    print(f"| variant | images/s | hours for 80 epochs of {scale.frames:,} |\n|---|---:|---:|")
    for variant, name in (
        (REFERENCES[0], "encoder run"),
        (REFERENCES[2], "encoder run"),
        (INFERENCE[4], "encoder run"),
        (INFERENCE[4], "from the cache"),
    ):
        cached = name == "from the cache"
        model.sam.embedding_cache = (lambda *_: embedding.float()) if cached else None

        def step() -> None:
            model.loss(batch).backward()

        with running(variant, model, scale):
            rate = frames / seconds(step, scale)
        hours = 80 * scale.frames / rate / 3600
        print(f"| {variant.name}, {name} | {rate:.1f} | {hours:.2f} |", flush=True)
    print()


def evaluation_case(scale: Scale) -> None:
    """Measure G9: SAMA-AVS with IoU and F-measure, compared with a loop over 255 thresholds."""
    size = scale.sizes[0]
    model = MODELS["sama_avs"](build_sam(scale.architecture, size)).to(scale.device).eval()
    batch = make_batch(scale.architecture, size, 5).to(scale.device)
    assert batch.mask is not None
    truth = batch.mask

    def looped() -> None:
        logits = model(batch).logits.sigmoid()
        for threshold in torch.linspace(0, 1 - 1e-10, 255).tolist():
            found = (logits >= threshold).float()
            hits = (found * truth).sum((1, 2))
            (hits / (found.sum((1, 2)) + 1e-20)).cpu()
            (hits / (truth.sum((1, 2)) + 1e-20)).cpu()

    def ours() -> None:
        score_frames(model(batch).logits, truth)

    print(f"### Evaluation of 5 frames, {scale.architecture}, {size} px\n")
    print("| variant | frames/s |\n|---|---:|")
    for variant, job, name in (
        (REFERENCES[0], looped, "255 thresholds"),
        (REFERENCES[2], looped, "255 thresholds"),
        (INFERENCE[4], ours, "one pass"),
    ):
        with torch.no_grad(), running(variant, model, scale):
            print(f"| {variant.name}, {name} | {5 / seconds(job, scale):.1f} |", flush=True)
    print()


def loader_case(scale: Scale) -> None:
    """Measure G10: encode images from shards; share of time that the device waits for data."""
    size = scale.sizes[-1]
    frames = scale.batches[size][-1]
    variant = INFERENCE[4]
    model = MODELS["ap_sam"](build_sam(scale.architecture, size)).to(scale.device)
    workers = len(os.sched_getaffinity(0)) if scale.device == "cuda" else 2
    print(f"### Loader, {scale.architecture}, {size} px, {frames} frames, {workers} workers\n")
    print("| variant | images/s from shards | resident | waits | goal |\n|---|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as name, torch.no_grad(), running(variant, model, scale):
        write_inputs(Path(name), 4 * frames)
        dataset, requests = our_dataset(Path(name), size)
        groups = [group for request in requests for group in request.groups]
        parts = list(in_turn(groups, frames)) * (2 * workers if scale.device == "cuda" else 2)
        asked = [Request(0, i, part, 1.0) for i, part in enumerate(parts)]
        batches = load(dataset, asked, Runtime(workers, device=scale.device))
        resident = next(batches)[1].to(scale.device)  # the workers have started
        busy = seconds(lambda: model.sam.encode(resident), scale)
        start = time.perf_counter()
        for _, batch in batches:
            model.sam.encode(batch.to(scale.device))
        synchronise(scale)
        each = (time.perf_counter() - start) / (len(asked) - 1)
    print(
        f"| {variant.name} | {frames / each:.1f} | {frames / busy:.1f} "
        f"| {max(0.0, 1 - busy / each):.1%} | <= 10 % |\n"
    )


def main() -> None:
    """Run the cases and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tiny", action="store_true", help="tiny backbone on the CPU")
    parser.add_argument("--architecture", default="vit_h", choices=sorted(ARCHITECTURES))
    parser.add_argument("--cases", default="forward,training,cached,evaluation,loader")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        parser.error("no CUDA device was found; use --tiny to run without one")
    if options.tiny:
        torch.set_num_threads(1)
        for variants in (INFERENCE, TRAINING):  # compiling takes a minute for each on a CPU
            variants[:] = [v for v in variants if not v.compiled]
    scale = TINY if options.tiny else replace(FULL, architecture=options.architecture)
    print(machine(), end="\n\n")
    rate = gemm_rate(scale)
    print(f"bf16 matrix product: {rate / 1e12:.2f} TFLOP/s\n")
    cases: dict[str, Callable[[], object]] = {
        "forward": lambda: [forward_case(scale, size, rate) for size in scale.sizes],
        "training": lambda: [training_case(scale, size, rate) for size in scale.sizes],
        "cached": lambda: cached_case(scale),
        "evaluation": lambda: evaluation_case(scale),
        "loader": lambda: loader_case(scale),
    }
    for case in options.cases.split(","):
        cases[case]()


if __name__ == "__main__":
    main()
