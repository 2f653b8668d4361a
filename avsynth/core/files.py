"""Files and folders that appear whole or not at all."""

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

from avsynth.runtime.errors import ConfigError, DataError, SpaceError

_MACHINE = f"{zlib.crc32(os.uname().nodename.encode()):08x}"
"""A disk may be shared: only the machine that a process runs on can tell whether it still runs."""


@contextmanager
def file_lock(path: Path, what: str) -> Iterator[None]:
    """Hold a lock for this process; the kernel drops it when the process ends, however it ends.

    Args:
        path: of the lock file, which stays; or a folder, which is locked itself.
        what: the output that the lock guards, for the message.

    Raises:
        ConfigError: another process holds it.
        SpaceError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        how = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
        lock = os.open(path, how | os.O_CLOEXEC, 0o644)
    except OSError as error:
        fix = "Correct the folder's rights or free some space, then run the same command again."
        raise SpaceError(
            str(path), "a folder that can be written", error.strerror or str(error), fix
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fix = "Wait until it has ended, then run the same command again."
            raise ConfigError(what, "no other run that writes it", "one", fix) from None
        yield
    finally:
        os.close(lock)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` and rename it when the block ends well.

    Two writers of one path never write to the same temporary file. What a killed writer left
    behind is removed by the next writer of the same path.

    Raises:
        SpaceError: the folder cannot be written, or the disk is full.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - Path.replace would hide that this is atomic
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SpaceError(
            str(path),
            "a folder with room that can be written",
            error.strerror or str(error),
            "Free some space or mend the folder's rights, then run the same command again.",
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> Path:
    writer = f"{_MACHINE}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f"{path.name}.{writer}.tmp")


def _remove_abandoned(path: Path) -> None:
    """Remove what a writer of ``path`` on this machine left behind when it was killed."""
    pattern = re.compile(rf"{re.escape(path.name)}\.{_MACHINE}-(\d+)-[0-9a-f]{{8}}\.tmp")
    for name in os.listdir(path.parent):  # noqa: PTH208 - half the time of Path.iterdir
        match = pattern.fullmatch(name)
        if match is not None and _ended(int(match[1])):
            left = path.with_name(name)
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()


def _ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def write_json(path: Path, content: object) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    with whole_file(path) as temporary:
        text = json.dumps(content, indent=1, sort_keys=True)
        temporary.write_text(text + "\n", encoding="utf-8")


@contextmanager
def atomic_folder(directory: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of ``directory`` when the block ends well."""
    final = directory.resolve()
    if final.exists() and not (final.is_dir() and not any(final.iterdir())):
        raise DataError(
            str(directory), "a new or an empty folder", "something in it", "Name another folder."
        )
    temporary = _temporary(final)
    try:
        temporary.mkdir(parents=True)
        _remove_abandoned(final)
        yield temporary
        os.replace(temporary, final)  # noqa: PTH105 - says that this is atomic
    except OSError as error:
        raise SpaceError(
            str(directory),
            "a folder with room that can be written",
            error.strerror or str(error),
            "Free some space or mend the folder's rights, then run the same command again.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def link_or_copy(path: Path, name: Path) -> None:
    """Give a file that is never written to a second name; a copy where the disk has no links."""
    with whole_file(name) as temporary:
        try:
            temporary.hardlink_to(path.resolve())
        except OSError:
            shutil.copyfile(path, temporary)


def replace_folder(new: Path, folder: Path, aside: Path) -> None:
    """Put ``new`` in the place of ``folder``; the old one is removed only when the new one stands.

    Args:
        new: complete.
        folder: the final place; may be absent.
        aside: where the old one waits, on the same disk; see `restore_folder`.
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
