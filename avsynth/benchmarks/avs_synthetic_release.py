"""AVS-Synthetic as its authors give it out, or as `avsynth export avs-synthetic` writes it.

Paper: J. Liu et al., "Annotation-free Audio-Visual Segmentation", WACV 2024, section 3.2.
Where: https://zenodo.org/record/8125822. Licence: that of every source picture (LVIS/COCO, Open
Images); every sound is its uploader's (VGGSound).

====================================  ==============================================================
below the root                        what it holds
====================================  ==============================================================
``annotations.csv``                   nine columns, read by position: 0 inst_id, 1 img_id,
                                      4 cls_name, 5 cls_id, 6 dataset, 8 audio_name; and one that is
                                      found by its name, split: train, validate, test
``category_for_vggsound_audios.pkl``  cls_id to the names of its clips
``images/<img_id>.jpg``               pictures; ids are strings, zeros in front of them count
``masks/<inst_id>.png``               one instance each, PIL mode ``1``
``audios/<audio_name>.wav``           16 kHz, some 3 s; log-mel example 1 (0.96-1.92 s) is heard
``credits.jsonl``                     in our exports alone: ids, licences and links of each instance
====================================  ==============================================================

Quirks: for training, the authors' loader ignores audio_name and draws any clip of the category at
each access; here a training row without a name gets one of the pool, drawn by its id. A picture's
file is called .jpg whatever it is. Category names are LVIS's; ours are given where they differ.
"""

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.benchmarks.clip_pools import read_clip_pools
from avsynth.benchmarks.frames import bilevel, cut_second, make_sample, read_mask, read_picture
from avsynth.benchmarks.synthetic import PAPER_SAMPLES
from avsynth.core.names import safe_name
from avsynth.core.records import Sample
from avsynth.formats.logmel import PATCH_SAMPLES, logmel
from avsynth.formats.waveform import SAMPLE_RATE_HZ, quantise, read_audio
from avsynth.runtime.errors import DataError
from avsynth.sources.categories import load_vocabulary

NAME = "avs-synthetic-release"
ANNOTATIONS, CREDITS = "annotations.csv", "credits.jsonl"
POOLS = "category_for_vggsound_audios.pkl"
SPLIT_NAMES = {"train": "train", "val": "validate", "test": "test"}
HEARD_FROM = 15_360
"""First sample of log-mel example 1, the one that is heard: 96 hops of 160."""
_POSITIONS = {"inst_id": 0, "img_id": 1, "cls_name": 4, "cls_id": 5, "dataset": 6, "audio_name": 8}
_NUM_COLUMNS = 9
_OUR_KEY = re.compile(r"[A-Za-z0-9_-]{1,48}-[0-9a-f]{10}")
_FIX = "Get the release again, or mend the file."


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of annotations.csv."""

    where: str
    inst_id: str
    img_id: str
    cls_name: str
    cls_id: str
    dataset: str
    audio_name: str
    split: str


def list_clips(root: Path, split: str) -> list[Clip]:
    """List the instances of a split, sorted by id.

    Raises:
        DataError: annotations.csv or the pools are absent or of another kind, an id is no plain
            file name, or an instance stands twice.
    """
    clips: dict[str, Clip] = {}
    for row in _read_annotations(root / ANNOTATIONS):
        if row.split != SPLIT_NAMES[split]:
            continue
        if row.inst_id in clips:
            raise DataError(row.where, "every inst_id once", f"{row.inst_id!r} again", _FIX)
        clips[row.inst_id] = Clip(
            dataset=NAME,
            version="zenodo 8125822",
            licence=f"picture: {row.dataset}'s; sound: its uploader's",
            split=split,
            clip_key=row.inst_id,
            category=_our_names().get(row.cls_name, row.cls_name),
            images=(root / "images" / f"{_plain(row, row.img_id)}.jpg",),
            masks=(root / "masks" / f"{_plain(row, row.inst_id)}.png",),
            audio=root / "audios" / f"{_plain(row, _audio_name(root, row))}.wav",
        )
    return [clips[inst_id] for inst_id in sorted(clips)]


def read_clip(clip: Clip) -> Iterator[Sample]:
    """Read one instance: the picture's bytes, its mask, and the second that is heard.

    Raises:
        DataError: a file is damaged, the mask has another size, or the sound ends too early.
    """
    image, extension, size = read_picture(clip.images[0])
    mask = read_mask(bilevel, clip.masks[0], size)
    waveform, _ = read_audio(clip.audio)
    if len(waveform) < HEARD_FROM + PATCH_SAMPLES:
        found = f"{len(waveform) / SAMPLE_RATE_HZ:.3f} s"
        raise DataError(str(clip.audio), "at least 1.935 s of sound", found, _FIX)
    second = quantise(cut_second(waveform[HEARD_FROM:], 0))
    sample = make_sample(clip, 0, (image, extension), mask, second, logmel(second)[0], second=1)
    known = _credits_of(clip)
    key = clip.clip_key if known and _OUR_KEY.fullmatch(clip.clip_key) else sample.key
    ids = {"image_id": _image_id(clip.images[0].stem), "clip_id": clip.audio.stem}
    sure = {"dataset": NAME, "clip_key": key, "category": clip.category, "split": clip.split}
    yield replace(sample, key=key, meta={**sample.meta, **ids, **known, **sure})


def _read_annotations(path: Path) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *lines = csv.reader(file)
    except FileNotFoundError:
        raise DataError(str(path), "the release's annotations", "no such file", _FIX) from None
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(str(path), "a csv with a header", str(error), _FIX) from None
    if "split" not in header:
        raise DataError(str(path), "a column 'split'", ", ".join(header), _FIX)
    named = set(_POSITIONS) <= set(header)
    if not named and len(header) != _NUM_COLUMNS:
        expected = f"{_NUM_COLUMNS} columns, or the names {', '.join(_POSITIONS)}"
        raise DataError(str(path), expected, ", ".join(header), _FIX)
    places = {name: header.index(name) for name in _POSITIONS} if named else dict(_POSITIONS)
    places["split"] = header.index("split")
    rows = []
    for number, cells in enumerate(lines, start=2):
        where = f"{path}:{number}"
        if len(cells) != len(header):
            raise DataError(where, f"{len(header)} fields", str(len(cells)), _FIX)
        row = _Row(where, **{name: cells[place].strip() for name, place in places.items()})
        if row.split not in SPLIT_NAMES.values():
            raise DataError(where, "split train, validate or test", repr(row.split), _FIX)
        rows.append(row)
    return rows


def _plain(row: _Row, name: str) -> str:
    """Let a name pass that stays in its folder."""
    return safe_name(name, row.where, _FIX)


def _audio_name(root: Path, row: _Row) -> str:
    """Take the row's own clip; a training row without one draws from its category's pool."""
    if row.audio_name or row.split != "train":
        return row.audio_name
    path = root / POOLS
    pools = _read_pools(path, path.stat().st_mtime_ns if path.is_file() else 0)
    pool = sorted(pools.get(int(row.cls_id), [])) if row.cls_id.isdecimal() else []
    if not pool:
        raise DataError(
            row.where, "an audio_name, or clips of its category", f"cls_id {row.cls_id!r}", _FIX
        )
    digest = hashlib.sha256(row.inst_id.encode()).digest()
    return pool[int.from_bytes(digest[:8], "big") % len(pool)]


@cache
def _read_pools(path: Path, changed_ns: int) -> dict[int, list[str]]:
    """Read the pools once for each state of the file."""
    del changed_ns
    return read_clip_pools(path)


def _credits_of(clip: Clip) -> dict[str, Any]:
    """Look up what our export noted of an instance; empty in the authors' release."""
    path = clip.images[0].parent.parent / CREDITS
    if not path.is_file():
        return {}
    return _read_credits(path, path.stat().st_mtime_ns).get(clip.clip_key, {})


@cache
def _read_credits(path: Path, changed_ns: int) -> dict[str, dict[str, Any]]:
    """Read inst_id to meta once for each state of the file."""
    del changed_ns
    try:
        with path.open(encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        return {line["inst_id"]: dict(line["meta"]) for line in lines}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            str(path), "one object of inst_id and meta a line", repr(error), _FIX
        ) from None


@cache
def _our_names() -> dict[str, str]:
    vocabulary = load_vocabulary()
    return {**vocabulary.label_to_category("lvis"), **{n: n for n in vocabulary.names}}


def _image_id(img_id: str) -> str:
    """Give a picture the id that it has in every source: COCO's are 12 digits."""
    return f"coco/{img_id}" if re.fullmatch(r"\d{12}", img_id) else f"openimages/{img_id}"


BENCHMARK = Benchmark(
    name=NAME,
    title="AVS-Synthetic (the authors' release)",
    version="zenodo 8125822",
    paper="Liu et al., Annotation-free Audio-Visual Segmentation, WACV 2024",
    url="https://zenodo.org/record/8125822",
    licence="of each source picture and sound",
    clips=PAPER_SAMPLES,
    list_clips=list_clips,
    read_clip=read_clip,
)
iter_samples = BENCHMARK.iter_samples
