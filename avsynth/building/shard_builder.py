"""A parallel builder of shards that resumes after a kill and reuses unchanged shards.

Each shard is planned before it is built, and a plan's signature covers everything that determines
the tar's bytes. A finished tar stays in a staging folder under its signature. When all are
finished, a folder with their final names and the index replaces the old one. A killed run
therefore resumes where it stopped, a run over changed input builds only the shards with a new
signature, and a failed run keeps the existing dataset.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from avsynth.core.files import (
    file_lock,
    link_or_copy,
    replace_folder,
    restore_folder,
    write_json,
)
from avsynth.core.hashing import file_digest
from avsynth.core.records import Drop, Sample
from avsynth.formats.shard_index import ShardInfo
from avsynth.formats.shards import check_replaceable, write_index, write_shard
from avsynth.runtime.errors import SpaceError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track

_LEDGER = "published.json"
_LOCK = "lock"
_NEW, _OLD = "new", "old"
"""Folders in the staging folder: the dataset to publish, and the one that it replaces."""
Make = Callable[[Any], Iterable[Sample | Drop]]


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """The planned content of one tar."""

    file: str
    split: str
    content: Any
    """Picklable; ``make(content)`` yields its samples, and a drop for each that cannot be made."""
    signature: str
    """Hex digest of everything that determines the tar's bytes."""
    bytes_expected: int


@dataclass(frozen=True, slots=True)
class ShardResult:
    """One built shard, with the drops."""

    info: ShardInfo
    drops: tuple[Drop, ...]


@contextmanager
def staged_shards(
    folder: Path,
    dataset: str,
    plans: Sequence[ShardPlan],
    make: Make,
    staging: Path,
    runtime: Runtime,
) -> Iterator[list[ShardResult]]:
    """Build a dataset's shards in staging, and publish them when the block succeeds.

    Args:
        folder: the tars and index.json; contains nothing else.
        dataset: the name recorded in the index.
        plans: sorted by file name.
        make: picklable function from a plan's content to its samples.
        staging: working folder on the same disk; after publishing it holds only the ledger.
        runtime: workers and executor.

    Yields:
        One record per plan, in order. The folder's bytes depend on the plans alone. When the
        block raises, the existing dataset stays.

    Raises:
        SpaceError: the disk has no room for the shards to build.
        ConfigError: another run is writing the same dataset.
        DataError: the folder contains a file that avsynth did not write.
    """
    with file_lock(staging / _LOCK, what=f"dataset {dataset}"):
        restore_folder(folder, staging / _OLD)
        check_replaceable(folder)
        _sweep(staging)
        _reclaim(folder, staging)
        todo = [p for p in plans if _finished(staging, p) is None]
        _check_space(staging, sum(p.bytes_expected for p in todo))
        build = partial(_build, make=make, staging=staging)
        done = map_items(build, todo, runtime)
        for _ in track(done, f"shards of {dataset}", len(todo), runtime):
            pass
        _sweep(staging)  # Listing a shared folder also shows the files of other machines.
        results = [p for p in (_finished(staging, plan) for plan in plans) if p is not None]
        assert len(results) == len(plans), "every planned shard has been built"
        yield results
        _publish(folder, dataset, staging, list(zip(plans, results, strict=True)))


def build_shards(
    folder: Path,
    dataset: str,
    plans: Sequence[ShardPlan],
    make: Make,
    staging: Path,
    runtime: Runtime,
) -> list[ShardResult]:
    """Build a dataset's shards and publish them; see `staged_shards`."""
    with staged_shards(folder, dataset, plans, make, staging, runtime) as results:
        return results


def _build(plan: ShardPlan, make: Make, staging: Path) -> None:
    """Build one tar in the staging folder, with a note beside it that marks it as complete.

    Every attempt has its own folder, because a node that was reported lost may still be writing
    the same tar. Concurrent attempts are safe: both write identical bytes.
    """
    drops: list[Drop] = []

    def samples() -> Iterator[Sample]:
        for made in make(plan.content):
            if isinstance(made, Drop):
                drops.append(made)
            else:
                yield made

    with tempfile.TemporaryDirectory(dir=staging) as attempt:
        tar, note = (Path(attempt) / f"{plan.signature}.{kind}" for kind in ("tar", "json"))
        info = write_shard(tar, plan.split, samples())
        content = {"info": asdict(info), "drops": [asdict(d) for d in drops]}
        write_json(note, content)
        for whole in (tar, note):
            whole.replace(staging / whole.name)


def _finished(staging: Path, plan: ShardPlan) -> ShardResult | None:
    """Return the finished shard of a plan, or None if it is not complete."""
    note, tar = staging / f"{plan.signature}.json", staging / f"{plan.signature}.tar"
    if not (note.is_file() and tar.is_file()):
        return None
    content = json.loads(note.read_bytes())
    info = content["info"] | {"file": plan.file, "split": plan.split}
    if tar.stat().st_size != info["bytes"]:
        return None
    info |= {"keys": tuple(info["keys"]), "offsets": tuple(info["offsets"])}
    return ShardResult(ShardInfo(**info), tuple(Drop(**d) for d in content["drops"]))


def _publish(
    folder: Path, dataset: str, staging: Path, built: Sequence[tuple[ShardPlan, ShardResult]]
) -> None:
    """Replace the old dataset by the staged tars and their index."""
    ledger = {
        plan.signature: {"info": asdict(p.info), "drops": [asdict(d) for d in p.drops]}
        for plan, p in built
    }
    write_json(staging / _LEDGER, ledger)
    new = staging / _NEW
    new.mkdir()
    for plan, _ in built:
        link_or_copy(staging / f"{plan.signature}.tar", new / plan.file)
    write_index(new, dataset, [p.info for _, p in built])
    replace_folder(new, folder, staging / _OLD)
    for rest in staging.iterdir():
        if rest.name not in (_LEDGER, _LOCK):
            rest.unlink()


def _sweep(staging: Path) -> None:
    """Remove the folders of interrupted attempts."""
    for rest in sorted(staging.iterdir()):
        if rest.is_dir():
            shutil.rmtree(rest, ignore_errors=True)


def _reclaim(folder: Path, staging: Path) -> None:
    """Link published tars into the staging folder, named by their signatures.

    A tar is linked only if its digest is the recorded one: another tool may have replaced the
    file, such as a checkout of an older build.
    """
    ledger = staging / _LEDGER
    if not ledger.is_file():
        return
    for signature, note in json.loads(ledger.read_bytes()).items():
        info, tar = note["info"], folder / note["info"]["file"]
        staged = staging / f"{signature}.tar"
        if staged.exists():
            continue
        if not tar.is_file() or tar.is_symlink() or tar.stat().st_size != info["bytes"]:
            continue
        if file_digest(tar) != info["sha256"]:
            continue
        write_json(staging / f"{signature}.json", note)
        link_or_copy(tar, staged)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SpaceError(
            str(folder),
            f"room for {needed / 1e9:.2f} GB of shards",
            f"{free / 1e9:.2f} GB free",
            "Free some space, or lower match.sizes or match.max_masks_per_category.",
        )
