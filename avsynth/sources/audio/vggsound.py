"""VGGSound: 10-second clips of YouTube videos, each with one label.

Where: https://www.robots.ox.ac.uk/~vgg/data/vggsound/ (the list; the clips come from
YouTube). Paper: H. Chen et al., "VGGSound: A Large-scale Audio-Visual Dataset", ICASSP 2020.
Licence: the list is CC BY 4.0; audio belongs to its uploader.

Layout below ``audio.sources.vggsound.root``: the list (``table``), a csv **without header** of
YouTube id, start second, label, split (train or test); and the clips in ``media`` or a folder
below it, named ``<id>_<start, six digits>`` or by another form of `clip_stems`, with a suffix of
`AUDIO_SUFFIXES`. A start may be written ``30.0``, a split ``Train``.

The label holds for ten seconds. A file of 11 s or more is dropped as ``longer_than_label``: where
the labelled seconds lie in it is unknown. Cut such files to the ten seconds after the start.

Quirks: labels contain commas and are quoted; one is misspelt ("eletric blender running"); clips
last 9.9 to 10.1 s; parts of the list are missing on most disks, because videos are deleted.
"""

import re
from collections.abc import Iterator, Sequence

from avsynth.core.lists import fold
from avsynth.core.params.building import AudioParams, VggsoundParams
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip
from avsynth.runtime.options import Runtime
from avsynth.sources.audio.clip_lists import (
    BadRow,
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
_MAX_START_S = 1_000_000
_START = re.compile(r"\d+(\.0*)?", re.ASCII)
CLIP_S = 10
"""Length of the labelled part in seconds."""


def iter_clips(
    layout: Layout, params: AudioParams, vocabulary: Vocabulary, runtime: Runtime
) -> Iterator[AudioClip]:
    """Yield every clip of the list whose label is in the vocabulary, used or dropped.

    Raises:
        DataError: the list or the folder of clips is absent or invalid.
    """
    root = layout.resolve(params.vggsound.root)
    folder = root / params.vggsound.media
    media = find_media(folder)
    rows = clip_rows(params.vggsound, layout)
    category_of = vocabulary.label_to_category("vggsound")
    listed = list_clips("vggsound", rows, category_of, media, _LICENCE)
    yield from measure_clips(listed, folder, params.filters, runtime)


def clip_rows(params: VggsoundParams, layout: Layout) -> Iterator[ListedRow | BadRow]:
    """Read the list of clips.

    Raises:
        DataError: the list does not exist or has another format.
    """
    table = layout.resolve(params.root) / params.table
    return read_rows(table, _parse, "YouTube id, start second, label, split")


def file_stems(clip_id: str) -> tuple[str, ...]:
    """Return the file names, without suffix, that a clip may have."""
    start_s = int(clip_id[-6:])
    return clip_stems(clip_id[:-7], start_s, start_s + CLIP_S)


def _parse(cells: Sequence[str]) -> ListedRow:
    video_id, start, label, split = cells
    split = fold(split)
    if not (is_youtube_id(video_id) and _START.fullmatch(start) and label):
        raise ValueError
    start_s = int(start.partition(".")[0])
    if start_s >= _MAX_START_S or split not in ("train", "test"):
        raise ValueError
    clip_id = f"{video_id}_{start_s:06d}"
    return ListedRow(
        clip_id, video_id, float(start_s), (label,), file_stems(clip_id), split, CLIP_S
    )
