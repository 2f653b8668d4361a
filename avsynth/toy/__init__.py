"""The toy world: a small set of raw data in the official layout of every source.

Every stage runs on it by default, offline and on a CPU. The tests and the demo use it.
**The audio determines the mask**: each image shows two to four categories, and each category has
its own outline and timbre, so the same image with another clip has another mask.

==============  ====================================================================================
folder          content
==============  ====================================================================================
``lvis/``       LVIS v1 train and val json, ``train2017/``, ``val2017/``
``coco/``       ``annotations/instances_train2017.json``, ``train2017/``; half of it LVIS's images
``openimages/`` mask csvs, 1-bit mask PNGs, images, class lists; train and validation
``vggsound/``   ``vggsound.csv`` without header, ``audio/``: 10-s clips of 16 kHz
``audioset/``   ``eval_segments.csv``, ``ontology.json``, ``audio/``: a few clips
``sounds/``     ``<category or label>/*.flac``: a user's own audio folder
``avsbench/``   ``Single-source/`` (S4) and ``Multi-sources/`` (MS3): stands for the real data that
                models are evaluated on; its images and audio have another style
``avss/``       AVSBench-semantic: ``metadata.csv``, ``label2idx.json``, ``v1s/ v1m/ v2/``, and the
                seen, unseen and few-shot lists of V3 in ``v3/``
``toy.json``    seed, scale and counts
==============  ====================================================================================
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from avsynth.core.files import atomic_folder, file_lock, make_folder, write_json
from avsynth.runtime.errors import DataError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.toy.audioset import write_audioset, write_sounds
from avsynth.toy.avsbench import write_avsbench
from avsynth.toy.avss import write_avss
from avsynth.toy.coco import write_coco, write_lvis
from avsynth.toy.openimages import write_openimages
from avsynth.toy.plan import Plan
from avsynth.toy.vggsound import write_vggsound

_MARKER = "toy.json"
_Writer = Callable[[Path, Plan], dict[str, int]]
WRITERS: dict[str, _Writer] = {
    "avsbench": write_avsbench,
    "vggsound": write_vggsound,
    "avss": write_avss,
    "lvis": write_lvis,
    "openimages": write_openimages,
    "coco": write_coco,
    "audioset": write_audioset,
    "sounds": write_sounds,
}
"""The slowest folders first, so that all workers finish at about the same time."""


@dataclass(frozen=True, slots=True)
class ToySummary:
    """The counts of each folder."""

    counts: dict[str, dict[str, int]]


def write_toy_world(
    root: Path, *, scale: float = 1.0, seed: int = 0, workers: int = 1
) -> ToySummary:
    """Write the toy world; the same seed and scale give the same bytes.

    Every folder is written under a temporary name and renamed when complete. A complete world with
    the same seed, scale and source code is kept; an incomplete one is rebuilt.

    Args:
        root: the output folder; other files in it are not changed.
        scale: factor of the counts; every stage uses 1, tests use 0.1, benchmarks 10.
        seed: seed of all random choices.
        workers: number of processes, each writes a folder; does not change the output.

    Raises:
        DataError: the scale is out of range, or a folder exists that no toy world wrote.
        ConfigError: another process is writing this world.
        SpaceError: the folder cannot be written, or the disk is full.
    """
    if not 0 < scale <= 1000:
        raise DataError("toy: scale", "a number above 0, at most 1000", str(scale), "Try 1.")
    made_from: dict[str, object] = {"seed": seed, "scale": scale, "program": _toy_source_digest()}
    if counts := _finished_counts(root, made_from):
        return ToySummary(counts)
    _check_folders_are_ours(root)
    with file_lock(root, what=f"toy world {root}"):
        # Another process may have completed it since the first check.
        if counts := _finished_counts(root, made_from):
            return ToySummary(counts)
        _write_marker(root, {"finished": False})
        runtime = Runtime(workers=workers, executor="process" if workers > 1 else "serial")
        work = partial(_write_part, root=root, plan=Plan(seed, scale))
        counts = dict(zip(WRITERS, map_items(work, WRITERS, runtime), strict=True))
        _write_marker(root, {"finished": True, "counts": counts, **made_from})
    return ToySummary(counts)


def _toy_source_digest() -> str:
    """Compute a digest of this package's source, so that a changed source rebuilds the world."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _finished_counts(root: Path, made_from: dict[str, object]) -> dict[str, dict[str, int]] | None:
    """Return the counts of the existing world if it is complete and has these settings."""
    try:
        marker = json.loads((root / _MARKER).read_bytes())
    except (OSError, ValueError):
        return None
    same = marker.get("finished") and all(marker.get(k) == v for k, v in made_from.items())
    whole = same and all((root / name).is_dir() for name in WRITERS)
    counts: dict[str, dict[str, int]] | None = marker["counts"] if whole else None
    return counts


def _write_part(name: str, root: Path, plan: Plan) -> dict[str, int]:
    """Write one folder under a temporary name, then rename it."""
    with atomic_folder(root / name, "replace") as folder:
        return WRITERS[name](folder, plan)


def _check_folders_are_ours(root: Path) -> None:
    """Check that no folder would be replaced that another program wrote."""
    if not (root / _MARKER).exists():
        for name in WRITERS:
            if (root / name).exists():
                raise DataError(
                    str(root), "an empty folder or an earlier toy world",
                    f"a folder {name}/ that no toy world wrote", "Choose another folder.",
                )  # fmt: skip
    make_folder(root)


def _write_marker(root: Path, content: dict[str, object]) -> None:
    write_json(root / _MARKER, content)
