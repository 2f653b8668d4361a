"""The database that FiftyOne keeps its datasets in: one per project, shared, gone with its users.

Several inspections of a project may run at once, and any of them may be killed. So each holds a
shared lock on a file, and a small process of its own runs the database until it gets the same
lock for itself: the kernel counts the users, and no death goes unseen.

That process is ``python -m avsynth.inspection.fiftyone_app.database FOLDER``.
"""

import ctypes
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

from avsynth.core.files import whole_file
from avsynth.runtime.errors import DataError, MissingExtra

URI_VARIABLE = "FIFTYONE_DATABASE_URI"
_START_S = 60.0
_KEY = "key"
"""A new random key for each start: other users of the machine reach the port, not the data."""
_QUIET = subprocess.DEVNULL
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Give the address of a running database whose files lie in ``folder``.

    One named in the environment (``FIFTYONE_DATABASE_URI``) is used instead, and left alone.

    Args:
        folder: made when absent; on a local disk.

    Raises:
        MissingExtra: FiftyOne or its database is not installed.
        DataError: the database does not start; the end of its log says why.
    """
    if named := os.environ.get(URI_VARIABLE):
        yield named
        return
    mongod()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users.lock").open("w") as users:
        with locked(folder / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)  # Waits while a database that nobody uses stops.
            port = _running(folder) or _start(folder)
        yield address(folder, port)


def address(folder: Path, port: int) -> str:
    """Return the database's address with its key, which only the project's owner can read."""
    key = (folder / _KEY).read_text(encoding="ascii")
    return f"mongodb://__system:{quote(key, safe='')}@127.0.0.1:{port}/?authSource=local"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file that one process at a time can have; its folder is made when absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def mongod() -> Path:
    """Find the database's program without loading FiftyOne.

    Raises:
        MissingExtra: it is not installed.
    """
    spec = find_spec("fiftyone")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("fiftyone", "view")
    for place in spec.submodule_search_locations:
        path = Path(place) / "db" / "bin" / "mongod"
        if os.access(path, os.X_OK):
            return path
    raise MissingExtra("fiftyone-db", "view")


def _running(folder: Path) -> int | None:
    """Read the port of the database that answers, if one does."""
    with suppress(OSError, ValueError):
        port = int((folder / "port").read_text())
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return port
    return None


def _start(folder: Path) -> int:
    (folder / "port").unlink(missing_ok=True)
    command = [sys.executable, "-m", "avsynth.inspection.fiftyone_app.database", str(folder)]
    # A session of its own: Ctrl-C in the terminal is meant for the inspection alone.
    subprocess.run(
        command, stdin=_QUIET, stdout=_QUIET, stderr=_QUIET, start_new_session=True, check=False
    )
    if port := _running(folder):
        return port
    log = folder / "mongod.log"
    last = log.read_text(errors="replace").splitlines()[-3:] if log.is_file() else []
    found = "\n".join(last) or "no log"
    raise DataError(str(folder), "a database that starts", found, f"Read {log}; is the disk full?")


def _detach(folder: Path) -> None:
    """Run the keeper as nobody's child; come back when the database answers or has failed."""
    child = os.fork()
    if child == 0:
        keep(folder)
        return
    limit = time.monotonic() + _START_S
    while not (folder / "port").is_file() and time.monotonic() < limit:
        if os.waitpid(child, os.WNOHANG)[0]:
            sys.exit(1)
        time.sleep(0.02)


def keep(folder: Path) -> None:
    """Run the database until nobody holds ``users.lock``, then stop it."""
    with (folder / "users.lock").open("w") as users, locked(folder / "keeper.lock"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = _mongod_process(folder, port)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            _wait_until_it_answers(server, port)
            with whole_file(folder / "port") as temporary:
                temporary.write_text(str(port))
            _wait_until_unused(server, users)
        finally:
            (folder / "port").unlink(missing_ok=True)
            server.terminate()
            server.wait()


def _mongod_process(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    data = folder / "data"
    data.mkdir(exist_ok=True)
    log = folder / "mongod.log"
    log.unlink(missing_ok=True)
    key = folder / _KEY
    key.unlink(missing_ok=True)
    key.touch(mode=0o600, exist_ok=False)
    key.write_text(secrets.token_hex(32), encoding="ascii")
    command = [mongod(), "--dbpath", data, "--logpath", log, "--port", str(port)]
    command += [
        "--bind_ip",
        "127.0.0.1",
        "--keyFile",
        key,
        "--nounixsocket",
        "--wiredTigerCacheSizeGB",
        "1",
    ]
    return subprocess.Popen(
        list(map(str, command)), stdin=_QUIET, stdout=_QUIET, stderr=_QUIET, preexec_fn=_die_with_us
    )


def _die_with_us() -> None:
    """Ask the kernel (Linux) to stop the database when its keeper is killed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", port: int) -> None:
    while server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    sys.exit(1)


def _wait_until_unused(server: "subprocess.Popen[bytes]", users: IO[str]) -> None:
    while server.poll() is None:
        with suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.5)


if __name__ == "__main__":
    _detach(Path(sys.argv[1]))
