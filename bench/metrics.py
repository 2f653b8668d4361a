"""Benchmark of the F-measure in one pass, compared with a loop over 255 thresholds.

Run: ``python -m bench.metrics``. The peer follows the definition: for every frame and threshold,
compare, multiply and sum. Both give the same numbers. CPU time of one thread, best of the rounds,
measured alternately.
"""

import argparse
import time

import torch
from torch import Tensor

from avsynth.metrics.frames import f_measure
from bench.rows import Row, record


def loop_f(logits: Tensor, gt: Tensor) -> float:
    """Score a batch with one comparison of all pixels per threshold."""
    thresholds = torch.linspace(0, 1 - 1e-10, 255)
    total, counted = torch.zeros(255), 0
    for values, true in zip(logits.sigmoid(), gt.float(), strict=True):
        if true.sum() == 0:
            continue
        precision, recall = torch.zeros(255), torch.zeros(255)
        for k, threshold in enumerate(thresholds):
            predicted = (values >= threshold).float()
            hit = (predicted * true).sum()
            precision[k] = hit / (predicted.sum() + 1e-20)
            recall[k] = hit / (true.sum() + 1e-20)
        f = 1.3 * precision * recall / (0.3 * precision + recall)
        total, counted = total + f.nan_to_num(0.0), counted + 1
    return (total / counted).max().item() if counted else 0.0


def cpu_seconds(score, logits: Tensor, gt: Tensor) -> tuple[float, float]:
    """Return the score and the CPU seconds it took."""
    start = time.process_time()
    value = score(logits, gt)
    return value, time.process_time() - start


def main() -> None:
    """Measure and print one row per frame size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the small size, two rounds")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    for size, rounds in ((224, 2),) if quick else ((224, 7), (256, 7), (1024, 3)):
        coarse = torch.randn(5, 1, size // 16, size // 16, generator=rng) * 6
        logits = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")[:, 0]
        gt = (logits + torch.randn(logits.shape, generator=rng) > 0).to(torch.uint8)
        times: dict[str, list[float]] = {"loop": [], "one pass": []}
        for _ in range(rounds):
            expected, seconds = cpu_seconds(loop_f, logits, gt)
            times["loop"].append(seconds)
            value, seconds = cpu_seconds(f_measure, logits, gt)
            times["one pass"].append(seconds)
            if value != expected:
                raise SystemExit(f"{size}: one pass {value!r} differs from the loop {expected!r}")
        found = [a / b for a, b in zip(times["loop"], times["one pass"], strict=True)]
        record(Row("metrics", f"F-measure of 5 frames, {size} px", found, 8, 20))
        slow, fast = (min(times[name]) for name in ("loop", "one pass"))
        print(
            f"{size}x{size}, 5 frames: loop {slow * 1e3:.1f} ms, one pass {fast * 1e3:.2f} ms, "
            f"{slow / fast:.0f}x, identical F {value:.6f}"
        )


if __name__ == "__main__":
    main()
