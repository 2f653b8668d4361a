"""One database per project: shared, stopped when its last user exits or is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from avsynth.inspection.fiftyone_app.database import URI_VARIABLE, database, mongod
from avsynth.runtime.errors import DataError

pytestmark = [pytest.mark.fiftyone, pytest.mark.xdist_group("fiftyone")]

HOLD = """
import sys, time
from pathlib import Path
from avsynth.inspection.fiftyone_app.database import database
with database(Path(sys.argv[1])) as uri:
    print(uri, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_database_named(monkeypatch):
    monkeypatch.delenv(URI_VARIABLE, raising=False)


def hold(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def processes(folder: Path) -> list[psutil.Process]:
    """Return the processes of the database and of its keeper."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if any(str(folder) in part for part in line) and HOLD not in line:
            found.append(process)
    return found


def gone(folder: Path, limit_s: float = 20.0) -> bool:
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        if not processes(folder):
            return True
        time.sleep(0.1)
    return False


def answers(uri: str) -> bool:
    with socket.create_connection(("127.0.0.1", urlsplit(uri).port), timeout=5):
        return True


def test_two_users_share_a_database_that_stops_after_the_last(tmp_path):
    with database(tmp_path) as first:
        with database(tmp_path) as second:
            assert first == second
        time.sleep(1.2)
        assert answers(first)
        assert len(processes(tmp_path)) == 2
    assert gone(tmp_path)
    assert not (tmp_path / "port").exists()


@pytest.mark.slow
def test_users_that_start_at_once_and_are_killed_leave_no_process(tmp_path):
    users = [hold(tmp_path) for _ in range(3)]
    try:
        uris = {user.stdout.readline().strip() for user in users}
        assert len(uris) == 1
        assert len(processes(tmp_path)) == 2
        for user in users[:2]:
            user.kill()
            user.wait()
        time.sleep(1.2)
        assert answers(uris.pop())
    finally:
        users[2].kill()
        for user in users:
            user.communicate()
    assert gone(tmp_path)


@pytest.mark.slow
def test_a_killed_keeper_stops_the_database_and_the_next_user_restarts_it(tmp_path):
    with database(tmp_path) as uri:
        assert answers(uri)
        keeper = next(
            p
            for p in processes(tmp_path)
            if "avsynth.inspection.fiftyone_app.database" in p.cmdline()
        )
        os.kill(keeper.pid, signal.SIGKILL)
        assert gone(tmp_path)
        with database(tmp_path) as again:
            assert answers(again)
    assert gone(tmp_path)


@pytest.mark.slow
def test_two_projects_have_two_databases(tmp_path):
    with database(tmp_path / "a") as a, database(tmp_path / "b") as b:
        assert a != b
    assert gone(tmp_path)


def test_a_database_named_in_the_environment_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv(URI_VARIABLE, "mongodb://example.org:27017")
    with database(tmp_path / "never") as uri:
        assert uri == "mongodb://example.org:27017"
    assert not (tmp_path / "never").exists()


def test_a_database_that_cannot_start_is_an_error_with_its_log(tmp_path):
    (tmp_path / "data").write_text("in the way")
    with (
        pytest.raises(DataError, match=r"a database that starts.*mongod\.log"),
        database(tmp_path),
    ):
        pytest.fail("the database must not start")
    assert gone(tmp_path)


def test_the_extra_installs_the_database_program():
    run = subprocess.run([mongod(), "--version"], capture_output=True, text=True, check=True)
    assert "db version" in run.stdout


def test_without_the_extra_the_message_names_the_package(project):
    program = (
        "import sys; sys.modules['fiftyone'] = None\n"
        "sys.argv = ['avsynth', 'inspect', '--root', sys.argv[1]]\n"
        "from avsynth.cli.main import main; main()"
    )
    command = [sys.executable, "-c", program, str(project.root)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert "pip install 'avsynth[view]'" in run.stderr
    assert not project.inspect.exists()
