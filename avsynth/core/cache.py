"""A content-addressed cache on disk: what was computed from the same bytes is computed once.

Everything in it can be deleted at any time; nothing in it is an output.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from avsynth.core.files import atomic_folder
from avsynth.runtime.errors import SpaceError
from avsynth.runtime.options import Runtime

ENVIRONMENT_VARIABLE = "AVSYNTH_CACHE"


def cache_root(runtime: Runtime) -> Path:
    """Return the cache folder: --cache-dir, $AVSYNTH_CACHE, or the user's cache folder.

    A user without a home folder has one in the folder of temporary files.
    """
    if runtime.cache_dir is not None:
        return runtime.cache_dir
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(named)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "avsynth"
    try:
        return Path.home() / ".cache" / "avsynth"
    except RuntimeError:  # A container may run as a user that no account belongs to.
        return Path(tempfile.gettempdir()) / f"avsynth-cache-{os.getuid()}"


def cached_folder(runtime: Runtime, kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``<cache>/<kind>/<key>``; the first use fills it by ``make(folder)``.

    The folder appears complete or not at all. Two processes that make the same one at the same
    time both succeed; one of the two results is kept.

    Args:
        runtime: names the cache.
        kind: the sort of content, e.g. ``lvis-index``.
        key: hash of everything that the content depends on, the format's version included.
        make: fills the empty folder that it is given.

    Raises:
        SpaceError: the cache cannot be written, or the disk is full.
    """
    final = cache_root(runtime) / kind / key
    if final.is_dir():
        return final
    try:
        with atomic_folder(final, "keep") as folder:
            make(folder)
    except SpaceError as error:
        raise SpaceError(
            error.where,
            "a cache folder with free space",
            error.found,
            "Free some space, or name another folder with --cache-dir.",
        ) from error
    return final
