"""Lists of excluded items: evaluation videos of benchmarks, masks and clips that reviewers reject.

AVSBench's videos come from VGGSound, so a clip pool made from VGGSound contains the benchmark's own
audio unless these ids are excluded. `Excluded` is one row of the table that the stage
``exclusions`` writes and the stage ``match`` reads.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pandas as pd

from avsynth.core.lists import fold, parse_columns, parse_list, read_text
from avsynth.core.paths import expand_home
from avsynth.runtime.errors import ConfigError, DataError

_ID_COLUMNS = (
    "vid", "name", "video_id", "uid", "file", "youtube_id", "ytid", "id", "url", "link", "video",
    "filename",
)  # fmt: skip
"""Folded names of columns and of JSON fields that hold a video, the surest first."""
_FIX = "Correct the list, or match.exclude_videos."
_TRAIN_SPLITS = frozenset({"train", "seen", "seen_train"})
_YOUTUBE_ID = re.compile(r"([A-Za-z0-9_-]{11})(?:_[\d.]+)*(?:\.(?:mp4|wav|flac|mkv|webm|m4a|jpg))?")
_LINK = re.compile(
    r"(?:https?://)?(?:[\w-]+\.)*(?:youtu\.be/|youtube(?:-nocookie)?\.com/"
    r"(?:watch/?\?(?:\S*&)?v=|embed/|shorts/|live/|v/))([A-Za-z0-9_-]{11})(?:[?&#/]\S*)?"
)
_NUMBER = re.compile(r"\d+")
"""Recordings of Freesound and Flickr are numbers."""


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
    and V3 (``vid``); rows of a split that models train on are skipped (``train``, ``seen``,
    ``seen_train``). A file without such a header is a plain list, one id a line. A JSON
    file is a list of ids, or of objects with such a field (VGG-SS: ``file``). An id may be a
    number, a YouTube id, the name of a clip of that video, or a link to it.

    Args:
        root: folder that relative paths start from.
        paths: files, or glob patterns such as ``data/raw/avss/v3/**/*.csv``.

    Raises:
        ConfigError: a path cannot name a file.
        DataError: a file or folder exists and cannot be read, or names no video.
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
        parts = Path(relative).parts
        if "\0" in relative or not Path(relative).name:
            raise ValueError("it names no file")
        if any("**" in part and part != "**" for part in parts):
            raise ValueError("'**' within a name")
        found = _find(base, relative)
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


def _find(base: Path, pattern: str) -> list[Path]:
    """Return the files of a pattern; Path.glob alone would pass over a folder it may not read."""
    parts = Path(pattern).parts
    fixed = list(takewhile(lambda part: not re.search(r"[*?\[]", part), parts))
    start = base.joinpath(*fixed)
    try:
        start.stat()
        if len(fixed) == len(parts):
            return [start]
        for _ in os.walk(start, onerror=_raise) if "**" in parts else [os.listdir(start)]:  # noqa: PTH208 - only whether it can be read
            pass
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        found = error.strerror or str(error)
        raise DataError(str(start), "a list, or a folder of lists", found, _FIX) from None
    return sorted(path for path in base.glob(pattern) if not path.is_dir())


def _raise(error: OSError) -> None:
    raise error


def _videos(path: Path) -> list[str]:
    text = read_text(path, "a list of videos (csv or JSON)", _FIX)
    named = _json_names(path, text) if text.lstrip().startswith(("[", "{")) else _names(path, text)
    if named and not any(_is_video(name) for _, name, _ in named):
        raise DataError(str(path), "a list of videos", "no video id in this list", _FIX)
    for line, name, _ in named:
        if not name:
            raise DataError(f"{path}:{line}", "a video id", "a row without one", _FIX)
    return [video_of(name) for _, name, split in named if fold(split) not in _TRAIN_SPLITS]


def _names(path: Path, text: str) -> list[tuple[int, str, str]]:
    """Return line, name and split of each row of a csv or of a plain list."""
    header, rows = parse_columns(text, ())
    column = next((name for name in _ID_COLUMNS if name in header), None)
    if column is None:
        return _plain_names(path, text)
    required = {column, "split"} & set(header)
    for row in parse_columns(text, required)[1]:
        if row.fault:
            raise DataError(f"{path}:{row.line}", f"{row.width} fields", row.fault, _FIX)
    return [(row.line, row[column], row["split"]) for row in rows]


def _plain_names(path: Path, text: str) -> list[tuple[int, str, str]]:
    """Return line, name and an empty split of each row of a list without a known header."""
    rows = list(parse_list(text))
    columns = Counter(
        at for row in rows for at, cell in enumerate(row.cells) if _is_video(cell, numbers=False)
    )
    at = min(columns, key=lambda at: (-columns[at], at)) if columns else 0
    named = [(row.line, "".join(row.cells[at : at + 1]), "") for row in rows]
    if len(named) > 1 and not _is_video(named[0][1]):
        del named[0]  # A header of another name.
    for line, name, _ in named:
        if not _is_video(name):
            found = f"no video id in this list, but {name[:40]!r}"
            raise DataError(f"{path}:{line}", "a video id, a number or a link", found, _FIX)
    if not named:
        raise DataError(str(path), "a list of videos", "no video id in this list", _FIX)
    return named


def _json_names(path: Path, text: str) -> list[tuple[int, str, str]]:
    """Return line 1, name and split of each entry of a JSON list, or of the lists in an object."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(str(path), "a list of videos (JSON)", str(error), _FIX) from None
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        entries = [one for value in lists for one in value]
        if not any(_json_name(one)[1] for one in entries):
            entries = list(content)
    else:
        entries = content
    named = [_json_name(one) for one in entries]
    if not named:
        raise DataError(str(path), "a list of videos", "no video id in this list", _FIX)
    return named


def _json_name(entry: object) -> tuple[int, str, str]:
    if not isinstance(entry, dict):
        return 1, entry if isinstance(entry, str) else "", ""
    cells = {fold(name): str(value) for name, value in entry.items()}
    name = next((cells[one] for one in _ID_COLUMNS if one in cells), "")
    return 1, name.strip(), cells.get("split", "")


def _is_video(name: str, *, numbers: bool = True) -> bool:
    """Check that a name is a video's id or link, or the name of a clip of it."""
    patterns = (_YOUTUBE_ID, _LINK, _NUMBER) if numbers else (_YOUTUBE_ID, _LINK)
    return any(pattern.fullmatch(name.strip()) for pattern in patterns)


def video_of(name: str) -> str:
    """Reduce a clip's name or a link to its YouTube id (``xv7eM6-UmkY_36`` -> ``xv7eM6-UmkY``)."""
    match = _LINK.fullmatch(name.strip()) or _YOUTUBE_ID.fullmatch(name.strip())
    return match[1] if match else name.strip()
