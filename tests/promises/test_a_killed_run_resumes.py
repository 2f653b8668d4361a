"""Promise: a run that fails or is killed leaves what was there, and the next one goes on.

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
from avsynth.building.shard_builder import pack, packing
from avsynth.core.files import file_lock, replace_folder, restore_folder, whole_file
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
    """Make the samples of the first shards, then meet what ``FAULT`` names."""
    if items[0] >= 10:
        raise {"interrupt": KeyboardInterrupt, "disk": OSError}[os.environ["FAULT"]]
    return make(items)


@pytest.mark.parametrize("fault", ["interrupt", "disk"])
def test_a_build_that_fails_leaves_the_dataset_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    run(tmp_path, plans())
    before = tree(tmp_path / "shards")
    monkeypatch.setenv("FAULT", fault)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever ends the run
        pack(tmp_path / "shards", "toy", plans(changed=3), make_until, tmp_path / "staging", QUIET)
    assert tree(tmp_path / "shards") == before
    assert len(ShardReader(tmp_path / "shards")) == 26
    run(tmp_path, plans(changed=3))
    assert tree(tmp_path / "shards") == before


def test_a_dataset_that_is_not_accepted_is_not_published(tmp_path: Path):
    run(tmp_path, plans())
    before = tree(tmp_path / "shards")
    fewer, staging = plans(2), tmp_path / "staging"
    work = packing(tmp_path / "shards", "toy", fewer, make, staging, QUIET)
    with pytest.raises(DropLimitError), work as packed:
        assert len(packed) == 2
        raise DropLimitError("shard", "few drops", "many", "Read why.")
    assert tree(tmp_path / "shards") == before


def test_too_many_drops_leave_the_dataset_that_was_there(
    built: Path, toy_world: Path, tmp_path: Path
):
    root = tmp_path / "project"
    shutil.copytree(built, root, copy_function=shutil.copy2, symlinks=True)
    layout = Layout(root)
    before = tree(layout.shards("avs-synthetic"))
    params = load_params(root, [*TOY_SETTINGS, "shard.max_drop_frac=0.01"])
    for picture in (layout.raw / "lvis").rglob("*.jpg"):
        picture.write_bytes(b"\xff\xd8\xff damaged")
    with pytest.raises(DropLimitError):
        shard(params, layout, QUIET)
    assert tree(layout.shards("avs-synthetic")) == before


@pytest.mark.parametrize("step", range(3))
def test_killed_while_it_replaces_a_folder_it_loses_neither(tmp_path: Path, step: int):
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


def test_a_pull_that_fails_leaves_the_dataset_that_was_there_and_goes_on(tmp_path: Path):
    far, near = tmp_path / "far", Layout(tmp_path).shards("mine")
    write_small_shards(near, {"train": 3})
    before = tree(near)
    write_small_shards(far, {"train": 2, "val": 2, "test": 2})
    kept = (far / "val-00000.tar").read_bytes()
    (far / "val-00000.tar").write_bytes(kept[:-1] + b"x")
    with pytest.raises(DataError, match="sha256"):
        pull(f"file://{far}", near, QUIET)
    assert tree(near) == before
    (far / "val-00000.tar").write_bytes(kept)
    assert pull(f"file://{far}", near, QUIET).kept > 0
    assert tree(near) == tree(far)


def test_a_benchmark_that_has_become_damaged_leaves_its_shards(toy_project: Path):
    layout, params = Layout(toy_project), load_params(toy_project, [])
    convert("s4", params, layout, QUIET)
    before = tree(layout.shards("s4"))
    mask = sorted((layout.raw / "avsbench/Single-source").rglob("gt_masks/test/**/*.png"))[0]
    mask.unlink()
    mask.write_bytes(b"damaged")
    with pytest.raises(DataError):
        convert("s4", params, layout, QUIET)
    assert tree(layout.shards("s4")) == before


def test_a_killed_writer_leaves_no_file_for_long(tmp_path: Path):
    program = (
        "import os, sys; from pathlib import Path; from avsynth.core.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as t: t.write_text('half'); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "a.csv"
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    with whole_file(path) as temporary:
        temporary.write_text("whole")
    assert tree(tmp_path) == {"a.csv": b"whole"}


def _write_often(path: Path, letter: str) -> None:
    for _ in range(200):
        with whole_file(path) as temporary, temporary.open("w") as file:
            for _ in range(20):
                file.write(letter * 500)
                file.flush()


def test_two_writers_of_one_file_never_mix(tmp_path: Path):
    path = tmp_path / "state"
    _write_often(path, "a")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_often, args=(path, one)) for one in "ab"]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        text = path.read_text()
        assert len(text) == 10_000
        assert len(set(text)) == 1
        seen += 1
    assert seen
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def _locks(root: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """Every output that one run at a time may write: its lock, and what writes it."""
    layout = Layout(root)
    params = load_params(root, [])
    far = root / "far"
    shards, staging = root / "shards", root / "staging"
    return {
        "toy": (layout.raw, lambda: write_toy_world(layout.raw, scale=0.02)),
        "shard": (staging / "lock", lambda: pack(shards, "toy", plans(), make, staging, QUIET)),
        "convert": (layout.staging("s4") / "lock", lambda: convert("s4", params, layout, QUIET)),
        "pull": (
            layout.staging("x.pull") / "lock",
            lambda: pull(f"file://{far}", layout.shards("x"), QUIET),
        ),
    }


@pytest.mark.parametrize("output", ["toy", "shard", "convert", "pull"])
def test_the_second_run_of_an_output_ends_with_a_message(toy_project: Path, output: str):
    write_small_shards(toy_project / "far", {"train": 1})
    lock, write = _locks(toy_project)[output]
    before = tree(toy_project)
    refused = pytest.raises(ConfigError, match="no other run that writes it")
    with file_lock(lock, "the first"), refused:
        write()
    assert {n for n in tree(toy_project) if not n.endswith("lock")} == {
        n for n in before if not n.endswith("lock")
    }


def test_a_lock_goes_with_its_process(tmp_path: Path):
    program = (
        "import os, sys; from pathlib import Path; from avsynth.core.files import file_lock\n"
        "with file_lock(Path(sys.argv[1]), 'x'): os.kill(os.getpid(), 9)"
    )
    lock = tmp_path / "lock"
    subprocess.run([sys.executable, "-c", program, str(lock)], check=False)
    with file_lock(lock, "x"), pytest.raises(AvsynthError), file_lock(lock, "x"):
        pass
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_index_is_never_there_before_its_tars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A full disk at the index leaves nothing under the final name."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shard_builder, "write_index", full)
    with pytest.raises(OSError, match="No space"):
        run(tmp_path, plans())
    assert not (tmp_path / "shards" / INDEX_FILE).exists()
    monkeypatch.undo()
    run(tmp_path, plans())
    assert len(ShardReader(tmp_path / "shards")) == 26
