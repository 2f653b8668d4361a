"""AVSBench S4 and MS3 in their official layouts.

``Single-source/s4_meta_data.csv`` and ``s4_data/``: 5 frames of one sounding object among silent
ones; of a training clip only the first frame has a mask. ``Multi-sources/ms3_meta_data.csv`` and
``ms3_data/``: two objects that sound in turn, together or not at all, so some masks are empty; the
frames' names contain ``.mp4_``. Frames are 224 x 224 PNGs, masks 1-bit PNGs. ``audio_log_mel``
contains pickled tensors ``[5, 1, 96, 64]`` with ``requires_grad`` set, as published. Without torch
only these pickles are omitted, and counted as 0.
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
from avsynth.toy.categories import CATEGORY_BY_NAME, S4_CATEGORIES
from avsynth.toy.clips import Clip, ClipSpec, render_clip, union, write_wav
from avsynth.toy.plan import Plan
from avsynth.toy.seeding import video_id
from avsynth.toy.sounds import Wave

_SIDE_PX = 224
_SECONDS = 5
_PNG_LEVEL = 3


@dataclass(frozen=True, slots=True)
class S4Clip:
    """One S4 clip."""

    split: str
    category: str
    number: int
    name: str
    start_s: int


@dataclass(frozen=True, slots=True)
class Ms3Clip:
    """One MS3 clip."""

    split: str
    number: int
    name: str


def write_avsbench(folder: Path, plan: Plan) -> dict[str, int]:
    """Write S4 and MS3; return the number of clips of each split, and of pickles."""
    s4, ms3 = s4_clips(plan), ms3_clips(plan)
    s4_root, ms3_root = folder / "Single-source", folder / "Multi-sources"
    pickles = sum(_write_s4_clip(clip, s4_root / "s4_data", plan.seed) for clip in s4)
    pickles += sum(_write_ms3_clip(clip, ms3_root / "ms3_data", plan.seed) for clip in ms3)
    rows: list[Sequence[object]] = [
        (c.name, c.start_s, CATEGORY_BY_NAME[c.category].s4, c.split) for c in s4
    ]
    _write_csv(s4_root / "s4_meta_data.csv", ("name", "start", "category", "split"), rows)
    rows = [(c.name, c.split) for c in ms3]
    _write_csv(ms3_root / "ms3_meta_data.csv", ("video_id", "split"), rows)
    found = {f"s4_{s}": sum(c.split == s for c in s4) for s in ("train", "val", "test")}
    found |= {f"ms3_{s}": sum(c.split == s for c in ms3) for s in ("train", "val", "test")}
    return found | {"log_mel_pickles": pickles}


def s4_clips(plan: Plan) -> list[S4Clip]:
    """List the S4 clips."""
    counts = (("train", plan.count(6, 2)), ("val", plan.count(1, 1)), ("test", plan.count(3, 1)))
    return [
        S4Clip(
            split, category, number,
            video_id(plan.seed, "s4", category, split, number),
            int(generator(plan.seed, "s4 start", category, split, number).integers(0, 7)),
        )
        for category in S4_CATEGORIES
        for split, count in counts
        for number in range(count)
    ]  # fmt: skip


def ms3_clips(plan: Plan) -> list[Ms3Clip]:
    """List the MS3 clips; some videos have two clips, with different suffixes."""
    counts = (("train", plan.count(18, 4)), ("val", plan.count(4, 2)), ("test", plan.count(8, 3)))
    clips = []
    for split, count in counts:
        for number in range(count):
            video = video_id(plan.seed, "ms3", split, number - number % 2)
            suffix = f"_{number % 2}" if number % 4 < 2 else ("" if number % 2 == 0 else "_36")
            clips.append(Ms3Clip(split, number, video + suffix))
    return clips


def _write_s4_clip(clip: S4Clip, folder: Path, seed: int) -> int:
    rng = generator(seed, "s4 film", clip.name)
    others = [name for name in S4_CATEGORIES if name != clip.category]
    visible = [clip.category, *rng.choice(others, int(rng.integers(1, 3)), replace=False).tolist()]
    spec = ClipSpec(
        tuple(rng.permutation(visible).tolist()), (clip.category,), np.ones((1, _SECONDS), bool)
    )
    rendered = render_clip(spec, _SIDE_PX, _SIDE_PX, rng)
    where = Path(clip.split) / CATEGORY_BY_NAME[clip.category].s4
    labelled = 1 if clip.split == "train" else _SECONDS
    frames = folder / "visual_frames" / where / clip.name
    masks = folder / "gt_masks" / where / clip.name
    _write_frames(rendered, [frames / f"{clip.name}_{n}.png" for n in range(1, _SECONDS + 1)])
    _write_masks(rendered, [masks / f"{clip.name}_{n}.png" for n in range(1, labelled + 1)])
    audio = write_wav(folder / "audio_wav" / where / f"{clip.name}.wav", rendered.audio)
    return _write_log_mel(folder / "audio_log_mel" / where / f"{clip.name}.pkl", audio)


def _write_ms3_clip(clip: Ms3Clip, folder: Path, seed: int) -> int:
    rng = generator(seed, "ms3 film", clip.name, clip.number)
    names = rng.choice(S4_CATEGORIES, int(rng.integers(2, 4)), replace=False).tolist()
    sounding = (names[0], names[1])
    gates = np.ones((2, _SECONDS), bool)
    gates[1, : rng.integers(0, 4)] = False  # the second object starts later
    if clip.number % 3 == 0:
        gates[:, rng.integers(0, _SECONDS)] = False  # a second in which nothing sounds
    spec = ClipSpec(tuple(rng.permutation(names).tolist()), sounding, gates)
    rendered = render_clip(spec, _SIDE_PX, _SIDE_PX, rng)
    numbers = range(1, _SECONDS + 1)
    frames = folder / "visual_frames" / clip.name
    masks = folder / "gt_masks" / clip.split / clip.name
    _write_frames(rendered, [frames / f"{clip.name}.mp4_{n}.png" for n in numbers])
    _write_masks(rendered, [masks / f"{clip.name}_{n}.png" for n in numbers])
    audio = write_wav(folder / "audio_wav" / clip.split / f"{clip.name}.wav", rendered.audio)
    return _write_log_mel(folder / "audio_log_mel" / clip.split / f"{clip.name}.pkl", audio)


def _write_frames(rendered: Clip, paths: list[Path]) -> None:
    for path, pixels in zip(paths, rendered.frames, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, compress_level=_PNG_LEVEL)


def _write_masks(rendered: Clip, paths: list[Path]) -> None:
    for path, masks, pixels in zip(paths, rendered.masks, rendered.frames, strict=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(union(masks, pixels)).save(path, compress_level=_PNG_LEVEL)


def _write_log_mel(path: Path, audio: Wave) -> int:
    """Write the pickle and return 1; return 0 without torch."""
    try:
        import torch
    except ImportError:
        return 0
    buffer = io.BytesIO()  # torch.save to a path would store the path's name in the file
    torch.save(torch.from_numpy(logmel(audio)[:_SECONDS]).requires_grad_(), buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return 1


def _write_csv(path: Path, columns: Sequence[str], rows: list[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
