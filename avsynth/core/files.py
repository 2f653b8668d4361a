"""Atomic writers and locks: `atomic_file`, `atomic_folder`, `write_json`, `file_lock`.

A file or folder is written under a temporary name beside its own and then renamed. So a reader
never finds half of it, and a process that is killed leaves the old content in place.
"""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from avsynth.runtime.errors import DataError, SpaceError


@contextmanager
def atomic_file(path: Path, *, concurrent: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    Args:
        path: the file; its folder is made when absent.
        concurrent: several processes or threads may write this file at the same time. Each gets
            a temporary path of its own, and the last rename wins. Otherwise the temporary path is
            always the same, so that a run that was killed leaves one file at most.

    Raises:
        SpaceError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(path.name + (_own_suffix() if concurrent else ".tmp"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - Path.replace would hide that this is atomic
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _no_space(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(
    directory: Path, existing: Literal["refuse", "replace", "keep"] = "refuse"
) -> Iterator[Path]:
    """Yield an empty temporary folder; rename it to ``directory`` when the block succeeds.

    Args:
        directory: the folder.
        existing: what happens to a folder of this name that holds something. ``refuse``: raise.
            ``replace``: remove it before the rename. ``keep``: keep it and discard the new one;
            several processes may then make the same folder at the same time.

    Raises:
        DataError: ``directory`` holds something and ``existing`` is ``refuse``.
        SpaceError: the folder cannot be written, or the disk is full.
    """
    final = directory.resolve()
    if existing == "refuse" and _holds_something(final):
        raise DataError(
            str(directory), "a new or an empty folder", "something in it", "Name another folder."
        )
    temporary = final.with_name(final.name + (_own_suffix() if existing == "keep" else ".tmp"))
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        if existing == "replace":
            shutil.rmtree(final, ignore_errors=True)
        try:
            os.replace(temporary, final)  # noqa: PTH105 - as above
        except OSError:
            if existing != "keep" or not final.is_dir():
                raise
    except OSError as error:
        raise _no_space(directory, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, content: object) -> None:
    """Write JSON with sorted keys, atomically."""
    with atomic_file(path) as temporary:
        text = json.dumps(content, indent=1, sort_keys=True)
        temporary.write_text(text + "\n", encoding="utf-8")


@contextmanager
def file_lock(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold a lock until the block ends or the process dies, whichever is first.

    The kernel releases the lock of a process that is killed, so no stale lock stays behind. The
    file holds the process id of the last exclusive holder, and is never removed.

    Args:
        path: the lock file; made when absent, with its folder.
        shared: any number of shared holders, or one exclusive holder.
        wait: wait for other holders; otherwise raise at once.

    Raises:
        BlockingIOError: another process holds it and ``wait`` is off.
        SpaceError: the file cannot be written.
    """
    with _open_lock(path) as file:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
        if not shared:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def _open_lock(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="ascii")
    except OSError as error:
        raise _no_space(path, error) from error


def _holds_something(folder: Path) -> bool:
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def _own_suffix() -> str:
    return f".{os.getpid()}.{secrets.token_hex(4)}.tmp"


def _no_space(path: Path, error: OSError) -> SpaceError:
    return SpaceError(
        str(path),
        "a writable folder with free space",
        error.strerror or str(error),
        "Free some space or fix the folder's permissions, then run the same command again.",
    )
