"""The AVSBench-semantic folder, the source of the clips of V2 and V3.

Paper: J. Zhou et al., "Audio-Visual Segmentation with Semantics", IJCV 2024.
Where: https://github.com/OpenNLPLab/AVSBench, on request from the authors. Licence: research only.

Layout below ``root``::

    metadata.csv                          vid,uid,s_min,s_sec,a_obj,split,label: 11,356 rows
    <label>/<uid>/frames/{0..}.jpg        label: v1s, v1m (5 frames), v2 (10); original resolution
    <label>/<uid>/labels_rgb/{0..}.png    colours of the PASCAL VOC palette; black is background
    <label>/<uid>/audio.wav

Quirks:

* ``a_obj`` joins categories by ``_``; a category of two words has ``-``. It may be
  ``off-the-screen``: the source of the sound is not in the image.
* The darkest colour of the palette has a grey value of 7, so every pixel that is not black is
  foreground.
* There are no log-mel files. Log-mels are computed from audio.wav, one per 0.96 s, as the published
  features are.
"""

from pathlib import Path

from avsynth.benchmarks.base import Clip
from avsynth.benchmarks.csv_lists import check_file_name, check_unique, read_rows
from avsynth.core.lists import NamedRow, fold
from avsynth.runtime.errors import DataError

PAPER = "Zhou et al., Audio-Visual Segmentation with Semantics, IJCV 2024"
URL = "https://github.com/OpenNLPLab/AVSBench"
LICENCE = "AVSBench-semantic, research only"
FRAMES = {"v1s": 5, "v1m": 5, "v2": 10}
COLUMNS = ("uid", "a_obj", "split", "label")


def read_metadata(root: Path) -> dict[str, NamedRow]:
    """Read metadata.csv: uid -> row.

    Raises:
        DataError: the file is absent or damaged, or contains an invalid uid or label.
    """
    path = root / "metadata.csv"
    rows = read_rows(path, COLUMNS)
    for row in rows:
        check_file_name(path, row["uid"])
        if fold(row["label"]) not in FRAMES:
            where, expected = f"{path}:{row.line}", f"a label of {', '.join(FRAMES)}"
            raise DataError(where, expected, repr(row["label"]), "Correct the row's label.")
        row.cells["label"] = fold(row["label"])
    check_unique(path, rows, "uid")
    return {row["uid"]: row for row in rows}


def make_clip(root: Path, row: NamedRow, dataset: str, version: str, split: str) -> Clip:
    """Build the clip of one row of metadata.csv, with all of its frames."""
    folder = root / row["label"] / row["uid"]
    numbers = range(FRAMES[row["label"]])
    return Clip(
        dataset=dataset,
        version=version,
        licence=LICENCE,
        split=split,
        clip_key=row["uid"],
        category=row["a_obj"],
        images=tuple(folder / "frames" / f"{number}.jpg" for number in numbers),
        masks=tuple(folder / "labels_rgb" / f"{number}.png" for number in numbers),
        audio=folder / "audio.wav",
    )
