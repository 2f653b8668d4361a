"""Digests of the raw files that a table names.

The stages that read images and sounds find their folders in params.yaml, where DVC's stages cannot
look them up. They depend on these digests instead, so a replaced image or clip is noticed.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pandas as pd

from avsynth.core.hashing import file_digest
from avsynth.core.tables import write_csv
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime

ABSENT = "absent"


def write_digests(path: Path, folder: Path, names: Iterable[str], runtime: Runtime) -> None:
    """Write a csv with the digest of every named file, sorted by name.

    Args:
        path: of the csv: columns ``file`` and ``digest``.
        folder: that the names are relative to.
        names: POSIX paths; one named twice is one row.
        runtime: its workers hash the files.
    """
    files = sorted(set(names))
    digests = list(map_items(partial(_digest, folder), files, runtime))
    write_csv(path, pd.DataFrame({"file": files, "digest": digests}))


def _digest(folder: Path, name: str) -> str:
    try:
        return file_digest(folder / name)
    except OSError:
        return ABSENT
