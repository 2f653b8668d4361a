"""A folder of the user's own audio files: ``<root>/<category or label>/<file>``.

A subfolder is named by our category, an LVIS name, a VGGSound or an AudioSet label; case is
ignored, and a space equals an underscore. Folders below it belong to it. The content of a file
decides how it is read, not its name. A file without audio is a row ``undecodable``, and one whose
name is not UTF-8 is a row ``bad_name``. Only hidden files and files named as text, tables or
images (`_COMPANIONS`) are skipped.

An optional ``<root>/clips.csv`` describes the files. Columns: ``filename``, the path below the root
(or the name alone, where only one folder has a file of this name), and any of ``video_id`` (or
``src_file``): the recording that the file was cut from, ``licence`` (or ``license``,
``clip_license``), ``author``, ``url`` (or ``src_url``). Files of one recording are never in two
splits; without the csv every file is a recording of its own. ESC-50's own table, with links and
licences added, has this format.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from avsynth.core.lists import NamedRow, read_columns
from avsynth.core.params.building import AudioParams
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip
from avsynth.runtime.errors import DataError, suggest
from avsynth.runtime.options import Runtime
from avsynth.sources.audio.folders import walk_files
from avsynth.sources.audio.loudness import make_clip, mark_dropped, measure_clips
from avsynth.sources.categories import SourceName, Vocabulary, label_form

_CREDITS_FILE = "clips.csv"
_LABEL_SOURCES: tuple[SourceName, ...] = ("lvis", "vggsound", "audioset")
_COMPANIONS = (
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml"),
    *(".yml", ".html", ".htm", ".pdf", ".log", ".ini", ".url", ".lnk", ".jpg"),
    *(".jpeg", ".png", ".gif", ".bmp", ".webp", ".svg", ".tif", ".tiff", ".ico"),
    *(".srt", ".vtt", ".lrc", ".cue", ".m3u", ".m3u8", ".pls", ".db", ".sha256"),
    *(".md5", ".asd", ".sfk", ".py", ".sh"),
)
"""Suffixes of files that lie beside audio and contain none."""
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
    names = sorted(walk_files(root))
    tops = sorted({name.partition("/")[0] for name in names if "/" in name})
    known = {top for top in tops if label_form(top) in category_of}
    if not known:
        raise DataError(
            str(root),
            "folders named by a category, an LVIS name, a VGGSound or an AudioSet label",
            ", ".join(map(_printable, tops[:5])) or "no folder with files",
            suggest(tops[0] if tops else "", vocabulary.names),
        )
    credit_of = _read_credits(root / _CREDITS_FILE, names)
    for name in names:
        folder, _, rest = name.partition("/")
        if folder in known and rest and Path(name).suffix.lower() not in _COMPANIONS:
            category = category_of[label_form(folder)]
            yield _list_file(name, category, credit_of.get(name, _Credit()))


def _list_file(name: str, category: str, credit: _Credit) -> AudioClip:
    clip_id = _printable(name)
    by = f" (by {credit.author})" if credit.author else ""
    clip = make_clip(
        "folder",
        category,
        clip_id.partition("/")[0],
        clip_id,
        video_id=credit.video_id or clip_id,
        audio_path=clip_id,
        licence=credit.licence + by,
        url=credit.url,
    )
    return clip if clip_id == name else mark_dropped(clip, "bad_name")


def _printable(name: str) -> str:
    """Escape the bytes of a file name that are not UTF-8: tables hold text only."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _names(vocabulary: Vocabulary) -> dict[str, str]:
    """Map every name that a subfolder may have to a category; our own names take precedence."""
    names = {label_form(name): name for name in vocabulary.names}
    for source in _LABEL_SOURCES:
        for label, category in vocabulary.label_to_category(source).items():
            names.setdefault(label_form(label), category)
    return names


def _read_credits(path: Path, files: Sequence[str]) -> dict[str, _Credit]:
    """Read clips.csv: path of a file below the root -> credit.

    Args:
        path: the csv; may be absent.
        files: the files below the root, as paths relative to it.

    Raises:
        DataError: the csv is damaged, a row names no file or two, no row names an existing file,
            or two rows differ about one file.
    """
    if not path.exists():
        return {}
    fix = "Fix the file, or remove it."
    rows = _read_rows(path, fix)
    by_name: dict[str, set[str]] = {}
    for file in files:
        for name in (file, file.rpartition("/")[2]):
            by_name.setdefault(_composed(name), set()).add(file)
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
