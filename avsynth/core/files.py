"""Files and folders that appear whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from avsynth.runtime.errors import DataError, SpaceError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` and rename it when the block ends well.

    Raises:
        SpaceError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
    temporary = final.with_name(f"{final.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
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
