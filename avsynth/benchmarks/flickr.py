"""Flickr-SoundNet: 250 pictures with boxes around what sounds, for localisation (AV-SAM).

Paper: A. Senocak et al., "Learning to Localize Sound Source in Visual Scenes", CVPR 2018; used as
in EZ-VSL (Mo and Morgado, ECCV 2022) and AV-SAM (2023). Version test-250.
Where: https://github.com/ardasnck/learning_to_localize_sound_source (boxes and test list), the
pictures and sounds from Flickr-SoundNet. Licence: of each Flickr video; research only.

Layout below ``root``::

    flickr_test.csv              no header, the id in the first column: 250 rows
    frames/<id>.jpg
    audio/<id>.wav
    Annotations/<id>.xml         <annotation><object><bbox><annotator/><xmin/><ymin/><xmax/><ymax/>

Quirks:

* Boxes are in a 256 x 256 grid whatever the picture's size, two or three annotators to a picture.
  Scores use their *consensus* (`consensus_map`): every box adds a half, at most 1 in all. The
  sample's mask is their union, for looking at; ``meta.boxes`` holds the boxes.
* The first child of a bbox is no coordinate and is skipped, as the published reader does.
* There is no category: all clips carry ``unlabelled``. The second heard is the middle one.
"""

import csv
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.benchmarks.csv_lists import no_duplicates, plain_name
from avsynth.benchmarks.frames import cut_second, make_sample, read_picture
from avsynth.core.records import Sample
from avsynth.formats.logmel import logmel
from avsynth.formats.waveform import SAMPLE_RATE_HZ, quantise, read_audio
from avsynth.metrics.localisation import GRID_PX
from avsynth.runtime.errors import DataError

VERSION = "test-250"
LICENCE = "Flickr-SoundNet, research only"

Box = tuple[int, int, int, int]


def list_clips(root: Path, split: str) -> list[Clip]:
    """List the test pictures, sorted by id.

    Raises:
        DataError: the list is absent, or holds a name that is none.
    """
    path = root / "flickr_test.csv"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names = [plain_name(path, row[0]) for row in csv.reader(file) if row]
    except FileNotFoundError:
        raise DataError(
            str(path), "the list of test ids", "no such file", "Copy it beside frames/."
        ) from None
    no_duplicates(path, names)
    return [
        Clip(
            dataset="flickr",
            version=VERSION,
            licence=LICENCE,
            split=split,
            clip_key=name,
            category="unlabelled",
            images=(root / "frames" / f"{name}.jpg",),
            masks=(root / "Annotations" / f"{name}.xml",),
            audio=root / "audio" / f"{name}.wav",
        )
        for name in sorted(names)
    ]


def read_clip(clip: Clip) -> Iterator[Sample]:
    """Read a picture with its boxes and the middle second of its sound.

    Raises:
        DataError: a file is damaged, or there is no box.
    """
    image, extension, (width, height) = read_picture(clip.images[0])
    boxes = read_boxes(clip.masks[0])
    mask = np.zeros((height, width), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        rows = slice(y0 * height // GRID_PX, y1 * height // GRID_PX)
        mask[rows, x0 * width // GRID_PX : x1 * width // GRID_PX] = True
    waveform, _ = read_audio(clip.audio)
    second = len(waveform) // SAMPLE_RATE_HZ // 2
    heard = quantise(cut_second(waveform, second))
    sample = make_sample(clip, 0, (image, extension), mask, heard, logmel(heard)[0], second)
    yield replace(sample, meta={**sample.meta, "boxes": [list(box) for box in boxes]})


def read_boxes(path: Path) -> list[Box]:
    """Read the boxes of an annotation: ``(x0, y0, x1, y1)`` in the 256 x 256 grid.

    Raises:
        DataError: no XML, no box, or a box that is none.
    """
    try:
        found = [
            tuple(int(side.text or "") for side in list(box)[1:])
            for box in ET.parse(path).getroot().findall("./*/bbox")
        ]
    except (ET.ParseError, ValueError) as error:
        raise _bad(path, str(error)) from None
    boxes: list[Box] = []
    for box in found:
        if (
            len(box) != 4
            or not 0 <= box[0] < box[2] <= GRID_PX
            or not 0 <= box[1] < box[3] <= GRID_PX
        ):
            raise _bad(path, str(box))
        boxes.append((box[0], box[1], box[2], box[3]))
    if not boxes:
        raise _bad(path, "none")
    return boxes


def _bad(path: Path, found: str) -> DataError:
    return DataError(
        str(path), "boxes x0 < x1, y0 < y1 in 0..256", found, "Get the annotation again."
    )


BENCHMARK = Benchmark(
    name="flickr",
    title="Flickr-SoundNet (localisation)",
    version=VERSION,
    paper="Senocak et al., Learning to Localize Sound Source in Visual Scenes, CVPR 2018",
    url="https://github.com/ardasnck/learning_to_localize_sound_source",
    licence=LICENCE,
    clips={"test": 250},
    list_clips=list_clips,
    read_clip=read_clip,
    boxes=True,
)
