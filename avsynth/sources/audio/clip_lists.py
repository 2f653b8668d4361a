"""Readers of YouTube clip lists: rows may be invalid, and listed files may be absent."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avsynth.core.lists import read_list
from avsynth.core.records import AudioClip
from avsynth.formats.audio_file import AUDIO_SUFFIXES
from avsynth.runtime.errors import DataError
from avsynth.sources.audio.folders import walk_files
from avsynth.sources.audio.loudness import make_clip, mark_dropped
from avsynth.sources.categories import LabelLookup, no_match

_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One row of a list: a segment of a video and its labels."""

    clip_id: str
    video_id: str
    start_s: float
    labels: tuple[str, ...]
    stems: tuple[str, ...]
    """Possible file names of the clip, without suffix, most likely first."""
    split_hint: str
    length_s: float = 0.0
    """Length of the labelled range; 0 if unknown."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be parsed."""

    where: str
    """File name and line number."""


def is_youtube_id(text: str) -> bool:
    """Check that a text is a YouTube id: only then may it become part of a path."""
    return _YOUTUBE_ID.fullmatch(text) is not None


def read_rows(
    table: Path, parse: Callable[[Sequence[str]], ListedRow], columns: str
) -> Iterator[ListedRow | BadRow]:
    """Read a csv row by row; a row for which ``parse`` raises ValueError becomes a `BadRow`.

    Empty lines and comments (``# ...``) are skipped.

    Args:
        table: the csv file, in any dialect of `avsynth.core.lists`.
        parse: cells of a row -> record.
        columns: the expected columns, for messages.

    Raises:
        DataError: the file is absent, empty or cannot be decoded, or most of its rows are invalid.
    """
    fix = "Fix the file, or correct its name in params.yaml."
    rows: list[ListedRow | BadRow] = []
    for row in read_list(table, f"a csv ({columns})", fix):
        try:
            rows.append(BadRow(f"{table.name}:{row.line}") if row.fault else parse(row.cells))
        except ValueError:
            rows.append(BadRow(f"{table.name}:{row.line}"))
    bad = [row for row in rows if isinstance(row, BadRow)]
    if 2 * len(bad) > len(rows) or not rows:
        found = f"{len(bad)} invalid rows of {len(rows)}"
        raise DataError(bad[0].where if bad else str(table), f"rows of {columns}", found, fix)
    yield from rows


def clip_stems(video_id: str, start_s: float, end_s: float) -> tuple[str, ...]:
    """Return the file names, without suffix, that a clip of this part of a video may have.

    The start may be in seconds, padded (``_000030``) or not (``_30``, ``_30.0``, ``_30.000``), and
    the end may follow; a pair may be in milliseconds (``_30000_40000``). The first is our own.
    """
    ends = [f"_{start_s:06.0f}", f"_{start_s:.0f}", f"_{start_s:.1f}", f"_{start_s:.3f}"]
    for join in ("_", "-"):
        ends += [
            f"_{start_s:06.0f}{join}{end_s:06.0f}",
            f"_{start_s:.0f}{join}{end_s:.0f}",
            f"_{start_s:.1f}{join}{end_s:.1f}",
            f"_{start_s:.3f}{join}{end_s:.3f}",
            f"_{1000 * start_s:.0f}{join}{1000 * end_s:.0f}",
        ]
    return tuple(f"{first}{video_id}{end}" for end in ends for first in ("", "Y"))


def find_media(folder: Path) -> dict[str, str]:
    """List the audio files of a folder and of all folders below it.

    Returns:
        File name without suffix -> path relative to the folder. Of files that differ only in the
        suffix, the one that comes first in `AUDIO_SUFFIXES` is listed.

    Raises:
        DataError: the folder, or one below it, does not exist or cannot be read.
    """
    found = []
    for name in walk_files(folder):
        stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
        if dot + suffix.lower() in AUDIO_SUFFIXES:
            found.append((AUDIO_SUFFIXES.index(dot + suffix.lower()), name, stem))
    media: dict[str, str] = {}
    for _, name, stem in sorted(found):
        media.setdefault(stem, name)
    return media


def list_clips(
    source: str,
    rows: Iterable[ListedRow | BadRow],
    category_of: dict[str, str],
    media: dict[str, str],
    licence: str,
) -> Iterator[AudioClip]:
    """Yield a clip for each clip id of the rows: choose its category and find its file.

    Args:
        source: the source's name.
        rows: rows of its lists; rows without a label of the vocabulary are skipped.
        category_of: label -> our category.
        media: file name without suffix -> path, as returned by `find_media`.
        licence: licence of the list and of the audio.

    Yields:
        One record per clip, not measured yet; ``duration_s`` of a clip that is not dropped is the
        length of the labelled range. Reasons: ``bad_row``, ``missing_file``,
        ``ambiguous_label`` (its labels belong to two categories, in one row or in two).

    Raises:
        DataError: no row has a label of the vocabulary.
    """
    clips: dict[str, list[ListedRow]] = {}
    lookup = LabelLookup(category_of)
    for row in rows:
        if isinstance(row, BadRow):
            yield mark_dropped(make_clip(source, "", "", row.where), "bad_row")
        elif any([lookup[label] for label in row.labels]):
            clips.setdefault(row.clip_id, []).append(row)
    if category_of and not clips:
        raise no_match(f"audio/{source}", lookup.keys() - category_of.keys(), category_of)
    for clip_id, group in clips.items():
        first = group[0]
        labels = tuple(dict.fromkeys(label for row in group for label in row.labels))
        categories = {lookup[label] for label in labels if lookup[label]}
        path = next((media[stem] for stem in first.stems if stem in media), "")
        clip = make_clip(
            source,
            min(categories),
            ";".join(labels),
            clip_id,
            video_id=first.video_id,
            audio_path=path,
            start_s=first.start_s,
            split_hint=first.split_hint,
            licence=licence,
            url=f"https://www.youtube.com/watch?v={first.video_id}&t={int(first.start_s)}",
        )
        if len(categories) > 1:
            clip = mark_dropped(clip, "ambiguous_label")
        elif not path:
            clip = mark_dropped(clip, "missing_file")
        else:
            clip = replace(clip, duration_s=first.length_s)
        yield clip
