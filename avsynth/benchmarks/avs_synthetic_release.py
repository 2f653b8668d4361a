"""AVS-Synthetic as published by its authors, or as written by `avsynth export avs-synthetic`.

Paper: J. Liu et al., "Annotation-free Audio-Visual Segmentation", WACV 2024, section 3.2.
Where: https://zenodo.org/record/8125822. Licence: that of every source image (LVIS/COCO, Open
Images); audio belongs to its uploader (VGGSound).

====================================  ==============================================================
path below the root                   content
====================================  ==============================================================
``annotations.csv``                   nine columns. Read by position: 0 inst_id, 1 img_id,
                                      4 cls_name, 5 cls_id, 6 dataset, 8 audio_name. Read by name:
                                      split (train, validate, test)
``category_for_vggsound_audios.pkl``  cls_id -> names of its audio clips
``images/<img_id>.jpg``               images; ids are strings, leading zeros are significant
``masks/<inst_id>.png``               one instance each, PIL mode ``1``
``audios/<audio_name>.wav``           16 kHz, about 3 s; log-mel example 1 (0.96-1.92 s) is used
``credits.jsonl``                     only in our exports: ids, licences and links per instance
====================================  ==============================================================

Quirks: in training, the authors' loader ignores audio_name and samples any clip of the category at
each access. Here a training row without an audio_name gets one clip of the pool, chosen by a hash
of its inst_id. Image files are named .jpg for every format. Category names are those of LVIS; they
are mapped to ours where the two differ.
"""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.benchmarks.clip_pools import read_clip_pools
from avsynth.benchmarks.frames import bilevel, cut_second, make_sample, read_image, read_mask
from avsynth.benchmarks.synthetic import PAPER_SAMPLES
from avsynth.core.hashing import order_key
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
USED_PATCH_START = 15_360
"""First audio sample of log-mel example 1, the one that is used: 96 hops of 160."""
_POSITIONS = {"inst_id": 0, "img_id": 1, "cls_name": 4, "cls_id": 5, "dataset": 6, "audio_name": 8}
_NUM_COLUMNS = 9
_OUR_KEY = re.compile(r"[A-Za-z0-9_-]{1,48}-[0-9a-f]{10}")
_FIX = "Download the release again, or fix the file."


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
        DataError: annotations.csv or the pools are absent or invalid, an id is not a plain file
            name, or an instance is listed twice.
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
            images=(root / "images" / f"{_file_name(row, row.img_id)}.jpg",),
            masks=(root / "masks" / f"{_file_name(row, row.inst_id)}.png",),
            audio=root / "audios" / f"{_file_name(row, _audio_name(root, row))}.wav",
        )
    return [clips[inst_id] for inst_id in sorted(clips)]


def read_clip(clip: Clip) -> Iterator[Sample]:
    """Read one instance: the image bytes, the mask, and the second of audio from log-mel example 1.

    Raises:
        DataError: a file is damaged, the mask has another size, or the audio is too short.
    """
    image, extension, size = read_image(clip.images[0])
    mask = read_mask(bilevel, clip.masks[0], size)
    waveform, _ = read_audio(clip.audio)
    if len(waveform) < USED_PATCH_START + PATCH_SAMPLES:
        found = f"{len(waveform) / SAMPLE_RATE_HZ:.3f} s"
        raise DataError(str(clip.audio), "at least 1.935 s of audio", found, _FIX)
    second = quantise(cut_second(waveform[USED_PATCH_START:], 0))
    sample = make_sample(clip, 0, (image, extension), mask, second, logmel(second)[0], second=1)
    credit = _credits_of(clip)
    key = clip.clip_key if credit and _OUR_KEY.fullmatch(clip.clip_key) else sample.key
    ids = {"image_id": _image_id(clip.images[0].stem), "clip_id": clip.audio.stem}
    fixed = {"dataset": NAME, "clip_key": key, "category": clip.category, "split": clip.split}
    yield replace(sample, key=key, meta={**sample.meta, **ids, **credit, **fixed})


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


def _file_name(row: _Row, name: str) -> str:
    """Return a name that may become part of a path: a plain, printable, unhidden file name."""
    return safe_name(name, row.where, _FIX)


def _audio_name(root: Path, row: _Row) -> str:
    """Return the row's audio name; a training row without one gets a clip of its pool."""
    if row.audio_name or row.split != "train":
        return row.audio_name
    path = root / POOLS
    pools = _read_pools(path, path.stat().st_mtime_ns if path.is_file() else 0)
    pool = sorted(pools.get(int(row.cls_id), [])) if row.cls_id.isdecimal() else []
    if not pool:
        raise DataError(
            row.where, "an audio_name, or clips of its category", f"cls_id {row.cls_id!r}", _FIX
        )
    return pool[int.from_bytes(order_key(row.inst_id)[:8], "big") % len(pool)]


@cache
def _read_pools(path: Path, changed_ns: int) -> dict[int, list[str]]:
    """Read the pools; cached until the file changes."""
    del changed_ns
    return read_clip_pools(path)


def _credits_of(clip: Clip) -> dict[str, Any]:
    """Return the ids, licences and links of an instance; empty in the authors' release."""
    path = clip.images[0].parent.parent / CREDITS
    if not path.is_file():
        return {}
    return _read_credits(path, path.stat().st_mtime_ns).get(clip.clip_key, {})


@cache
def _read_credits(path: Path, changed_ns: int) -> dict[str, dict[str, Any]]:
    """Read the credits: inst_id -> meta; cached until the file changes."""
    del changed_ns
    try:
        with path.open(encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        return {line["inst_id"]: dict(line["meta"]) for line in lines}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            str(path), "one object of inst_id and meta per line", repr(error), _FIX
        ) from None


@cache
def _our_names() -> dict[str, str]:
    vocabulary = load_vocabulary()
    return {**vocabulary.label_to_category("lvis"), **{n: n for n in vocabulary.names}}


def _image_id(img_id: str) -> str:
    """Return the image id used by the mask sources; COCO's ids have 12 digits."""
    return f"coco/{img_id}" if re.fullmatch(r"\d{12}", img_id) else f"openimages/{img_id}"


BENCHMARK = Benchmark(
    name=NAME,
    title="AVS-Synthetic (the authors' release)",
    version="zenodo 8125822",
    paper="Liu et al., Annotation-free Audio-Visual Segmentation, WACV 2024",
    url="https://zenodo.org/record/8125822",
    licence="of each source image and audio clip",
    clips=PAPER_SAMPLES,
    list_clips=list_clips,
    read_clip=read_clip,
)
iter_samples = BENCHMARK.iter_samples
