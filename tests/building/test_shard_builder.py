import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from avsynth.building.shard_builder import ShardPlan, ShardResult, build_shards
from avsynth.core.records import Drop, Sample
from avsynth.formats.shards import ShardReader, read_index
from avsynth.runtime.errors import ConfigError, SpaceError
from avsynth.runtime.options import Runtime

SERIAL = Runtime()


def make(items: tuple[int, ...]) -> Iterator[Sample | Drop]:
    """Make samples; every seventh cannot be made. Appends their numbers to $MADE when set."""
    return map(make_one, items)


def make_one(item: int) -> Sample | Drop:
    if log := os.environ.get("MADE"):
        with Path(log).open("a") as file:
            file.write(f"{item}\n")
        time.sleep(0.01)
    if item % 7 == 6:
        return Drop("shard", "", str(item), "dog", "undecodable_image")
    return Sample(f"dog-{item:010x}", bytes([item]) * 9000, "jpg", b"m", b"a", b"l", {"i": item})


def plans(count: int = 6, size: int = 5, *, changed: int | None = None) -> list[ShardPlan]:
    return [
        ShardPlan(
            file=f"train-{n:05d}.tar",
            split="train",
            content=tuple(range(n * size, (n + 1) * size)),
            signature=f"{n:04x}" + ("ff" if n == changed else "00"),
            bytes_expected=size * 10_000,
        )
        for n in range(count)
    ]


def run(root: Path, planned: list[ShardPlan], runtime: Runtime = SERIAL) -> list[ShardResult]:
    return build_shards(root / "shards", "toy", planned, make, root / "staging", runtime)


def content(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((root / "shards").glob("*"))}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MADE", str(tmp_path / "made"))
    return tmp_path / "made"


def test_what_cannot_be_made_is_returned_and_the_rest_is_there(tmp_path: Path):
    results = run(tmp_path, plans())
    assert [d.item for p in results for d in p.drops] == ["6", "13", "20", "27"]
    assert len(ShardReader(tmp_path / "shards")) == 26
    assert [s.count for s in read_index(tmp_path / "shards")] == [p.info.count for p in results]


def test_two_processes_write_the_bytes_of_one(tmp_path: Path):
    run(tmp_path / "a", plans())
    run(tmp_path / "b", plans(), Runtime(workers=2, executor="process"))
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_second_run_makes_nothing_and_changes_nothing(tmp_path: Path, made: Path):
    first = run(tmp_path, plans())
    before = content(tmp_path)
    made.unlink()
    assert run(tmp_path, plans()) == first
    assert not made.exists()
    assert content(tmp_path) == before


def test_only_changed_shards_are_made_again_even_under_other_names(tmp_path: Path, made: Path):
    run(tmp_path, plans())
    made.unlink()
    shifted = plans(changed=2)[1:]  # One shard gone, so every other one has a new number.
    shifted = [
        ShardPlan(f"train-{n:05d}.tar", p.split, p.content, p.signature, p.bytes_expected)
        for n, p in enumerate(shifted)
    ]
    run(tmp_path, shifted)
    assert made.read_text().split() == [str(i) for i in range(10, 15)]
    run(tmp_path / "afresh", shifted)
    assert content(tmp_path) == content(tmp_path / "afresh")


def test_a_tar_that_something_else_has_changed_is_made_again(tmp_path: Path):
    run(tmp_path, plans())
    before = content(tmp_path)
    tar = tmp_path / "shards" / "train-00003.tar"
    tar.chmod(0o644)
    tar.write_bytes(bytes(tar.stat().st_size))
    run(tmp_path, plans())
    assert content(tmp_path) == before


def test_strays_are_removed(tmp_path: Path):
    run(tmp_path, plans())
    (tmp_path / "shards" / "train-99999.tar").write_bytes(b"x")
    run(tmp_path, plans())
    assert "train-99999.tar" not in content(tmp_path)


@pytest.mark.parametrize("after", [0, 3, 11, 19, 29])
def test_killed_at_any_point_it_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, after: int):
    made = tmp_path / "made"
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.building.test_shard_builder import plans, run\n"
        "run(Path(sys.argv[1]), plans())"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "MADE": str(made), "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    deadline = time.monotonic() + 60
    while not made.exists() or len(made.read_text().split()) <= after:
        assert time.monotonic() < deadline
        assert child.poll() is None or len(made.read_text().split()) > after
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    for name, tar in content(tmp_path).items():
        assert name == "index.json" or tar.endswith(bytes(1024)), f"{name} is not whole"
    run(tmp_path, plans())
    run(tmp_path / "afresh", plans())
    assert content(tmp_path) == content(tmp_path / "afresh")
    assert sorted(p.name for p in (tmp_path / "staging").iterdir()) == ["lock", "published.json"]


def test_two_runs_at_once_on_one_dataset_are_refused(tmp_path: Path):
    import fcntl

    run(tmp_path, plans())
    with (tmp_path / "staging" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="no other run"):
            run(tmp_path, plans())


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path):
    huge = [
        ShardPlan(p.file, p.split, p.content, p.signature, bytes_expected=10**17) for p in plans(2)
    ]
    with pytest.raises(SpaceError, match="GB free"):
        run(tmp_path, huge)
    assert content(tmp_path) == {}


def test_a_disk_that_fills_up_leaves_no_tar_under_a_final_name(tmp_path: Path):
    """On a real full disk: a 256 KiB tmpfs."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        small = [ShardPlan(p.file, p.split, p.content, p.signature, 0) for p in plans()]
        with pytest.raises(SpaceError, match="No space left"):
            run(disk, small)
        assert content(disk) == {}
        assert not list((disk / "staging").glob("*.tmp"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
