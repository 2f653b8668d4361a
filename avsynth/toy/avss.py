"""AVSBench-semantic (AVSS) in its official layout, with the V3 lists.

``metadata.csv``, ``label2idx.json`` (71 names), ``{v1s,v1m,v2}/<uid>/`` with ``frames/0.jpg...``,
``labels_rgb/``, ``labels_semantic/`` and ``audio.wav``. Frames keep their own size; v2 has ten,
the others five; of a v1s training clip only frame 0 is labelled. A v2 clip may sound from off the
screen and a v1m clip from the background: nothing of them is labelled.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsynth.core.hashing import generator
from avsynth.toy.categories import CAST, ROLES
from avsynth.toy.clips import Film, Script, shoot, write_wav
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
_SEEN = tuple(r.name for r in CAST if r.avss and not r.unseen and r.name != "bus")  # no bus in V2
_FEW_SHOT = ("alarm_clock", "donkey", "helicopter")
_UNSEEN_ONLY = ("ambulance", "squirrel")
"""Held back from seen, and too rare for the few-shot lists: those cover fewer categories."""


@dataclass(frozen=True, slots=True)
class SemanticClip:
    """One row of ``metadata.csv``."""

    label: str
    number: int
    split: str
    video: str
    start_s: int
    heard: tuple[str, ...]
    offscreen: bool = False

    @property
    def uid(self) -> str:
        """The folder's name: video and milliseconds; a v1m video is named without them."""
        if self.label == "v1m":
            return self.video
        return f"{self.video}_{self.start_s * 1000}_{(self.start_s + SECONDS[self.label]) * 1000}"

    @property
    def a_obj(self) -> str:
        """The sounding classes, joined by underscores."""
        if self.offscreen:
            return "off-the-screen" if self.label == "v2" else "background"
        return "_".join(ROLES[name].avss for name in self.heard)

    @property
    def unseen(self) -> bool:
        """Whether V3 holds it back."""
        return any(ROLES[name].unseen for name in self.heard)

    def row(self) -> dict[str, str]:
        """Return the row of ``metadata.csv``."""
        values = (
            self.video, self.uid, str(self.start_s // 60), str(self.start_s % 60), self.a_obj,
            self.split, self.label,
        )  # fmt: skip
        return dict(zip(COLUMNS, values, strict=True))


def write_avss(folder: Path, plan: Plan) -> dict[str, int]:
    """Write the clips and lists; return how many clips each subset and V3 list has."""
    clips = semantic_clips(plan)
    for clip in clips:
        _film_one(clip, folder, plan.seed)
    rows = [clip.row() for clip in clips]
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["uid"]))
    index = {name: number for number, name in enumerate(LABELS)}
    (folder / "label2idx.json").write_text(json.dumps(index) + "\n", encoding="utf-8")
    unseen = {clip.uid: clip.heard[0] for clip in clips if clip.unseen}
    few_shot = {uid: name for uid, name in unseen.items() if name in _FEW_SHOT}
    lists = write_v3(folder / "v3", rows, set(unseen), few_shot)
    counts = {label: sum(clip.label == label for clip in clips) for label in SECONDS}
    return counts | lists


def semantic_clips(plan: Plan) -> list[SemanticClip]:
    """List the clips of the three subsets."""
    heard: list[tuple[str, ...]] = [(name,) for name in (*_SEEN[:3], *_SEEN[:3])]
    clips = _subset(plan, "v1s", heard, 0)
    heard = [(_SEEN[n % len(_SEEN)], _SEEN[(n + 3) % len(_SEEN)]) for n in range(6)]
    clips += _subset(plan, "v1m", heard, 1)
    heard = []
    for number in range(plan.count(20, 8)):
        first, second = _SEEN[number % len(_SEEN)], _SEEN[(number + 4) % len(_SEEN)]
        heard.append((first, second) if number % 3 == 2 else (first,))
    heard += [(name,) for name in _FEW_SHOT for _ in range(plan.count(6, 3))]
    heard += [(name,) for name in _UNSEEN_ONLY for _ in range(plan.count(2, 1))]
    return clips + _subset(plan, "v2", heard, 1)


def _subset(
    plan: Plan, label: str, heard: list[tuple[str, ...]], offscreen: int
) -> list[SemanticClip]:
    """Give each cast a video and a split (six in ten train), the first ``offscreen`` no picture."""
    splits = ("train", "test", "train", "val", "train", "train", "test", "train", "train", "test")
    return [
        SemanticClip(
            label, number, splits[number % 10],
            video_id(plan.seed, label, number),
            int(generator(plan.seed, "avss start", label, number).integers(0, 300)),
            cast, number < offscreen,
        )
        for number, cast in enumerate(heard)
    ]  # fmt: skip


def _film_one(clip: SemanticClip, folder: Path, seed: int) -> None:
    rng = generator(seed, "avss film", clip.label, clip.uid)
    others = [n for n in (*_SEEN, *_FEW_SHOT) if n not in clip.heard and not ROLES[n].unseen]
    silent = rng.choice(others, int(rng.integers(1, 3)), replace=False).tolist()
    shown = silent if clip.offscreen else [*clip.heard, *silent]
    gates = np.ones((len(clip.heard), SECONDS[clip.label]), bool)
    if len(clip.heard) > 1:
        gates[1, : rng.integers(1, gates.shape[1])] = False
    height, width = _SIZES[int(rng.integers(len(_SIZES)))]
    script = Script(tuple(rng.permutation(shown).tolist()), clip.heard, gates)
    film = shoot(script, height, width, rng)
    only_first = clip.label == "v1s" and clip.split == "train"
    _write_clip(folder / clip.label / clip.uid, film, 1 if only_first else len(film.frames))


def _write_clip(folder: Path, film: Film, labelled: int) -> None:
    for name in ("frames", "labels_rgb", "labels_semantic"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    palette = voc_palette()
    for number, (pixels, masks) in enumerate(zip(film.frames, film.masks, strict=True)):
        frame = Image.fromarray(pixels)
        frame.save(folder / "frames" / f"{number}.jpg", quality=_JPEG_QUALITY)
        if number < labelled:
            index = np.zeros(pixels.shape[:2], np.uint8)
            for name, mask in masks.items():
                index[mask] = LABELS.index(ROLES[name].avss)
            Image.fromarray(palette[index]).save(folder / "labels_rgb" / f"{number}.png")
            Image.fromarray(index).save(folder / "labels_semantic" / f"{number}.png")
    write_wav(folder / "audio.wav", film.sound)


def voc_palette() -> NDArray[np.uint8]:
    """Return the colours of PASCAL VOC, uint8 ``[71, 3]``.

    Bits 0, 1, 2 of the index go to the highest free bit of red, green, blue; then the next three.
    """
    index = np.arange(len(LABELS))
    colours = np.zeros((len(LABELS), 3), np.uint8)
    for turn in range(3):
        for channel in range(3):
            bit = (index >> (3 * turn + channel)) & 1
            colours[:, channel] |= (bit << (7 - turn)).astype(np.uint8)
    return colours
