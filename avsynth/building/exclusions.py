"""Lists of excluded items: evaluation videos of benchmarks, masks and clips that reviewers reject.

AVSBench's videos come from VGGSound, so a clip pool made from VGGSound contains the benchmark's own
audio unless these ids are excluded. `Excluded` is one row of the table that the stage
``exclusions`` writes and the stage ``match`` reads.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from avsynth.core.paths import expand_home
from avsynth.runtime.errors import ConfigError, DataError

_ID_COLUMNS = ("vid", "name", "video_id", "uid")
_TRAIN_SPLITS = frozenset({"train", "seen", "seen_train"})
_YOUTUBE_ID = re.compile(r"([A-Za-z0-9_-]{11})(?:_\d+)*")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """The videos that one list bans."""

    path: str
    found: bool
    videos: frozenset[str]


@dataclass(frozen=True, slots=True)
class Excluded:
    """One row of exclusions.csv: an id that may not be used, or a list that was searched for."""

    item: str
    """``video``, ``mask`` or ``clip``; ``list`` for a list of ``match.exclude_videos``."""
    source: str
    """The list that contains a video; the source of a mask or clip."""
    id: str
    """Empty for a list."""
    reason: str
    """For a list: ``found`` or ``absent``."""


def exclusion_rows(
    lists: Iterable[Exclusion], reviewed: Mapping[tuple[str, str, str], str]
) -> Iterator[Excluded]:
    """Yield the rows of exclusions.csv.

    Args:
        lists: the benchmarks' videos.
        reviewed: (``mask`` or ``clip``, source, id) -> why a reviewer excludes it.
    """
    by_path: dict[str, Exclusion] = {}
    for one in lists:
        same = by_path.get(one.path, one)  # Two patterns may find one file.
        by_path[one.path] = Exclusion(one.path, one.found, one.videos | same.videos)
    for path, one in by_path.items():
        yield Excluded("list", path, "", "found" if one.found else "absent")
        for video in one.videos:
            yield Excluded("video", path, video, "benchmark_video")
    for (item, source, name), reason in reviewed.items():
        yield Excluded(item, source, name, reason)


def split_exclusions(
    rows: pd.DataFrame,
) -> tuple[list[Exclusion], dict[tuple[str, str, str], str]]:
    """Return the lists and the reviewed items of exclusions.csv; inverts `exclusion_rows`."""
    videos = rows[rows["item"] == "video"].groupby("source")["id"].agg(frozenset).to_dict()
    listed = rows[rows["item"] == "list"]
    lists = [
        Exclusion(path, reason == "found", videos.get(path, frozenset()))
        for path, reason in zip(listed["source"], listed["reason"], strict=True)
    ]
    items = rows[rows["item"].isin(["mask", "clip"])]
    keys = zip(items["item"], items["source"], items["id"], strict=True)
    return lists, dict(zip(keys, items["reason"], strict=True))


def read_exclusions(root: Path, paths: tuple[str, ...]) -> list[Exclusion]:
    """Read the evaluation videos of every list that exists.

    Known layouts, distinguished by their header: AVSBench S4 (``name``), MS3 (``video_id``), AVSS
    and V3 (``vid``); rows of a split that models train on are skipped (``train``,
    ``seen``, ``seen_train``). A file without such a header is a plain list, one id a line.

    Args:
        root: folder that relative paths start from.
        paths: files, or glob patterns such as ``data/raw/avss/v3/**/*.csv``.

    Raises:
        ConfigError: a path cannot name a file.
        DataError: a file exists and cannot be read as text.
    """
    lists = []
    for pattern in paths:
        base, relative = _base(root, pattern)
        files = _matching(base, relative, pattern)
        lists += [Exclusion(_name(file, root), True, frozenset(_videos(file))) for file in files]
        if not files:
            lists.append(Exclusion(pattern, False, frozenset()))
    return lists


def _matching(base: Path, relative: str, pattern: str) -> list[Path]:
    """Return the files that a pattern finds, sorted.

    Raises:
        ConfigError: it is no pattern of a file, e.g. empty, ``/`` or ``a**b``.
    """
    try:
        if "\0" in relative or not Path(relative).name:
            raise ValueError("it names no file")
        found = sorted(base.glob(relative))
        if special := [p for p in found if p.exists() and not (p.is_file() or p.is_dir())]:
            raise ValueError(f"{special[0]}, a pipe or device")  # Reading it may never end.
        return found
    except (ValueError, NotImplementedError, re.error) as error:
        fix = "Name a csv file or a pattern such as data/raw/avss/v3/**/*.csv."
        where = f"match.exclude_videos: {pattern!r}"
        raise ConfigError(where, "a file or a glob pattern", str(error), fix) from None


def _base(root: Path, pattern: str) -> tuple[Path, str]:
    path = expand_home(pattern)
    if path.is_absolute():
        return Path(path.anchor), str(path.relative_to(path.anchor))
    return root, pattern


def _name(file: Path, root: Path) -> str:
    """Return a list's path in the project, or its last two parts: never an absolute path."""
    if file.is_relative_to(root):
        return file.relative_to(root).as_posix()
    return "/".join(file.parts[-2:])


def _videos(path: Path) -> Iterator[str]:
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            str(path), "a list of videos (csv)", str(error), "Correct match.exclude_videos."
        ) from None
    header = rows[0] if rows else []
    column = next((header.index(c) for c in _ID_COLUMNS if c in header), None)
    split = header.index("split") if column is not None and "split" in header else None
    for row in rows if column is None else rows[1:]:
        if row and not (split is not None and row[split] in _TRAIN_SPLITS):
            yield video_of(row[column or 0])


def video_of(name: str) -> str:
    """Return the YouTube id of a benchmark's clip name (``xv7eM6-UmkY_36`` -> ``xv7eM6-UmkY``)."""
    match = _YOUTUBE_ID.fullmatch(name.strip())
    return match[1] if match else name.strip()
