"""AVSBench-semantic (AVSS) in its official layout, with the V3 lists.

``metadata.csv``, ``label2idx.json`` (71 names), ``{v1s,v1m,v2}/<uid>/`` with ``frames/0.jpg...``,
``labels_rgb/``, ``labels_semantic/`` and ``audio.wav``. Frames have different sizes. A v2 clip has
ten frames, the others five. Only frame 0 of a v1s training clip is labelled. The sounding object
can be off-screen in a v2 clip and in the background in a v1m clip; then nothing is labelled.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsynth.core.hashing import generator
from avsynth.toy.categories import CATEGORIES, CATEGORY_BY_NAME
from avsynth.toy.clips import Clip, ClipSpec, render_clip, write_wav
from avsynth.toy.plan import Plan
from avsynth.toy.seeding import video_id
from avsynth.toy.v3 import write_v3

LABELS = (
    "background", "accordion", "airplane", "axe", "baby", "bassoon", "bell", "bird", "boat",
    "boy", "bus", "car", "cat", "cello", "clarinet", "clipper", "clock", "dog", "donkey",
    "drum", "duck", "elephant", "emergency-car", "erhu", "flute", "frying-food", "girl",
    "goose", "guitar", "gun", "guzheng", "hair-dryer", "handpan", "harmonica", "harp",
    "helicopter", "hen", "horse", "keyboard", "leopard", "lion", "man", "marimba",
    "missile-rocket", "motorcycle", "mower", "parrot", "piano", "pig", "pipa", "saw",
    "saxophone", "sheep", "sitar", "sorna", "squirrel", "tabla", "tank", "tiger", "tractor",
    "train", "trombone", "truck", "trumpet", "tuba", "ukulele", "utv", "vacuum-cleaner",
    "violin", "wolf", "woman",
)  # fmt: skip
"""The 71 names in the order of their index."""
COLUMNS = ("vid", "uid", "s_min", "s_sec", "a_obj", "split", "label")
SECONDS = {"v1s": 5, "v1m": 5, "v2": 10}
_SIZES = ((180, 240), (160, 256), (240, 180), (200, 200))
_JPEG_QUALITY = 85
_SEEN = tuple(
    r.name for r in CATEGORIES if r.avss and not r.unseen and r.name != "bus"
)  # no bus in V2
_FEW_SHOT = ("alarm_clock", "donkey", "helicopter")
_UNSEEN_ONLY = ("ambulance", "squirrel")
"""Unseen categories that are too rare for the few-shot lists, which cover fewer categories."""


@dataclass(frozen=True, slots=True)
class SemanticClip:
    """One row of ``metadata.csv``."""

    label: str
    number: int
    split: str
    video: str
    start_s: int
    sounding: tuple[str, ...]
    offscreen: bool = False

    @property
    def uid(self) -> str:
        """The folder's name: video, start and end in milliseconds; of a v1m clip the video only."""
        if self.label == "v1m":
            return self.video
        return f"{self.video}_{self.start_s * 1000}_{(self.start_s + SECONDS[self.label]) * 1000}"

    @property
    def a_obj(self) -> str:
        """The sounding classes, joined by underscores."""
        if self.offscreen:
            return "off-the-screen" if self.label == "v2" else "background"
        return "_".join(CATEGORY_BY_NAME[name].avss for name in self.sounding)

    @property
    def unseen(self) -> bool:
        """Whether it belongs to an unseen category of V3."""
        return any(CATEGORY_BY_NAME[name].unseen for name in self.sounding)

    def row(self) -> dict[str, str]:
        """Return the row of ``metadata.csv``."""
        values = (
            self.video, self.uid, str(self.start_s // 60), str(self.start_s % 60), self.a_obj,
            self.split, self.label,
        )  # fmt: skip
        return dict(zip(COLUMNS, values, strict=True))


def write_avss(folder: Path, plan: Plan) -> dict[str, int]:
    """Write the clips and lists; return the number of clips of each subset and V3 list."""
    clips = semantic_clips(plan)
    for clip in clips:
        _render_and_write(clip, folder, plan.seed)
    rows = [clip.row() for clip in clips]
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["uid"]))
    index = {name: number for number, name in enumerate(LABELS)}
    (folder / "label2idx.json").write_text(json.dumps(index) + "\n", encoding="utf-8")
    unseen = {clip.uid: clip.sounding[0] for clip in clips if clip.unseen}
    few_shot = {uid: name for uid, name in unseen.items() if name in _FEW_SHOT}
    lists = write_v3(folder / "v3", rows, set(unseen), few_shot)
    counts = {label: sum(clip.label == label for clip in clips) for label in SECONDS}
    return counts | lists


def semantic_clips(plan: Plan) -> list[SemanticClip]:
    """List the clips of the three subsets."""
    sounding: list[tuple[str, ...]] = [(name,) for name in (*_SEEN[:3], *_SEEN[:3])]
    clips = _subset(plan, "v1s", sounding, 0)
    sounding = [(_SEEN[n % len(_SEEN)], _SEEN[(n + 3) % len(_SEEN)]) for n in range(6)]
    clips += _subset(plan, "v1m", sounding, 1)
    sounding = []
    for number in range(plan.count(20, 8)):
        first, second = _SEEN[number % len(_SEEN)], _SEEN[(number + 4) % len(_SEEN)]
        sounding.append((first, second) if number % 3 == 2 else (first,))
    sounding += [(name,) for name in _FEW_SHOT for _ in range(plan.count(6, 3))]
    sounding += [(name,) for name in _UNSEEN_ONLY for _ in range(plan.count(2, 1))]
    return clips + _subset(plan, "v2", sounding, 1)


def _subset(
    plan: Plan, label: str, sounding: list[tuple[str, ...]], offscreen: int
) -> list[SemanticClip]:
    """Build a clip per tuple of sounding categories, with a video id and a split.

    Six of ten clips are for training. The sounding objects of the first ``offscreen`` clips are
    not visible.
    """
    splits = ("train", "test", "train", "val", "train", "train", "test", "train", "train", "test")
    return [
        SemanticClip(
            label, number, splits[number % 10],
            video_id(plan.seed, label, number),
            int(generator(plan.seed, "avss start", label, number).integers(0, 300)),
            names, number < offscreen,
        )
        for number, names in enumerate(sounding)
    ]  # fmt: skip


def _render_and_write(clip: SemanticClip, folder: Path, seed: int) -> None:
    rng = generator(seed, "avss film", clip.label, clip.uid)
    others = [
        n for n in (*_SEEN, *_FEW_SHOT) if n not in clip.sounding and not CATEGORY_BY_NAME[n].unseen
    ]
    silent = rng.choice(others, int(rng.integers(1, 3)), replace=False).tolist()
    visible = silent if clip.offscreen else [*clip.sounding, *silent]
    gates = np.ones((len(clip.sounding), SECONDS[clip.label]), bool)
    if len(clip.sounding) > 1:
        gates[1, : rng.integers(1, gates.shape[1])] = False
    height, width = _SIZES[int(rng.integers(len(_SIZES)))]
    spec = ClipSpec(tuple(rng.permutation(visible).tolist()), clip.sounding, gates)
    rendered = render_clip(spec, height, width, rng)
    only_first = clip.label == "v1s" and clip.split == "train"
    _write_clip(folder / clip.label / clip.uid, rendered, 1 if only_first else len(rendered.frames))


def _write_clip(folder: Path, rendered: Clip, labelled: int) -> None:
    for name in ("frames", "labels_rgb", "labels_semantic"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    palette = voc_palette()
    for number, (pixels, masks) in enumerate(zip(rendered.frames, rendered.masks, strict=True)):
        frame = Image.fromarray(pixels)
        frame.save(folder / "frames" / f"{number}.jpg", quality=_JPEG_QUALITY)
        if number < labelled:
            index = np.zeros(pixels.shape[:2], np.uint8)
            for name, mask in masks.items():
                index[mask] = LABELS.index(CATEGORY_BY_NAME[name].avss)
            Image.fromarray(palette[index]).save(folder / "labels_rgb" / f"{number}.png")
            Image.fromarray(index).save(folder / "labels_semantic" / f"{number}.png")
    write_wav(folder / "audio.wav", rendered.audio)


def voc_palette() -> NDArray[np.uint8]:
    """Return the colours of PASCAL VOC, uint8 ``[71, 3]``, RGB.

    Bits 0, 1 and 2 of the index set the highest bit of red, green and blue; bits 3, 4 and 5 set
    the next lower bit, and so on.
    """
    index = np.arange(len(LABELS))
    colours = np.zeros((len(LABELS), 3), np.uint8)
    for turn in range(3):
        for channel in range(3):
            bit = (index >> (3 * turn + channel)) & 1
            colours[:, channel] |= (bit << (7 - turn)).astype(np.uint8)
    return colours
