"""Content-addressed cache: what was computed from the same bytes is computed once.

Everything in it can be deleted at any time; nothing in it is an output.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from avsynth.runtime.options import Runtime

ENVIRONMENT_VARIABLE = "AVSYNTH_CACHE"


def cache_root(runtime: Runtime) -> Path:
    """Say where the cache lies: --cache-dir, $AVSYNTH_CACHE, or the user's cache folder."""
    if runtime.cache_dir is not None:
        return runtime.cache_dir
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "avsynth"


def cached_folder(runtime: Runtime, kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``<cache>/<kind>/<key>``, made on first use by ``make(folder)``.

    The folder appears whole, by a rename, or not at all. Two processes that make the same one at
    once both succeed; one of the two results is kept.

    Args:
        runtime: names the cache.
        kind: what sort of thing it is, e.g. ``lvis-index``.
        key: hash of everything that the content depends on, the format's version included.
        make: fills the (empty, existing) folder it is given.
    """
    final = cache_root(runtime) / kind / key
    if final.is_dir():
        return final
    temporary = final.with_name(f"{key}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        make(temporary)
        try:
            temporary.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final
