"""VGGSound in its official layout: a csv without header, and 10-s clips at 16 kHz.

``vggsound.csv`` (video id, start second, label, split) and ``audio/<id>_<start:06d>.{wav,flac}``.
As in reality: labels with commas, rows of labels that nobody asks for and rows without sound, one
video with two clips, a clip of 3 s, a silent one, and videos that AVSBench tests on.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from avsynth.core.hashing import generator
from avsynth.formats.waveform import SAMPLE_RATE_HZ
from avsynth.toy.categories import CAST, ROLES, Role
from avsynth.toy.plan import Plan
from avsynth.toy.seeding import video_id
from avsynth.toy.sounds import record

MISSING, SHORT, SILENT = ("cat", 2), ("dog", 2), ("bird", 2)
"""The clips (category, number) that are not there, last 3 s, hold nothing but zeros."""
LEAKED = 1
"""The number of the clip whose video is also the first test video of its S4 class."""
_TWICE = 4  # this clip comes from the video of the clip before it
_FOREIGN = (
    "people marching",
    "female speech, woman speaking",
    "car engine knocking",
    "playing drum kit",
)


@dataclass(frozen=True, slots=True)
class _Row:
    video: str
    start_s: int
    label: str
    split: str
    category: str
    number: int

    @property
    def stem(self) -> str:
        return f"{self.video}_{self.start_s:06d}"


def write_vggsound(folder: Path, plan: Plan) -> dict[str, int]:
    """Write the csv and the clips; return how many rows and clips there are."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    sounding = [role for role in CAST if role.vggsound]
    rows = [_row(role, n, plan.seed) for role in sounding for n in range(plan.count(14, 5))]
    clips = sum(_record_one(row, folder, plan.seed) for row in rows)
    listed = [(row.video, row.start_s, row.label, row.split) for row in rows]
    for n in range(plan.count(24, 4)):
        label = _FOREIGN[n % len(_FOREIGN)]
        listed.append((video_id(plan.seed, "foreign", n), 10 * n, label, "train"))
    with (folder / "vggsound.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(sorted(listed))
    return {"rows": len(listed), "clips": clips}


def _row(role: Role, number: int, seed: int) -> _Row:
    source = number - 1 if number == _TWICE else number
    video = video_id(seed, "vggsound", role.name, source)
    if number == LEAKED and role.s4:
        video = video_id(seed, "s4", role.name, "test", 0)
    start = 10 * int(generator(seed, "start", role.name, number).integers(0, 40))
    return _Row(
        video=video,
        start_s=start + 400 if number == _TWICE else start,
        label=role.vggsound[number % len(role.vggsound)],
        split="test" if number % 5 == 0 else "train",
        category=role.name,
        number=number,
    )


def _record_one(row: _Row, folder: Path, seed: int) -> int:
    """Write one clip; return how many were written."""
    which = (row.category, row.number)
    if which == MISSING:
        return 0
    rng = generator(seed, "clip", *which)
    sound = record(ROLES[row.category].name, rng, 3.0 if which == SHORT else 10.0)
    if which == SILENT:
        sound = np.zeros_like(sound)
    suffix = "wav" if row.number % 16 == 0 else "flac"
    path = folder / "audio" / f"{row.stem}.{suffix}"
    soundfile.write(path, sound, SAMPLE_RATE_HZ, subtype="PCM_16")
    return 1
