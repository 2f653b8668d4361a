"""Benchmark of Ray in `map_items`: ``python -m bench.cluster``.

Small tasks, compared with plain Ray, measure the overhead per task. Shards, compared with local
processes, measure the gain of a build. All run alternately on two CPUs of this machine. Ratios are
of wall time; Ray is started before.
"""

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from avsynth.building.shard_builder import ShardPlan, build_shards
from avsynth.core.records import Drop, Sample
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from bench.rows import Row, record

RAY, PROCESSES = (Runtime(2, executor, quiet=True) for executor in ("ray", "process"))


def nothing(number: int) -> int:
    """Return the argument: a task without work."""
    return number


def make(content: tuple[int, int]) -> Iterator[Sample | Drop]:
    """Build the samples of a shard; hashing replaces the real work."""
    import hashlib

    shard, count = content
    for i in range(count):
        work = hashlib.pbkdf2_hmac("sha256", b"x", b"y", 4000)
        key = f"dog-{shard:04x}{i:06x}"
        yield Sample(key, work * 4000, "jpg", b"m", b"a", b"l", {})


def bare(count: int) -> None:
    """Run small tasks as in Ray's guide."""
    import ray

    task = ray.remote(nothing)
    ray.get([task.remote(i) for i in range(count)])


def shards(folder: Path, count: int, runtime: Runtime) -> None:
    """Write shards of a hundred samples."""
    plans = [
        ShardPlan(f"train-{n:05d}.tar", "train", (n, 100), f"{n:032x}", 100 * 130_000)
        for n in range(count)
    ]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        build_shards(Path(place) / "out", "bench", plans, make, Path(place) / "staging", runtime)


def in_turn(jobs: dict[str, Callable[[], object]], rounds: int) -> list[float]:
    """Run two jobs alternately; return the ratio of times, first over second, per round."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds + 1):
        for name, job in jobs.items():
            begun = time.perf_counter()
            job()
            taken[name].append(time.perf_counter() - begun)
    for name, seconds in taken.items():
        print(f"{name:32}{median(seconds[1:]):8.2f} s")
    first, second = taken.values()
    return [a / b for a, b in zip(first[1:], second[1:], strict=True)]


def main() -> None:
    """Measure both and record the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few tasks, one round")
    quick = parser.parse_args().quick
    tasks, count, rounds = (200, 4, 1) if quick else (2000, 16, 5)
    deque(map_items(nothing, range(8), RAY), maxlen=0)  # Ray has started
    ratios = in_turn(
        {
            "small tasks, bare Ray": lambda: bare(tasks),
            "small tasks, map_items": lambda: deque(map_items(nothing, range(tasks), RAY), 0),
        },
        rounds,
    )
    record(Row("cluster", "small tasks, map_items vs bare Ray", ratios))
    with tempfile.TemporaryDirectory() as name:
        ratios = in_turn(
            {
                "shards, two processes": lambda: shards(Path(name), count, PROCESSES),
                "shards, Ray on two CPUs": lambda: shards(Path(name), count, RAY),
            },
            rounds,
        )
    record(Row("cluster", "shards, Ray vs two processes", ratios, 0.8))


if __name__ == "__main__":
    main()
