"""A folder of the user's own audio files: ``<root>/<category or label>/<file>``.

A subfolder is named by our category, an LVIS name, a VGGSound or an AudioSet label; case is
ignored, and a space equals an underscore. Files: wav, flac, ogg, mp3, mp4, m4a, webm.

An optional ``<root>/clips.csv`` describes the files. Columns: ``filename``, the path below the root
(or the name alone, where only one folder has a file of this name), and any of ``video_id`` (or
``src_file``): the recording that the file was cut from, ``licence`` (or ``license``,
``clip_license``), ``author``, ``url`` (or ``src_url``). Files of one recording are never in two
splits; without the csv every file is a recording of its own. ESC-50's own table, with links and
licences added, has this format.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avsynth.core.lists import NamedRow, read_columns
from avsynth.core.params.building import AudioParams
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip
from avsynth.formats.audio_file import AUDIO_SUFFIXES
from avsynth.runtime.errors import DataError, suggest
from avsynth.runtime.options import Runtime
from avsynth.sources.audio.loudness import make_clip, measure_clips
from avsynth.sources.categories import SourceName, Vocabulary, label_form

_CREDITS_FILE = "clips.csv"
_LABEL_SOURCES: tuple[SourceName, ...] = ("lvis", "vggsound", "audioset")
_COLUMNS = {
    "video_id": ("video_id", "src_file"),
    "licence": ("licence", "license", "clip_license"),
    "author": ("author",),
    "url": ("url", "src_url"),
}


@dataclass(frozen=True, slots=True)
class _Credit:
    """Origin of a file; fields that the csv lacks are empty."""

    video_id: str = ""
    licence: str = ""
    author: str = ""
    url: str = ""


def iter_clips(
    layout: Layout, params: AudioParams, vocabulary: Vocabulary, runtime: Runtime
) -> Iterator[AudioClip]:
    """Yield every audio file in a subfolder named by the vocabulary, used or dropped.

    Raises:
        DataError: the folder is absent, no subfolder has a known name, or clips.csv is invalid.
    """
    root = layout.resolve(params.folder.root)
    yield from measure_clips(_list_files(root, vocabulary), root, params.filters, runtime)


def _list_files(root: Path, vocabulary: Vocabulary) -> Iterator[AudioClip]:
    category_of = _names(vocabulary)
    folders = sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
    known = [p for p in folders if label_form(p.name) in category_of]
    if not known:
        raise DataError(
            str(root),
            "folders named by a category, an LVIS name, a VGGSound or an AudioSet label",
            ", ".join(p.name for p in folders[:5]) or "no folder",
            suggest(folders[0].name if folders else "", vocabulary.names),
        )
    credit_of = _read_credits(root)
    for folder in known:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() not in AUDIO_SUFFIXES or path.name.startswith("."):
                continue
            clip_id = path.relative_to(root).as_posix()
            credit = credit_of.get(clip_id, _Credit())
            by = f" (by {credit.author})" if credit.author else ""
            yield make_clip(
                "folder",
                category_of[label_form(folder.name)],
                folder.name,
                clip_id,
                video_id=credit.video_id or clip_id,
                audio_path=clip_id,
                licence=credit.licence + by,
                url=credit.url,
            )


def _names(vocabulary: Vocabulary) -> dict[str, str]:
    """Map every name that a subfolder may have to a category; our own names take precedence."""
    names = {label_form(name): name for name in vocabulary.names}
    for source in _LABEL_SOURCES:
        for label, category in vocabulary.label_to_category(source).items():
            names.setdefault(label_form(label), category)
    return names


def _read_credits(root: Path) -> dict[str, _Credit]:
    """Read clips.csv: path of a file below the root -> credit.

    Raises:
        DataError: the csv is damaged, a row names no file or two, no row names a file that is
            there, or two rows differ about one file.
    """
    path = root / _CREDITS_FILE
    if not path.exists():
        return {}
    fix = "Fix the file, or remove it."
    rows = _read_rows(path, fix)
    files = [file for file in root.glob("*/**/*") if file.suffix.lower() in AUDIO_SUFFIXES]
    by_name: dict[str, set[str]] = {}
    for file in files:
        relative = file.relative_to(root).as_posix()
        for name in (relative, file.name):
            by_name.setdefault(_composed(name), set()).add(relative)
    credits: dict[str, _Credit] = {}
    for row in rows:
        name = _composed(row["filename"].replace("\\", "/").removeprefix("./"))
        found = sorted(by_name.get(name, ()))
        if len(found) > 1:
            expected = "paths below the folder of sounds, such as " + repr(found[0])
            where = f"{path}:{row.line}"
            raise DataError(where, expected, f"{name!r}, a file of {len(found)} folders", fix)
        if found and credits.setdefault(found[0], _credit(row)) != _credit(row):
            raise DataError(f"{path}:{row.line}", "one row per file", f"{name!r} twice", fix)
    inside = [row["filename"] for row in rows if ".." not in row["filename"]]
    if inside and not credits:
        named = ", ".join(map(repr, inside[:5]))
        fix = "Write each file's path below the folder of sounds, or remove the csv."
        raise DataError(str(path), "names of files in the folder", named, fix)
    return credits


def _read_rows(path: Path, fix: str) -> list[NamedRow]:
    rows = read_columns(path, ("filename",), fix)
    for row in rows:
        if row.fault or not row["filename"]:
            found = row.fault or "no file name"
            raise DataError(f"{path}:{row.line}", f"{row.width} fields", found, fix)
    return rows


def _composed(name: str) -> str:
    """Return a name in composed form: macOS writes accents apart from their letters."""
    return unicodedata.normalize("NFC", name)


def _credit(row: NamedRow) -> _Credit:
    def cell(field: str) -> str:
        return next((row[name] for name in _COLUMNS[field] if row[name]), "")

    return _Credit(**{field: cell(field) for field in _COLUMNS})
