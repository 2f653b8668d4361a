"""Building on a cluster: the bytes of one machine, also when a node dies; nothing stays behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avsynth.building.shard_builder import ShardPlan, build_shards
from avsynth.core.records import Drop, Sample
from avsynth.runtime.errors import AvsynthError, ConfigError, DataError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from tests.conftest import REPOSITORY, TOY_SETTINGS, make_toy_project

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RAY = Runtime(workers=2, executor="ray", quiet=True)
SERIAL = Runtime(quiet=True)


def here() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def square_somewhere(x: int) -> tuple[int, str]:
    time.sleep(0.05 * (x % 3))
    return x * x, here()


def fail_at_five(x: int) -> int:
    if x == 5:
        raise DataError("here", "a number below 5", str(x), "Fix it.")
    return x


def die(x: int) -> int:
    os._exit(1)


def make(content: tuple[str, int]) -> Iterator[Sample | Drop]:
    """Make twenty samples slowly, and note who began and who ended which shard where."""
    log, number = content
    for event in ("began", *range(20), "ended"):
        if isinstance(event, str):
            with Path(log).open("a") as file:
                file.write(f"{event} {number} {here()}\n")
        else:
            time.sleep(0.02)
            yield Sample(f"dog-{number:04x}{event:06x}", bytes(900), "jpg", b"m", b"a", b"l", {})


def plans(log: Path) -> list[ShardPlan]:
    return [
        ShardPlan(f"train-{n:05d}.tar", "train", (str(log), n), f"{n:032x}", 20_000)
        for n in range(16)
    ]


def events(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def test_the_contract_of_map_items_holds_on_two_nodes(cluster: Any):
    results = list(map_items(square_somewhere, range(30), RAY))
    assert [square for square, _ in results] == [x * x for x in range(30)]
    assert len({node for _, node in results}) == 2
    done: list[int] = []
    with pytest.raises(DataError, match=r"here: expected a number below 5; found 5\. Fix it\."):
        done.extend(map_items(fail_at_five, range(30), RAY))
    assert done == [0, 1, 2, 3, 4]
    taken: list[int] = []
    results = map_items(square_somewhere, (taken.append(x) or x for x in range(1000)), RAY)
    assert next(results)[0] == 0
    assert len(taken) < 50
    results.close()


def test_a_task_that_kills_its_workers_is_given_up_with_a_message(cluster: Any):
    with pytest.raises(AvsynthError, match="WorkerCrashedError after 6 attempts"):
        list(map_items(die, [1], RAY))


def test_when_a_node_dies_its_shards_alone_are_made_again(cluster: Any, tmp_path: Path):
    log = tmp_path / "log"
    outcome: list[Any] = []

    def build() -> None:
        outcome.extend(build_shards(tmp_path / "a", "toy", plans(log), make, tmp_path / "sa", RAY))

    builder = threading.Thread(target=build)
    builder.start()
    victim = cluster.nodes[0]
    # A node that has begun its second shard has handed the first one in.
    while sum(e[0] == "began" and e[2] == victim.node_id for e in events(log)) < 2:
        time.sleep(0.01)
        assert builder.is_alive()
    cluster.remove_node(victim, allow_graceful=False)
    before = events(log)
    builder.join()

    made = Counter(int(n) for event, n, _ in events(log) if event == "began")
    begun_by: dict[str, list[int]] = {}
    for event, n, node in before:
        if event == "began":
            begun_by.setdefault(node, []).append(int(n))
    ended = {n for numbers in begun_by.values() for n in numbers[:-1]}
    assert ended
    lost = {n for n, times in made.items() if times > 1}
    assert set(made) == set(range(16))
    assert len(lost) == 1, "a node of one CPU works on one shard"
    assert not lost & ended, "what was finished stays finished"
    assert len(outcome) == 16

    build_shards(tmp_path / "b", "toy", plans(log), make, tmp_path / "sb", SERIAL)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert [p.name for p in (tmp_path / "sa").iterdir() if p.is_dir()] == []


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def processes(root: Path) -> dict[int, str]:
    """Return the live processes that a build in this project has started, and their commands."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            command = (entry / "cmdline").read_text()
        except OSError:
            continue
        if entry.name.isdecimal() and state != "Z" and f"BUILD={root}".encode() in environment:
            found[int(entry.name)] = command.replace("\0", " ")
    return found


def start_build(root: Path, address: str = "") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "avsynth", "build", "--root", str(root)]
    for setting in (*TOY_SETTINGS, "fetch.sources=[]"):
        command += ["-S", setting]
    command += ["--executor", "ray", "--workers", "2"]
    environment = {**os.environ, "BUILD": str(root), "RAY_ADDRESS": address}
    with (root / "said").open("w") as said:
        return subprocess.Popen(
            command, env=environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=said
        )


def wait_until_gone(root: Path) -> None:
    deadline = time.monotonic() + 150  # Ray's agents take a minute to miss a terminated node.
    while left := processes(root):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_build_on_a_cluster_gives_the_bytes_of_one_machine(
    cluster: Any, built: Path, toy_project: Path
):
    done = start_build(toy_project, cluster.address)
    assert done.wait() == 0, (toy_project / "said").read_text()
    for folder in ("data/shards/avs-synthetic", "data/interim"):
        assert content(toy_project / folder) == content(built / folder)
        assert content(built / folder)


@pytest.mark.parametrize("ending", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_without_an_address_a_cluster_is_started_and_nothing_of_it_stays(
    built: Path, toy_world: Path, tmp_path: Path, ending: signal.Signals | None
):
    root = make_toy_project(tmp_path / "project", toy_world)
    process = start_build(root)
    if ending is not None:
        while not any("raylet" in command for command in processes(root).values()):
            assert process.poll() is None, "killed too late to show anything"
            time.sleep(0.05)
        process.send_signal(ending)
    code = process.wait()
    wait_until_gone(root)
    if ending is None:
        assert code == 0
        shards = "data/shards/avs-synthetic"
        assert content(root / shards) == content(built / shards)


def test_an_address_without_a_cluster_is_said_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"a Ray cluster at 127\.0\.0\.1:9"):
        list(map_items(fail_at_five, [1], RAY))


_LISTENING = """
import psutil
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime

assert list(map_items(abs, [-1, -2], Runtime(workers=1, executor="ray"))) == [1, 2]
me = psutil.Process()
for process in [me, *me.children(recursive=True)]:
    for one in process.net_connections():
        if one.status == psutil.CONN_LISTEN:
            print(one.laddr.ip)
"""


def test_a_cluster_of_its_own_listens_on_loopback_alone():
    pytest.importorskip("psutil")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", _LISTENING],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert done.stdout
