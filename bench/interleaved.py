"""Interleaved timing of variants of one job, so that other load affects all variants equally."""

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch

from bench.rows import Row, record


@dataclass(slots=True)
class Timing:
    """The times of one variant, one value per round."""

    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)


def measure(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Run every variant once as a warm-up, then ``rounds`` times alternately.

    Args:
        variants: name -> job; the first is the reference.
        rounds: number of measurements of each.
    """
    for job in variants.values():
        job()
    timings = {name: Timing() for name in variants}
    for _ in range(rounds):
        for name, job in variants.items():
            cpu, wall = time.process_time(), time.perf_counter()
            job()
            timings[name].cpu_s.append(time.process_time() - cpu)
            timings[name].wall_s.append(time.perf_counter() - wall)
    return timings


def ratios(base: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Return the ratio ``base`` / ``other`` over the rounds: median, lowest, highest."""
    found = sorted(a / b for a, b in zip(base, other, strict=True))
    return median(found), found[0], found[-1]


Goals = Mapping[str, tuple[float, float]]
"""Variant -> CPU ratio that it must reach, and the stretch goal."""


def table(title: str, timings: Mapping[str, Timing], notes: Mapping[str, str], goals: Goals) -> str:
    """Format timings as Markdown: median times, and ratios to the first variant.

    The ratios are also recorded in the table of all benches.
    """
    base = next(iter(timings.values()))
    lines = [
        f"### {title}",
        "",
        "| variant | CPU s | wall s | CPU ratio (lowest to highest) | wall ratio | goal | |",
        "|---|---:|---:|---|---:|---|---|",
    ]
    for name, timing in timings.items():
        middle, low, high = ratios(base.cpu_s, timing.cpu_s)
        wall = ratios(base.wall_s, timing.wall_s)[0]
        if timing is not base:
            found = [a / b for a, b in zip(base.cpu_s, timing.cpu_s, strict=True)]
            record(Row(Path(sys.argv[0]).stem, f"{title}: {name}", found, *goals.get(name, ())))
        lines.append(
            f"| {name} | {median(timing.cpu_s):.3f} | {median(timing.wall_s):.3f} "
            f"| {middle:.2f} ({low:.2f} to {high:.2f}) | {wall:.2f} "
            f"| {judge(middle, goals.get(name))} | {notes.get(name, '')} |"
        )
    return "\n".join([*lines, ""])


def judge(ratio: float, goal: tuple[float, float] | None) -> str:
    """Return the goals and whether a ratio reaches them."""
    if goal is None:
        return ""
    must, stretch = goal
    reached = "stretch" if ratio >= stretch else "pass" if ratio >= must else "FAIL"
    return f"{must:g} / {stretch:g}: {reached}"


def machine() -> str:
    """Return processor, threads and library versions in one line."""
    name = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            name = next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        pass
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{name}, {torch.get_num_threads()} threads, {device}, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )
