"""The toy world: a small raw world in the official layout of every source.

Every stage runs on it by default, offline and on a CPU; tests and the demo are made of it.
**Sound decides**: each picture shows two to four categories, each category has its own outline and
its own timbre, so the same picture with another clip has another mask.

==============  ====================================================================================
folder          what it holds
==============  ====================================================================================
``lvis/``       LVIS v1 train and val json, ``train2017/``, ``val2017/``
``coco/``       ``annotations/instances_train2017.json``, ``train2017/``; half of it LVIS's pictures
``openimages/`` mask csvs, 1-bit mask PNGs, pictures, class lists; train and validation
``vggsound/``   ``vggsound.csv`` without header, ``audio/``: 10-s clips of 16 kHz
``audioset/``   ``eval_segments.csv``, ``ontology.json``, ``audio/``: a few clips
``sounds/``     ``<category or label>/*.flac``: a folder of one's own
``avsbench/``   ``Single-source/`` (S4) and ``Multi-sources/`` (MS3): the "real" world that models
                are judged in, drawn and recorded in another style
``avss/``       AVSBench-semantic: ``metadata.csv``, ``label2idx.json``, ``v1s/ v1m/ v2/``, and the
                seen, unseen and few-shot lists of V3 in ``v3/``
``toy.json``    what is there: seed, scale, counts
==============  ====================================================================================
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from avsynth.core.files import file_lock, write_json
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
PARTS: dict[str, _Writer] = {
    "avsbench": write_avsbench,
    "vggsound": write_vggsound,
    "avss": write_avss,
    "lvis": write_lvis,
    "openimages": write_openimages,
    "coco": write_coco,
    "audioset": write_audioset,
    "sounds": write_sounds,
}
"""The longest work first, so that workers finish together."""


@dataclass(frozen=True, slots=True)
class ToySummary:
    """What was written: counts per folder."""

    counts: dict[str, dict[str, int]]


def write_toy_world(
    root: Path, *, scale: float = 1.0, seed: int = 0, workers: int = 1
) -> ToySummary:
    """Write the toy world; the same seed and scale give the same bytes.

    Every folder appears whole, by a rename; ``toy.json`` says what is there. A finished world of
    the same seed, scale and program is left as it is; one that was not finished is begun anew.

    Args:
        root: where to; other files in it are left alone.
        scale: 1 is the default of every stage; 0.1 suits tests, 10 benchmarks.
        seed: of everything.
        workers: processes that draw, a folder each; changes no byte.

    Raises:
        DataError: a folder of this name is there and no toy world wrote it, or a bad scale.
        ConfigError: another process writes this world.
    """
    if not 0 < scale <= 1000:
        raise DataError("toy: scale", "a number above 0, at most 1000", str(scale), "Try 1.")
    drawn_by: dict[str, object] = {"seed": seed, "scale": scale, "program": _program()}
    if counts := _finished(root, drawn_by):
        return ToySummary(counts)
    _claim(root)
    with file_lock(root, f"toy world {root}"):
        if counts := _finished(root, drawn_by):  # Another process has ended in the meantime.
            return ToySummary(counts)
        _mark(root, {"finished": False})
        runtime = Runtime(workers=workers, executor="process" if workers > 1 else "serial")
        work = partial(_write_part, root=root, plan=Plan(seed, scale))
        counts = dict(zip(PARTS, map_items(work, PARTS, runtime), strict=True))
        _mark(root, {"finished": True, "counts": counts, **drawn_by})
    return ToySummary(counts)


def _program() -> str:
    """Digest what draws the world, so that another version of it draws anew."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _finished(root: Path, drawn_by: dict[str, object]) -> dict[str, dict[str, int]] | None:
    """Return the counts of the world that is there, if it is the one that is asked for."""
    try:
        mark = json.loads((root / _MARKER).read_bytes())
    except (OSError, ValueError):
        return None
    same = mark.get("finished") and all(mark.get(k) == v for k, v in drawn_by.items())
    whole = same and all((root / name).is_dir() for name in PARTS)
    counts: dict[str, dict[str, int]] | None = mark["counts"] if whole else None
    return counts


def _write_part(name: str, root: Path, plan: Plan) -> dict[str, int]:
    """Write one folder beside its place, then put it there whole."""
    staging = root / f"{name}.tmp"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    counts = PARTS[name](staging, plan)
    shutil.rmtree(root / name, ignore_errors=True)
    staging.replace(root / name)
    return counts


def _claim(root: Path) -> None:
    """Refuse to replace folders that are not a toy world's."""
    if not (root / _MARKER).exists():
        for name in PARTS:
            if (root / name).exists():
                raise DataError(
                    str(root), "an empty folder or an earlier toy world",
                    f"a folder {name}/ that no toy world wrote", "Choose another folder.",
                )  # fmt: skip
    root.mkdir(parents=True, exist_ok=True)


def _mark(root: Path, content: dict[str, object]) -> None:
    write_json(root / _MARKER, content)
