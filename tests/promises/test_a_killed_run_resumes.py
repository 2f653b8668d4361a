"""Promise: a run that fails or is killed keeps the existing output, and the next run resumes.

Two runs of one output do not mix: the second ends with a message.
"""

import fcntl
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from avsynth.building import shard_builder
from avsynth.building.shard_builder import build_shards, staged_shards
from avsynth.core.files import atomic_file, file_lock, replace_folder, restore_folder
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.formats.remote_shards import pull
from avsynth.formats.shards import INDEX_FILE, ShardReader
from avsynth.pipelines.convert import convert
from avsynth.pipelines.shard import shard
from avsynth.runtime.errors import AvsynthError, ConfigError, DataError, DropLimitError
from avsynth.runtime.options import Runtime
from avsynth.toy import write_toy_world
from tests.building.test_shard_builder import make, plans, run
from tests.conftest import TOY_SETTINGS
from tests.helpers.small import write_small_shards

QUIET = Runtime(quiet=True)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def make_until(items: tuple[int, ...]) -> Iterator[object]:
    """Make the samples of the first shards, then raise the error that ``FAULT`` names."""
    if items[0] >= 10:
        raise {"interrupt": KeyboardInterrupt, "disk": OSError}[os.environ["FAULT"]]
    return make(items)


@pytest.mark.parametrize("fault", ["interrupt", "disk"])
def test_a_build_that_fails_keeps_the_existing_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    run(tmp_path, plans())
    before = tree(tmp_path / "shards")
    monkeypatch.setenv("FAULT", fault)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - KeyboardInterrupt too
        build_shards(
            tmp_path / "shards", "toy", plans(changed=3), make_until, tmp_path / "staging", QUIET
        )
    assert tree(tmp_path / "shards") == before
    assert len(ShardReader(tmp_path / "shards")) == 26
    run(tmp_path, plans(changed=3))
    assert tree(tmp_path / "shards") == before


def test_a_dataset_that_is_not_accepted_is_not_published(tmp_path: Path):
    run(tmp_path, plans())
    before = tree(tmp_path / "shards")
    fewer, staging = plans(2), tmp_path / "staging"
    work = staged_shards(tmp_path / "shards", "toy", fewer, make, staging, QUIET)
    with pytest.raises(DropLimitError), work as results:
        assert len(results) == 2
        raise DropLimitError("shard", "few drops", "many", "Read why.")
    assert tree(tmp_path / "shards") == before


def test_too_many_drops_keep_the_existing_dataset(built: Path, toy_world: Path, tmp_path: Path):
    root = tmp_path / "project"
    shutil.copytree(built, root, copy_function=shutil.copy2, symlinks=True)
    layout = Layout(root)
    before = tree(layout.shards("avs-synthetic"))
    params = load_params(root, [*TOY_SETTINGS, "shard.max_drop_frac=0.01"])
    for image in (layout.raw / "lvis").rglob("*.jpg"):
        image.write_bytes(b"\xff\xd8\xff damaged")
    with pytest.raises(DropLimitError):
        shard(params, layout, QUIET)
    assert tree(layout.shards("avs-synthetic")) == before


@pytest.mark.parametrize("step", range(3))
def test_a_kill_between_the_renames_loses_no_folder(tmp_path: Path, step: int):
    new, folder, aside = (tmp_path / name for name in ("new", "folder", "aside"))
    for path, text in ((new, "2"), (folder, "1")):
        path.mkdir()
        (path / "a").write_text(text)
    if step == 1:
        folder.rename(aside)
    if step == 2:
        folder.rename(aside)
        new.rename(folder)
    restore_folder(folder, aside)
    assert (folder / "a").read_text() == ("2" if step == 2 else "1")
    assert not aside.exists()
    if step < 2:
        replace_folder(new, folder, aside)
        assert (folder / "a").read_text() == "2"
    assert {p.name for p in tmp_path.iterdir()} == {"folder"}


def test_a_download_that_fails_keeps_the_existing_dataset_and_resumes(tmp_path: Path):
    published, folder = tmp_path / "far", Layout(tmp_path).shards("mine")
    write_small_shards(folder, {"train": 3})
    before = tree(folder)
    write_small_shards(published, {"train": 2, "val": 2, "test": 2})
    content = (published / "val-00000.tar").read_bytes()
    (published / "val-00000.tar").write_bytes(content[:-1] + b"x")
    with pytest.raises(DataError, match="sha256"):
        pull(f"file://{published}", folder, QUIET)
    assert tree(folder) == before
    (published / "val-00000.tar").write_bytes(content)
    assert pull(f"file://{published}", folder, QUIET).kept > 0
    assert tree(folder) == tree(published)


def test_a_damaged_benchmark_keeps_its_shards(toy_project: Path):
    layout, params = Layout(toy_project), load_params(toy_project, [])
    convert("s4", params, layout, QUIET)
    before = tree(layout.shards("s4"))
    mask = sorted((layout.raw / "avsbench/Single-source").rglob("gt_masks/test/**/*.png"))[0]
    mask.unlink()
    mask.write_bytes(b"damaged")
    with pytest.raises(DataError):
        convert("s4", params, layout, QUIET)
    assert tree(layout.shards("s4")) == before


def test_the_next_writer_removes_the_file_of_a_killed_one(tmp_path: Path):
    program = (
        "import os, sys; from pathlib import Path; from avsynth.core.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as t: t.write_text('half'); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "a.csv"
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_file(path) as temporary:
        temporary.write_text("whole")
    assert tree(tmp_path) == {"a.csv": b"whole"}


def _write_often(path: Path, letter: str) -> None:
    for _ in range(200):
        with atomic_file(path) as temporary, temporary.open("w") as file:
            for _ in range(20):
                file.write(letter * 500)
                file.flush()


def test_two_writers_of_one_file_never_mix(tmp_path: Path):
    path = tmp_path / "state"
    _write_often(path, "a")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_often, args=(path, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers):
        text = path.read_text()
        assert len(text) == 10_000
        assert len(set(text)) == 1
        reads += 1
    assert reads
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def _locks(root: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """Return, for each output with one writer at a time, its lock and a function that writes it."""
    layout = Layout(root)
    params = load_params(root, [])
    published = root / "published"
    shards, staging = root / "shards", root / "staging"
    return {
        "toy": (layout.raw, lambda: write_toy_world(layout.raw, scale=0.02)),
        "shard": (
            staging / "lock",
            lambda: build_shards(shards, "toy", plans(), make, staging, QUIET),
        ),
        "convert": (layout.staging("s4") / "lock", lambda: convert("s4", params, layout, QUIET)),
        "download": (
            layout.staging("x.pull") / "lock",
            lambda: pull(f"file://{published}", layout.shards("x"), QUIET),
        ),
    }


@pytest.mark.parametrize("output", ["toy", "shard", "convert", "download"])
def test_the_second_run_of_an_output_ends_with_a_message(toy_project: Path, output: str):
    write_small_shards(toy_project / "published", {"train": 1})
    lock, write = _locks(toy_project)[output]
    before = tree(toy_project)
    refused = pytest.raises(ConfigError, match="no other run that writes it")
    with file_lock(lock, what="the first"), refused:
        write()
    assert {n for n in tree(toy_project) if not n.endswith("lock")} == {
        n for n in before if not n.endswith("lock")
    }


def test_a_lock_ends_with_its_process(tmp_path: Path):
    program = (
        "import os, sys; from pathlib import Path; from avsynth.core.files import file_lock\n"
        "with file_lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    lock = tmp_path / "lock"
    subprocess.run([sys.executable, "-c", program, str(lock)], check=False)
    with file_lock(lock), pytest.raises(AvsynthError), file_lock(lock, what="x"):
        pass
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_index_is_written_after_its_tars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """When the disk is full at the index, no index has the final name."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shard_builder, "write_index", full)
    with pytest.raises(OSError, match="No space"):
        run(tmp_path, plans())
    assert not (tmp_path / "shards" / INDEX_FILE).exists()
    monkeypatch.undo()
    run(tmp_path, plans())
    assert len(ShardReader(tmp_path / "shards")) == 26
