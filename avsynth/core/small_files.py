"""`read_regular`: the content of a small file that a user names, never of a pipe or a device.

Opening a FIFO waits for its writer, and a device may never end. So the file is opened without
waiting, and must be a regular one of limited size.
"""

import os
import stat
from pathlib import Path

from avsynth.runtime.errors import AvsynthError, DataError


def read_regular(
    path: Path, expected: str, max_bytes: int, fix: str, error: type[AvsynthError] = DataError
) -> bytes:
    """Read a whole file.

    Args:
        path: links are followed.
        expected: what the file should be, for the message.
        max_bytes: a larger file is refused before it is read.
        fix: what the user can do about a file that is not one.
        error: what to raise.

    Raises:
        FileNotFoundError: there is nothing.
        DataError: (or ``error``) a folder, pipe or device; unreadable; too large.
    """
    try:
        with open(path, "rb", buffering=0, opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise error(str(path), expected, "a folder, pipe or device", fix)
            if status.st_size <= max_bytes:
                return file.readall()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as fault:
        found = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
        raise error(str(path), expected, found, fix) from None
    found = f"{status.st_size:,} bytes"
    raise error(str(path), f"{expected} of at most {max_bytes:,} bytes", found, fix)


def _without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC)
