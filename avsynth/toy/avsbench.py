"""AVSBench S4 and MS3 in their official layouts.

``Single-source/s4_meta_data.csv`` and ``s4_data/``: 5 frames of one sounding thing among silent
ones; of a training clip only the first frame has a mask. ``Multi-sources/ms3_meta_data.csv`` and
``ms3_data/``: two things that sound in turn, together or not at all, so some masks are empty; the
frames' names hold ``.mp4_``. Frames are 224 x 224 PNGs, masks 1-bit PNGs, ``audio_log_mel`` holds
pickled tensors ``[5, 1, 96, 64]`` that still ask for a gradient. Without torch these pickles alone
are left out and counted as 0.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from avsynth.core.hashing import generator
from avsynth.formats.logmel import logmel
from avsynth.toy.categories import ROLES, S4_CAST
from avsynth.toy.clips import Film, Script, shoot, union, write_wav
from avsynth.toy.plan import Plan
from avsynth.toy.seeding import video_id
from avsynth.toy.sounds import Wave

_SIDE_PX = 224
_SECONDS = 5
_PNG_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Single:
    """One S4 clip."""

    split: str
    category: str
    number: int
    name: str
    start_s: int


@dataclass(frozen=True, slots=True)
class Multi:
    """One MS3 clip."""

    split: str
    number: int
    name: str


def write_avsbench(folder: Path, plan: Plan) -> dict[str, int]:
    """Write S4 and MS3; return how many clips each split has, and how many pickles there are."""
    singles, multis = single_clips(plan), multi_clips(plan)
    single, multi = folder / "Single-source", folder / "Multi-sources"
    pickles = sum(_film_single(clip, single / "s4_data", plan.seed) for clip in singles)
    pickles += sum(_film_multi(clip, multi / "ms3_data", plan.seed) for clip in multis)
    rows: list[Sequence[object]] = [
        (c.name, c.start_s, ROLES[c.category].s4, c.split) for c in singles
    ]
    _write_csv(single / "s4_meta_data.csv", ("name", "start", "category", "split"), rows)
    rows = [(c.name, c.split) for c in multis]
    _write_csv(multi / "ms3_meta_data.csv", ("video_id", "split"), rows)
    found = {f"s4_{s}": sum(c.split == s for c in singles) for s in ("train", "val", "test")}
    found |= {f"ms3_{s}": sum(c.split == s for c in multis) for s in ("train", "val", "test")}
    return found | {"log_mel_pickles": pickles}


def single_clips(plan: Plan) -> list[Single]:
    """List the S4 clips."""
    counts = (("train", plan.count(6, 2)), ("val", plan.count(1, 1)), ("test", plan.count(3, 1)))
    return [
        Single(
            split, category, number,
            video_id(plan.seed, "s4", category, split, number),
            int(generator(plan.seed, "s4 start", category, split, number).integers(0, 7)),
        )
        for category in S4_CAST
        for split, count in counts
        for number in range(count)
    ]  # fmt: skip


def multi_clips(plan: Plan) -> list[Multi]:
    """List the MS3 clips; some videos give two of them, told apart by a suffix."""
    counts = (("train", plan.count(18, 4)), ("val", plan.count(4, 2)), ("test", plan.count(8, 3)))
    clips = []
    for split, count in counts:
        for number in range(count):
            video = video_id(plan.seed, "ms3", split, number - number % 2)
            suffix = f"_{number % 2}" if number % 4 < 2 else ("" if number % 2 == 0 else "_36")
            clips.append(Multi(split, number, video + suffix))
    return clips


def _film_single(clip: Single, folder: Path, seed: int) -> int:
    rng = generator(seed, "s4 film", clip.name)
    others = [name for name in S4_CAST if name != clip.category]
    shown = [clip.category, *rng.choice(others, int(rng.integers(1, 3)), replace=False).tolist()]
    script = Script(
        tuple(rng.permutation(shown).tolist()), (clip.category,), np.ones((1, _SECONDS), bool)
    )
    film = shoot(script, _SIDE_PX, _SIDE_PX, rng)
    where = Path(clip.split) / ROLES[clip.category].s4
    labelled = 1 if clip.split == "train" else _SECONDS
    frames = folder / "visual_frames" / where / clip.name
    masks = folder / "gt_masks" / where / clip.name
    _write_frames(film, [frames / f"{clip.name}_{n}.png" for n in range(1, _SECONDS + 1)])
    _write_masks(film, [masks / f"{clip.name}_{n}.png" for n in range(1, labelled + 1)])
    sound = write_wav(folder / "audio_wav" / where / f"{clip.name}.wav", film.sound)
    return _write_log_mel(folder / "audio_log_mel" / where / f"{clip.name}.pkl", sound)


def _film_multi(clip: Multi, folder: Path, seed: int) -> int:
    rng = generator(seed, "ms3 film", clip.name, clip.number)
    names = rng.choice(S4_CAST, int(rng.integers(2, 4)), replace=False).tolist()
    heard = (names[0], names[1])
    gates = np.ones((2, _SECONDS), bool)
    gates[1, : rng.integers(0, 4)] = False  # the second joins later
    if clip.number % 3 == 0:
        gates[:, rng.integers(0, _SECONDS)] = False  # a second in which nothing sounds
    script = Script(tuple(rng.permutation(names).tolist()), heard, gates)
    film = shoot(script, _SIDE_PX, _SIDE_PX, rng)
    numbers = range(1, _SECONDS + 1)
    frames = folder / "visual_frames" / clip.name
    masks = folder / "gt_masks" / clip.split / clip.name
    _write_frames(film, [frames / f"{clip.name}.mp4_{n}.png" for n in numbers])
    _write_masks(film, [masks / f"{clip.name}_{n}.png" for n in numbers])
    sound = write_wav(folder / "audio_wav" / clip.split / f"{clip.name}.wav", film.sound)
    return _write_log_mel(folder / "audio_log_mel" / clip.split / f"{clip.name}.pkl", sound)


def _write_frames(film: Film, paths: list[Path]) -> None:
    for path, pixels in zip(paths, film.frames, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, compress_level=_PNG_LEVEL)


def _write_masks(film: Film, paths: list[Path]) -> None:
    for path, masks, pixels in zip(paths, film.masks, film.frames, strict=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(union(masks, pixels)).save(path, compress_level=_PNG_LEVEL)


def _write_log_mel(path: Path, sound: Wave) -> int:
    """Write the pickle; return 0 when torch is not there to do it."""
    try:
        import torch
    except ImportError:
        return 0
    buffer = io.BytesIO()  # through a buffer: torch writes a path's name into the file
    torch.save(torch.from_numpy(logmel(sound)[:_SECONDS]).requires_grad_(), buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return 1


def _write_csv(path: Path, columns: Sequence[str], rows: list[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
