import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avsynth.runtime.errors import AvsynthError, DataError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from tests.conftest import REPOSITORY

SERIAL, PROCESSES = Runtime(), Runtime(workers=2, executor="process")


def die(item):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_one_message():
    with pytest.raises(AvsynthError, match=r"one was killed.*fewer --workers"):
        list(map_items(die, range(4), PROCESSES))


def square_slowly(x: int) -> int:
    time.sleep(0.01 * (x % 3))
    return x * x


def where(x: int) -> int:
    return os.getpid()


def fail_at_five(x: int) -> int:
    if x == 5:
        raise DataError("here", "a number below 5", str(x), "Fix it.")
    return x


@pytest.mark.parametrize("runtime", [SERIAL, PROCESSES])
def test_results_come_in_the_order_of_the_items(runtime: Runtime):
    assert list(map_items(square_slowly, range(30), runtime)) == [x * x for x in range(30)]


def test_more_workers_are_more_processes():
    assert set(map_items(where, range(5), SERIAL)) == {os.getpid()}
    assert os.getpid() not in set(map_items(where, range(5), PROCESSES))


@pytest.mark.parametrize("runtime", [SERIAL, PROCESSES])
def test_an_error_crosses_the_process_whole_at_its_items_turn(runtime: Runtime):
    done = []
    with pytest.raises(DataError, match=r"here: expected a number below 5; found 5\. Fix it\."):
        done.extend(map_items(fail_at_five, range(30), runtime))
    assert done == [0, 1, 2, 3, 4]


def test_items_are_taken_as_they_are_needed():
    taken = []

    def items():
        for x in range(1000):
            taken.append(x)
            yield x

    results = map_items(square_slowly, items(), PROCESSES)
    assert next(results) == 0
    assert len(taken) < 50
    results.close()


def test_workers_of_a_killed_process_end(tmp_path: Path):
    program = (
        "import os, time\n"
        "from avsynth.runtime.options import Runtime\n"
        "from avsynth.runtime.executors import map_items\n"
        "from tests.runtime.test_executors import note_process_and_wait\n"
        "if __name__ == '__main__':\n"
        f"    folders = [{str(tmp_path)!r}] * 2\n"
        "    list(map_items(note_process_and_wait, folders, Runtime(2, 'process')))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, str(script)], env=environment)
    while len(found := list(tmp_path.glob("*.pid"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(Path("/proc", pid.stem).exists() for pid in found):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)


def note_process_and_wait(folder: str) -> None:
    Path(folder, f"{os.getpid()}.pid").touch()
    time.sleep(60)


_INTERRUPTED = """
import signal, sys, time
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime

def slow(item):
    time.sleep(30 if item else 0)
    return item

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup ignores it
    try:
        for item in map_items(slow, range(40), Runtime(workers=2, executor="process")):
            print(item, flush=True)
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


@pytest.mark.parametrize("send", [os.killpg, os.kill])
def test_ctrl_c_ends_every_worker_soon_and_without_tracebacks(tmp_path: Path, send):
    script = tmp_path / "interrupted.py"
    script.write_text(_INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    time.sleep(0.5)
    send(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert errors == "interrupted\n"
