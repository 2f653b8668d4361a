"""Digests of the raw files that a table names.

The stages that read images and audio get their folders from params.yaml, which DVC's dependencies
cannot do. They depend on these digests instead, so that a replaced image or clip re-runs them.
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
        path: the csv, with columns ``file`` and ``digest``.
        folder: the folder that the names are relative to.
        names: POSIX paths; duplicates become one row.
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
