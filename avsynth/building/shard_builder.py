"""Many shards at once: built in parallel, resumed after a kill, reused when nothing changed.

Each shard is planned before it is built, and a plan's signature covers all that decides the
tar's bytes. A finished tar waits in a staging folder under its signature; when all are there a
folder with their final names and the index takes the place of the old one. So a killed run goes on
where it stopped, a run over changed input builds only the shards whose signature is new, and a run
that fails leaves the dataset that was there.
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
    """What one tar is to hold."""

    file: str
    split: str
    content: Any
    """Picklable; ``make(content)`` yields its samples, and for what cannot be made a drop."""
    signature: str
    """Hex digest of everything that decides the tar's bytes."""
    bytes_expected: int


@dataclass(frozen=True, slots=True)
class Packed:
    """What became of a plan."""

    info: ShardInfo
    drops: tuple[Drop, ...]


@contextmanager
def packing(
    folder: Path,
    dataset: str,
    plans: Sequence[ShardPlan],
    make: Make,
    staging: Path,
    runtime: Runtime,
) -> Iterator[list[Packed]]:
    """Build a dataset's shards, and publish them when the block succeeds.

    Args:
        folder: of the tars and index.json; holds nothing else.
        dataset: its name, recorded in the index.
        plans: in the order of their file names.
        make: picklable function from a plan's content to its samples.
        staging: working folder on the same disk; keeps only notes of what was published.
        runtime: workers and executor.

    Yields:
        One record per plan, in order. The folder's bytes depend on the plans alone. When the
        block raises, the dataset that was there stays.

    Raises:
        SpaceError: the disk has no room for what is to be built.
        ConfigError: another run is writing the same dataset.
        DataError: the folder holds a file that avsynth did not write.
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
        _sweep(staging)  # Listing a shared folder also shows what other machines have put there.
        packed = [p for p in (_finished(staging, plan) for plan in plans) if p is not None]
        assert len(packed) == len(plans), "every planned shard has been built"
        yield packed
        _publish(folder, dataset, staging, list(zip(plans, packed, strict=True)))


def pack(
    folder: Path,
    dataset: str,
    plans: Sequence[ShardPlan],
    make: Make,
    staging: Path,
    runtime: Runtime,
) -> list[Packed]:
    """Build a dataset's shards and publish them; see `packing`."""
    with packing(folder, dataset, plans, make, staging, runtime) as packed:
        return packed


def _build(plan: ShardPlan, make: Make, staging: Path) -> None:
    """Build one tar in the staging folder; the note beside it says that it is complete.

    Every attempt has a folder of its own: a node that was given up for lost may still be writing
    the same tar. Whoever ends last puts the same bytes in place of the same bytes.
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


def _finished(staging: Path, plan: ShardPlan) -> Packed | None:
    """Read what became of a plan, or None when it has not been built to its end."""
    note, tar = staging / f"{plan.signature}.json", staging / f"{plan.signature}.tar"
    if not (note.is_file() and tar.is_file()):
        return None
    content = json.loads(note.read_bytes())
    info = content["info"] | {"file": plan.file, "split": plan.split}
    if tar.stat().st_size != info["bytes"]:
        return None
    info |= {"keys": tuple(info["keys"]), "offsets": tuple(info["offsets"])}
    return Packed(ShardInfo(**info), tuple(Drop(**d) for d in content["drops"]))


def _publish(
    folder: Path, dataset: str, staging: Path, built: Sequence[tuple[ShardPlan, Packed]]
) -> None:
    """Put the staged tars and their index in the place of the old dataset."""
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
    for left in staging.iterdir():
        if left.name not in (_LEDGER, _LOCK):
            left.unlink()


def _sweep(staging: Path) -> None:
    """Remove the folders of attempts that were stopped."""
    for left in sorted(staging.iterdir()):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)


def _reclaim(folder: Path, staging: Path) -> None:
    """Give published tars a second name in the staging folder, each its signature.

    Only a tar whose bytes are the noted ones is taken: something else may have put another of
    the same name there, such as a checkout of an older build.
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
