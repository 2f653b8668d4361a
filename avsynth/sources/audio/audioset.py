"""AudioSet: 10-second segments of YouTube videos, each with one or more labels.

Where: https://research.google.com/audioset/download.html (segment lists) and
https://github.com/audioset/ontology (``ontology.json``); the audio comes from YouTube.
Paper: J. Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for audio events",
ICASSP 2017. Licence: lists CC BY 4.0, ontology CC BY-SA 4.0; audio belongs to its uploader.

Layout below ``audio.sources.audioset.root``: the lists (``tables``), csvs with three ``#`` lines,
then YouTube id, start, end, quoted label ids; ``ontology``, label id -> name; and the clips in
``media`` or a folder below it. A clip's file name is the YouTube id, optionally with the prefix
``Y`` (ids may begin with a dash), optionally followed by ``_`` and the start: ``30``, ``000030``,
``30.000``, ``30000`` (ms), ``30.000_40.000`` or ``30.0-40.0``.

The labels hold from start to end. A file that is 1 s or more longer than that, such as the whole
video, is dropped as ``longer_than_label``. Cut such files to the listed seconds.

Quirks: a segment often has both a label and its parents ("Bark", "Dog", "Animal"). A clip whose
labels belong to two of our categories is ambiguous and is dropped.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from avsynth.core.params.building import AudioParams
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.audio.clip_lists import (
    ListedRow,
    clip_stems,
    find_media,
    is_youtube_id,
    list_clips,
    read_rows,
)
from avsynth.sources.audio.loudness import measure_clips
from avsynth.sources.categories import Vocabulary

_LICENCE = "list: CC BY 4.0; sound: its YouTube uploader's"
_COLUMNS = "YouTube id, start, end, label ids"


def iter_clips(
    layout: Layout, params: AudioParams, vocabulary: Vocabulary, runtime: Runtime
) -> Iterator[AudioClip]:
    """Yield every listed clip that has a label of the vocabulary, used or dropped.

    Raises:
        DataError: a list, the ontology or the folder of clips is absent or invalid.
    """
    root = layout.resolve(params.audioset.root)
    folder = root / params.audioset.media
    media = find_media(folder)
    names = _read_ontology(root / params.audioset.ontology)
    rows = chain.from_iterable(
        read_rows(root / table, partial(_parse, names=names, split=_split_of(table)), _COLUMNS)
        for table in params.audioset.tables
    )
    category_of = vocabulary.label_to_category("audioset")
    listed = list_clips("audioset", rows, category_of, media, _LICENCE)
    yield from measure_clips(listed, folder, params.filters, runtime)


def _split_of(table: str) -> str:
    return "test" if "eval" in Path(table).name else "train"


def _read_ontology(path: Path) -> dict[str, str]:
    """Read the ontology: label id -> display name."""
    try:
        if names := {entry["id"]: entry["name"] for entry in json.loads(path.read_bytes())}:
            return names
        found = "no label"
    except OSError as error:
        found = error.strerror or str(error)
    except (ValueError, KeyError, TypeError) as error:
        found = repr(error)
    expected = "AudioSet's ontology.json (a list of id and name)"
    fix = "Correct audio.sources.audioset.ontology in params.yaml."
    raise DataError(str(path), expected, found, fix)


def _parse(cells: Sequence[str], names: dict[str, str], split: str) -> ListedRow:
    video_id, start, end, label_ids = cells
    start_s, end_s = float(start), float(end)
    if not (is_youtube_id(video_id) and 0 <= start_s < end_s < 1e6 and label_ids):
        raise ValueError
    labels = tuple(names[one] for one in label_ids.split(",") if one in names)
    clip_id = f"{video_id}_{1000 * start_s:.0f}"
    bare = (clip_id, f"Y{clip_id}", video_id, f"Y{video_id}")
    stems = (*clip_stems(video_id, start_s, end_s), *bare)
    return ListedRow(clip_id, video_id, start_s, labels, stems, split, end_s - start_s)
