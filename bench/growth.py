"""Benchmark of the build's growth: time per triplet and memory by masks, categories and workers.

    python -m bench.growth --chart docs/growth.svg      # about ten minutes on two cores
    python -m bench.growth --quick                      # small, prints the table only

Every point is a complete build (masks, audio, match, shard) in a separate process, in rounds. Its
LVIS and VGGSound files are built from the images and audio of the toy world. Time is CPU time for
masks and categories, wall time for workers. Memory is the peak of the process, and for workers the
peak of all processes together, where each shared page counts once.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
VOCABULARY = REPOSITORY / "avsynth" / "resources" / "categories.csv"
CLIPS_PER_CATEGORY = 5
SETTINGS = ["match.sizes={train: 1000000, val: 100000, test: 100000}", "fetch.sources=[]",
            "masks.sources={lvis: {root: data/raw/lvis, files: [lvis_v1_train.json], images: "
            "data/raw/lvis}}", "match.exclude_videos=[]",
            "categories.choose=116"]  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One build."""

    axis: str
    masks: int
    categories: int
    workers: int = 1

    @property
    def at(self) -> int:
        """The value on its axis."""
        return int(getattr(self, self.axis))


FULL = [
    *(Point("masks", m, 46) for m in (1_000, 4_000, 16_000)),
    *(Point("categories", 2_000, c) for c in (11, 46, 89)),
    *(Point("workers", 16_000, 46, w) for w in (1, 2, 4)),
]
QUICK = [
    *(Point("masks", m, 8) for m in (200, 400, 800)),
    *(Point("categories", 200, c) for c in (4, 8, 16)),
    *(Point("workers", 200, 8, w) for w in (1, 2, 4)),
]


def write_world(root: Path, toy: Path, point: Point) -> None:
    """Write a project with the point's number of masks, distributed over its categories."""
    from avsynth.building.new_project import init_project

    init_project(root, "toy")
    table = pd.read_csv(VOCABULARY, dtype=str, keep_default_na=False)
    table = table[(table["lvis"] != "") & (table["vggsound"] != "")][: point.categories]
    assert len(table) == point.categories
    raw = root / "data" / "raw"
    (raw / "vggsound" / "audio").mkdir(parents=True)
    (raw / "lvis" / "train2017").mkdir(parents=True)
    content = json.loads((toy / "lvis" / "lvis_v1_train.json").read_text())
    shapes = [a for a in content["annotations"] if not a.get("iscrowd") and a["area"] > 500]
    content["annotations"] = [
        {**shapes[i % len(shapes)], "id": i + 1, "category_id": i % len(table) + 1,
         "image_id": copy_id(shapes[i % len(shapes)]["image_id"], i // len(shapes))}
        for i in range(point.masks)
    ]  # fmt: skip
    wanted = {a["image_id"] for a in content["annotations"]}
    content["images"] = list(
        copies(content["images"], wanted, toy / "lvis" / "train2017", raw / "lvis" / "train2017")
    )
    content["categories"] = [
        {**content["categories"][0], "id": c + 1, "synset": f"{c}.n.01", "name": name,
         "synonyms": [name]}
        for c, name in enumerate(table["lvis"].str.split(";").str[0])
    ]  # fmt: skip
    (raw / "lvis" / "lvis_v1_train.json").write_text(json.dumps(content))
    write_clips(raw / "vggsound", sorted((toy / "vggsound" / "audio").iterdir()), table)


def copy_id(image_id: int, copy: int) -> int:
    """Return the id of a copy of an image."""
    return copy * 1_000_000 + image_id


def copies(
    images: list[dict[str, Any]], wanted: set[int], source: Path, target: Path
) -> Iterator[dict[str, Any]]:
    """Create a link for every copy of an image, and yield its json entries."""
    for image, copy in itertools.product(images, range(1 + max(wanted) // 1_000_000)):
        if (number := copy_id(image["id"], copy)) in wanted:
            name = f"{number:012d}.jpg"
            os.link(source / f"{image['id']:012d}.jpg", target / name)
            url = f"http://images.cocodataset.org/train2017/{name}"
            yield {**image, "id": number, "coco_url": url}


def write_clips(folder: Path, clips: list[Path], table: pd.DataFrame) -> None:
    """Write five clips of every category; their audio repeats the clips of the toy world."""
    lines, number = [], itertools.count()
    for labels in table["vggsound"]:
        label = labels.split(";")[0]
        for _ in range(CLIPS_PER_CATEGORY):
            n = next(number)
            clip = clips[n % len(clips)]
            os.link(clip, folder / "audio" / f"v{n:010d}_000000{clip.suffix}")
            lines.append(f'v{n:010d},0,"{label}",train\n')
    (folder / "vggsound.csv").write_text("".join(lines))


def measure(root: str, workers: str) -> dict[str, Any]:
    """Build in this process; return time, memory and number of triplets."""
    from avsynth.core.params.load import load_params
    from avsynth.core.paths import Layout
    from avsynth.pipelines.build import build
    from avsynth.runtime.options import Runtime

    runtime = Runtime(int(workers), "process", cache_dir=Path(root) / "cache", quiet=True)
    params = load_params(Path(root), SETTINGS)
    peak, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            peak[0] = max(peak[0], together_mb(os.getpid()))

    watcher = threading.Thread(target=watch)
    if runtime.workers > 1:
        watcher.start()
    cpu, wall = time.process_time(), time.perf_counter()
    for stage, funnel in build(params, Layout(Path(root)), runtime):
        counted = funnel.loc[(funnel["status"] == "ok") & (funnel["kind"] != "mask"), "count"].sum()
        print(stage, counted, file=sys.stderr)
    taken = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    ended.set()
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    own = int(status.split()[0]) / 1024
    return {**taken, "triplets": int(counted), "peak_mb": max(own, peak[0])}


def together_mb(pid: int) -> float:
    """Compute the proportional set size of a process and all its descendants, in MiB."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for task in Path(f"/proc/{pid}/task").iterdir():
            if task.name != str(pid):
                children += (task / "children").read_text().split()
    except OSError:
        return 0.0
    own = int(rollup.split("\nPss:")[1].split()[0]) / 1024
    return own + sum(together_mb(int(child)) for child in children)


def run(point: Point, toy: Path, folder: Path) -> dict[str, Any]:
    """Measure a point in a separate process."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        write_world(Path(root) / "p", toy, point)
        command = [sys.executable, "-m", "bench.growth", "--measure", f"{root}/p"]
        done = subprocess.run(
            [*command, str(point.workers)], check=True, stdout=subprocess.PIPE, cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=None if os.environ.get("GROWTH_VERBOSE") else subprocess.DEVNULL,
        )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def summary(points: list[Point], taken: dict[Point, list[dict[str, Any]]]) -> pd.DataFrame:
    """Compute the medians and ranges of all points."""
    rows = []
    for point in points:
        time_of = "wall_s" if point.axis == "workers" else "cpu_s"
        ms = sorted(1e3 * t[time_of] / t["triplets"] for t in taken[point])
        mb = [t["peak_mb"] for t in taken[point]]
        rows.append((point.axis, point.at, taken[point][0]["triplets"], median(ms), ms[0], ms[-1],
                     median(mb)))  # fmt: skip
    columns = ["axis", "at", "triplets", "ms", "ms_lowest", "ms_highest", "peak_mb"]
    return pd.DataFrame(rows, columns=columns)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw time and memory over each axis; deterministic SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "growth"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(10, 5.2), sharey="row", layout="constrained")
    for column, (axis, rows) in enumerate(table.groupby("axis", sort=False)):
        above, below = axes[0][column], axes[1][column]
        spread = [rows["ms"] - rows["ms_lowest"], rows["ms_highest"] - rows["ms"]]
        above.errorbar(rows["at"], rows["ms"], spread, marker="o", capsize=3, color="#0072b2")
        below.plot(rows["at"], rows["peak_mb"], marker="o", color="#d55e00")
        for panel in (above, below):
            panel.set_xscale("log")
            panel.set_xticks(rows["at"], [f"{at:,}" for at in rows["at"]])
            panel.minorticks_off()
            panel.grid(alpha=0.3)
        above.set_title("wall time, by workers" if axis == "workers" else f"CPU time, by {axis}")
        below.set_xlabel(axis)
    # Set the limits last: panels of a row share them, and later plots do not change them.
    axes[0][0].set_ylim(0, 1.08 * table["ms_highest"].max())
    axes[1][0].set_ylim(0, 1.08 * table["peak_mb"].max())
    axes[0][0].set_ylabel("ms per triplet")
    axes[1][0].set_ylabel("peak memory, MB")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Measure all points, print the table, draw the chart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chart", type=Path, help="an .svg or .png")
    parser.add_argument("--measure", nargs=2, metavar=("ROOT", "WORKERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    from avsynth.toy import write_toy_world

    points, rounds = (QUICK, 1) if options.quick else (FULL, options.rounds)
    taken: dict[Point, list[dict[str, Any]]] = {point: [] for point in points}
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        write_toy_world(Path(name) / "toy", scale=0.1 if options.quick else 0.3)
        for _ in range(rounds):
            for point in points:
                taken[point].append(run(point, Path(name) / "toy", Path(name)))
                print(point, taken[point][-1], file=sys.stderr, flush=True)
    table = summary(points, taken)
    print(table.round(2).to_string(index=False))
    if options.chart:
        draw(table, options.chart)


if __name__ == "__main__":
    main()
