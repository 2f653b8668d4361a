"""VGGSound in its official layout: a csv without header, and 10-s clips at 16 kHz.

``vggsound.csv`` (video id, start second, label, split) and ``audio/<id>_<start:06d>.{wav,flac}``.
As in the real dataset: labels with commas, rows of labels outside the category table, rows without
an audio file, one video with two clips, a clip of 3 s, a silent clip, and videos of AVSBench's test
split.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from avsynth.core.hashing import generator
from avsynth.formats.waveform import SAMPLE_RATE_HZ
from avsynth.toy.categories import CATEGORIES, CATEGORY_BY_NAME, ToyCategory
from avsynth.toy.plan import Plan
from avsynth.toy.seeding import video_id
from avsynth.toy.sounds import synthesise

MISSING, SHORT, SILENT = ("cat", 2), ("dog", 2), ("bird", 2)
"""The clips (category, number) that are missing, that last 3 s, and that contain only zeros."""
LEAKED = 1
"""The number of the clip whose video is also the first test video of its S4 category."""
_SAME_VIDEO = 4  # this clip is from the video of the previous clip
_OTHER_LABELS = (
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
    """Write the csv and the clips; return the number of rows and clips."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    sounding = [category for category in CATEGORIES if category.vggsound]
    rows = [_row(category, n, plan.seed) for category in sounding for n in range(plan.count(14, 5))]
    clips = sum(_write_audio_file(row, folder, plan.seed) for row in rows)
    listed = [(row.video, row.start_s, row.label, row.split) for row in rows]
    for n in range(plan.count(24, 4)):
        label = _OTHER_LABELS[n % len(_OTHER_LABELS)]
        listed.append((video_id(plan.seed, "foreign", n), 10 * n, label, "train"))
    with (folder / "vggsound.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(sorted(listed))
    return {"rows": len(listed), "clips": clips}


def _row(category: ToyCategory, number: int, seed: int) -> _Row:
    source = number - 1 if number == _SAME_VIDEO else number
    video = video_id(seed, "vggsound", category.name, source)
    if number == LEAKED and category.s4:
        video = video_id(seed, "s4", category.name, "test", 0)
    start = 10 * int(generator(seed, "start", category.name, number).integers(0, 40))
    return _Row(
        video=video,
        start_s=start + 400 if number == _SAME_VIDEO else start,
        label=category.vggsound[number % len(category.vggsound)],
        split="test" if number % 5 == 0 else "train",
        category=category.name,
        number=number,
    )


def _write_audio_file(row: _Row, folder: Path, seed: int) -> int:
    """Write one clip; return the number of clips written, 0 or 1."""
    which = (row.category, row.number)
    if which == MISSING:
        return 0
    rng = generator(seed, "clip", *which)
    audio = synthesise(CATEGORY_BY_NAME[row.category].name, rng, 3.0 if which == SHORT else 10.0)
    if which == SILENT:
        audio = np.zeros_like(audio)
    suffix = "wav" if row.number % 16 == 0 else "flac"
    path = folder / "audio" / f"{row.stem}.{suffix}"
    soundfile.write(path, audio, SAMPLE_RATE_HZ, subtype="PCM_16")
    return 1
