"""Stage ``convert``: write a benchmark's official layout as shards, which later stages read."""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from avsynth.benchmarks import Clip
from avsynth.benchmarks.convertible import RELEASE, convertible
from avsynth.core.files import file_lock, replace_folder, restore_folder
from avsynth.core.funnel import make_funnel
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.records import Sample
from avsynth.core.tables import write_csv
from avsynth.formats.images import decode_mask
from avsynth.formats.shard_index import ShardInfo
from avsynth.formats.shards import check_replaceable, write_index, write_shard
from avsynth.runtime.errors import ConfigError, DataError, suggest
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track


def convert(benchmark: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``data/shards/<benchmark>``; the frames of a clip are adjacent in one tar.

    ``avs-synthetic-release`` is the dataset as its authors released it, or as ``avsynth export
    avs-synthetic`` writes it. It is read from ``data/raw/avs_synthetic`` unless ``convert.roots``
    names another folder.

    Raises:
        ConfigError: params.yaml does not name this benchmark.
        DataError: the layout is incomplete, a file is damaged, or all masks of a split are
            empty; the existing shards stay.
    """
    roots = {RELEASE: str(layout.release), **params.convert.roots}
    if benchmark not in roots:
        fix = suggest(benchmark, roots)
        raise ConfigError("convert.roots", "a benchmark", repr(benchmark), fix)
    chosen, root = convertible(benchmark), layout.resolve(roots[benchmark])
    folder = layout.shards(chosen.name)
    for split in chosen.clips:
        chosen.require(root, split)
    staging = layout.staging(chosen.name)
    with file_lock(staging / "lock", what=f"dataset {chosen.name}"):
        restore_folder(folder, staging / "old")
        check_replaceable(folder)
        new = staging / "new"
        shutil.rmtree(new, ignore_errors=True)
        jobs = list(_jobs(benchmark, root, new, params.convert.samples_per_shard))
        if not jobs:
            expected, fix = "at least one clip in its lists", "Get the complete lists again."
            raise DataError(f"benchmarks/{benchmark} in {root}", expected, "none", fix)
        written = map_items(_write, jobs, runtime)
        tracked = track(written, f"shards of {benchmark}", len(jobs), runtime)
        infos, marked = map(list, zip(*tracked, strict=True)) if jobs else ([], [])
        _require_foreground(root, infos, marked)
        write_index(new, chosen.name, infos)
        replace_folder(new, folder, staging / "old")
    counted = Counter[str]()
    for info in infos:
        counted[info.split] += info.count
    funnel = make_funnel(
        ("convert", benchmark, "sample", "", split, "ok", "", n)
        for split, n in sorted(counted.items())
    )
    write_csv(layout.funnel(f"convert/{benchmark}"), funnel)
    return funnel


@dataclass(frozen=True, slots=True)
class _Job:
    """One tar."""

    benchmark: str
    path: Path
    split: str
    clips: tuple[Clip, ...]


def _jobs(benchmark: str, root: Path, folder: Path, most: int) -> Iterator[_Job]:
    """Yield tars of at most ``most`` frames, or of one longer clip, for every split."""
    reader = convertible(benchmark)
    for split in reader.clips:
        number, clips = 0, list[Clip]()
        for clip in reader.list_clips(root, split):
            if clips and sum(len(c.images) for c in (*clips, clip)) > most:
                yield _Job(benchmark, folder / _name(split, number), split, tuple(clips))
                number, clips = number + 1, []
            clips.append(clip)
        if clips:
            yield _Job(benchmark, folder / _name(split, number), split, tuple(clips))


def _name(split: str, number: int) -> str:
    return f"{split}-{number:05d}.tar"


def _write(job: _Job) -> tuple[ShardInfo, bool]:
    """Write a tar; return also whether any of its masks has foreground."""
    read = convertible(job.benchmark).read_clip
    marked = False

    def samples() -> Iterator[Sample]:
        nonlocal marked
        for clip in job.clips:
            for sample in read(clip):
                marked = marked or bool(decode_mask(sample.mask_png).any())
                yield sample

    return write_shard(job.path, job.split, samples()), marked


def _require_foreground(root: Path, infos: list[ShardInfo], marked: list[bool]) -> None:
    """Raise if all masks of a split are empty: they are of a kind that the reader mistakes."""
    found = {info.split for info, one in zip(infos, marked, strict=True) if one}
    for split in sorted({info.split for info in infos if info.count} - found):
        total = sum(info.count for info in infos if info.split == split)
        raise DataError(
            str(root),
            f"masks with foreground in the split {split}",
            f"{total} empty masks",
            "Get the masks again from the benchmark's publisher; every object's value is above 0.",
        )
