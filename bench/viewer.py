"""Benchmark of opening a dataset in FiftyOne, time and memory, at 1 k, 10 k and 62 k samples.

Run: ``python -m bench.viewer [--quick] [COUNT ...]``. It writes shards and tables of that many
samples from the toy world's samples (images, masks and audio repeat, keys do not). It measures the
work of ``avsynth inspect`` before the App's address is printed, first with a new database and then
a second time, each in a separate process. Peer: `Dataset.add_samples` with at most 1,000 of the
same samples, without the masks and metadata that ours have. The ratio is of wall time per sample.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from avsynth.building.new_project import init_project
from avsynth.commands.inspect import fiftyone_session
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip, MaskRecord, Sample
from avsynth.core.tables import read_table
from avsynth.formats.shards import ShardReader, write_index, write_shard
from avsynth.inspection.fiftyone_app.datasets import SLICES, documents, sync_dataset
from avsynth.inspection.fiftyone_app.samples import Selection, select_rows
from avsynth.inspection.fiftyone_app.views import arrange_sidebar, save_views
from avsynth.pipelines.build import build
from avsynth.runtime.options import Runtime
from bench.rows import Row, record

PER_SHARD = 1_000
PEER = 1_000


def world(root: Path) -> Layout:
    """Build the toy dataset."""
    init_project(root, "toy")
    for _ in build(load_params(root, ["fetch.toy.scale=0.1"]), Layout(root), Runtime(quiet=True)):
        pass
    return Layout(root)


def grow(layout: Layout, count: int) -> None:
    """Write a dataset with ``count`` samples; its name contains the count."""
    source = ShardReader(layout.shards("avs-synthetic"))
    infos = []
    folder = layout.shards(f"grown-{count}")
    for start in range(0, count, PER_SHARD):
        samples = _samples(source, range(start, min(count, start + PER_SHARD)))
        name = f"train-{start // PER_SHARD:05d}.tar"
        infos.append(write_shard(folder / name, "train", samples))
    write_index(folder, folder.name, infos)


def _samples(source: ShardReader, numbers: range) -> Iterator[Sample]:
    for number in numbers:
        parts = source.parts(source.keys[number % len(source)])
        image = next(name for name in parts if name.startswith("image."))
        meta = json.loads(parts["meta.json"])
        yield Sample(f"{meta['category']}-{number:010x}", parts[image], image.split(".")[1],
                     parts["mask.png"], parts["audio.flac"], parts["logmel.npy"], meta)  # fmt: skip


def look(root: Path, dataset: str) -> dict[str, float]:
    """Open a dataset without serving it; return the seconds of each step, and the peak memory."""
    layout = Layout(root)
    took: dict[str, float] = {}
    start = time.perf_counter()
    rows = select_rows(layout, dataset, Selection(), Runtime())
    took["rows"] = time.perf_counter() - start
    start = time.perf_counter()
    with fiftyone_session(layout):
        took["database, import"] = time.perf_counter() - start
        start = time.perf_counter()
        made = sync_dataset(dataset, rows, root / "media")
        took["samples"] = time.perf_counter() - start
        start = time.perf_counter()
        save_views(made, [], -50.0)
        arrange_sidebar(made)
        took["views"] = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return took | {"total": sum(took.values()), "peak MB": peak}


def peer(root: Path, dataset: str) -> dict[str, float]:
    """Add the same samples with `Dataset.add_samples`."""
    layout = Layout(root)
    with fiftyone_session(layout):
        import fiftyone

        rows = select_rows(layout, dataset, Selection(max=PEER), Runtime()).to_dict("records")
        theirs = fiftyone.Dataset()
        theirs.add_group_field("group", default="image")
        start = time.perf_counter()
        samples = [
            fiftyone.Sample(
                document["filepath"],
                group=fiftyone.Group(id=str(document["group"]["_id"]), name=part),
                **{name: document[name] for name in ("key", "split", "category")},
            )
            for row in rows
            for part, document in zip(
                SLICES, documents(None, row, root / "media", [], []), strict=True
            )
        ]
        theirs.add_samples(samples, progress=False)
        return {"add_samples": time.perf_counter() - start}


def _alone(what: str, root: Path, dataset: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.viewer", what, str(root), dataset]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in run.stdout.splitlines()[::-1] if line.startswith("{"))
    result: dict[str, float] = json.loads(line)
    return result


def main() -> None:
    """Print one row per count, and the time of the peer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[1_000, 10_000, 62_000])
    parser.add_argument("--quick", action="store_true", help="300 samples only")
    options = parser.parse_args()
    lines, ratios = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        layout = world(root)
        assert read_table(layout.masks("lvis"), MaskRecord).shape[0]
        assert read_table(layout.audio("vggsound"), AudioClip).shape[0]
        for count in [300] if options.quick else options.counts:
            name = f"grown-{count}"
            grow(layout, count)
            took = {word: _alone("look", root, name) for word in ("first", "again")}
            lines += [{"samples in the dataset": count, "opened": w, **t} for w, t in took.items()]
            theirs = _alone("peer", root, name)["add_samples"] / min(PEER, count)
            ratios.append(theirs / (took["first"]["samples"] / count))
    print(pd.DataFrame(lines).round(2).to_string(index=False))
    print(f"a sample takes Dataset.add_samples {theirs * 1e3:.2f} ms")
    record(Row("viewer", "samples into FiftyOne vs Dataset.add_samples", ratios))


if __name__ == "__main__":
    os.environ["FIFTYONE_LOGGING_LEVEL"] = "ERROR"
    if sys.argv[1:2] in (["look"], ["peer"]):
        step = {"look": look, "peer": peer}[sys.argv[1]]
        print(json.dumps(step(Path(sys.argv[2]), sys.argv[3])))
    else:
        main()
