"""Atomic writers and locks: `atomic_file`, `atomic_folder`, `replace_folder`, `file_lock`.

A file or folder is written under a temporary name beside its own and then renamed. So a reader
never finds half of it, and a process that is killed leaves the old content in place. A temporary
name belongs to one writer, so two writers of one path never mix; the last rename wins.
"""

import fcntl
import json
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from avsynth.runtime.errors import ConfigError, DataError, SpaceError

_MACHINE = f"{zlib.crc32(os.uname().nodename.encode()):08x}"
"""A disk may be shared: only its own machine can tell whether a process still runs."""


@contextmanager
def atomic_file(path: Path, *, concurrent: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    Args:
        path: the file; its folder is made when absent.
        concurrent: the file is one of many in a cache that several processes fill. Temporary files
            of killed writers are then not searched for, which would list the whole folder.

    Raises:
        SpaceError: the folder cannot be written, or the disk is full.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not concurrent:
            _remove_abandoned(path)
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
    temporary = _temporary(final)
    try:
        temporary.mkdir(parents=True)
        _remove_abandoned(final)
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


def replace_folder(new: Path, folder: Path, aside: Path) -> None:
    """Replace ``folder`` by ``new``; remove the old one only after the new one is in place.

    Args:
        new: complete.
        folder: the final place; may be absent.
        aside: temporary path of the old one, on the same disk; see `restore_folder`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    new.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def restore_folder(folder: Path, aside: Path) -> None:
    """Put the old folder back if a `replace_folder` was killed between its two renames."""
    if aside.exists() and not folder.exists():
        aside.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def link_or_copy(path: Path, name: Path) -> None:
    """Create a hard link to a file that is never changed; a copy where the disk has no links."""
    with atomic_file(name) as temporary:
        try:
            temporary.hardlink_to(path.resolve())
        except OSError:
            shutil.copyfile(path, temporary)


def write_json(path: Path, content: object) -> None:
    """Write JSON with sorted keys, atomically."""
    with atomic_file(path) as temporary:
        text = json.dumps(content, indent=1, sort_keys=True)
        temporary.write_text(text + "\n", encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, unless it is there.

    Raises:
        SpaceError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_space(folder, error) from error


def sync(path: Path) -> None:
    """Wait until the content of a file is on the disk, so that a power cut cannot lose it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def file_lock(
    path: Path, *, what: str = "", shared: bool = False, wait: bool = True
) -> Iterator[None]:
    """Hold a lock until the block ends or the process dies, whichever is first.

    The kernel releases the lock of a process that is killed, so no stale lock stays behind. A lock
    file holds the process id of the last exclusive holder, and is never removed.

    Args:
        path: the lock file, made when absent with its folder; or a folder, which is locked itself.
        what: the output that the lock guards; a process that finds it locked then gets a message
            instead of waiting.
        shared: any number of shared holders, or one exclusive holder.
        wait: wait for other holders; otherwise raise at once.

    Raises:
        ConfigError: another process holds it and ``what`` is given.
        BlockingIOError: another process holds it and ``wait`` is off.
        SpaceError: the file cannot be written.
    """
    lock = _open_lock(path)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        try:
            fcntl.flock(lock, kind if wait and not what else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if not what:
                raise
            fix = "Wait until it has ended, then run the same command again."
            raise ConfigError(what, "no other run that writes it", "one", fix) from None
        if not shared and not path.is_dir():
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)


def _open_lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
        return os.open(path, flags | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _no_space(path, error) from error


def _holds_something(folder: Path) -> bool:
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def _temporary(path: Path) -> Path:
    writer = f"{_MACHINE}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f"{path.name}.{writer}.tmp")


def _remove_abandoned(path: Path) -> None:
    """Remove what a killed writer of ``path`` on this machine left behind."""
    pattern = re.compile(rf"{re.escape(path.name)}\.{_MACHINE}-(\d+)-[0-9a-f]{{8}}\.tmp")
    for name in os.listdir(path.parent):  # noqa: PTH208 - half the time of Path.iterdir
        match = pattern.fullmatch(name)
        if match is not None and _has_ended(int(match[1])):
            left = path.with_name(name)
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()


def _has_ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _no_space(path: Path, error: OSError) -> SpaceError:
    return SpaceError(
        str(path),
        "a writable folder with free space",
        error.strerror or str(error),
        "Free some space or fix the folder's permissions, then run the same command again.",
    )
