"""Flickr-SoundNet: 250 images with boxes around the sounding objects (AV-SAM).

Paper: A. Senocak et al., "Learning to Localize Sound Source in Visual Scenes", CVPR 2018; used as
in EZ-VSL (Mo and Morgado, ECCV 2022) and AV-SAM (2023). Version test-250.
Where: https://github.com/ardasnck/learning_to_localize_sound_source (boxes and test list), images
and audio from Flickr-SoundNet. Licence: of each Flickr video; research only.

Layout below ``root``::

    flickr_test.csv              no header, the id in the first column: 250 rows
    frames/<id>.jpg
    audio/<id>.wav
    Annotations/<id>.xml         <annotation><object><bbox><annotator/><xmin/><ymin/><xmax/><ymax/>

Quirks:

* Boxes are in a 256 x 256 grid for every image size. An image has two or three annotators.
  Scores use their *consensus* (`avsynth.metrics.localisation.consensus_map`): every box adds 0.5,
  clipped at 1. The sample's mask is the union of the boxes, for display only; ``meta.boxes``
  contains the boxes.
* The first child of a bbox is not a coordinate; it is skipped, as in the published reader.
* There are no categories: every clip has the category ``unlabelled``.
* The sample's second is the middle second of the audio.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.benchmarks.csv_lists import check_file_name, check_unique
from avsynth.benchmarks.frames import cut_second, make_sample, read_image
from avsynth.core.lists import NamedRow, read_list
from avsynth.core.records import Sample
from avsynth.formats.logmel import logmel
from avsynth.formats.waveform import SAMPLE_RATE_HZ, quantise, read_audio
from avsynth.metrics.localisation import GRID_PX
from avsynth.runtime.errors import DataError

VERSION = "test-250"
LICENCE = "Flickr-SoundNet, research only"

Box = tuple[int, int, int, int]


def list_clips(root: Path, split: str) -> list[Clip]:
    """List the test images, sorted by id.

    Raises:
        DataError: the list is absent, or contains an invalid name.
    """
    path = root / "flickr_test.csv"
    fix = "Copy flickr_test.csv beside frames/."
    rows = [
        NamedRow(row.line, {"id": check_file_name(path, "".join(row.cells[:1]))})
        for row in read_list(path, "the list of test ids", fix)
    ]
    check_unique(path, rows, "id")
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
        for name in sorted(row["id"] for row in rows)
    ]


def read_clip(clip: Clip) -> Iterator[Sample]:
    """Read an image with its boxes and the middle second of its audio.

    Raises:
        DataError: a file is damaged, or there is no box.
    """
    image, extension, (width, height) = read_image(clip.images[0])
    boxes = read_boxes(clip.masks[0])
    mask = np.zeros((height, width), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        rows = slice(y0 * height // GRID_PX, y1 * height // GRID_PX)
        mask[rows, x0 * width // GRID_PX : x1 * width // GRID_PX] = True
    waveform, _ = read_audio(clip.audio)
    second = len(waveform) // SAMPLE_RATE_HZ // 2
    audio = quantise(cut_second(waveform, second))
    sample = make_sample(clip, 0, (image, extension), mask, audio, logmel(audio)[0], second)
    yield replace(sample, meta={**sample.meta, "boxes": [list(box) for box in boxes]})


def read_boxes(path: Path) -> list[Box]:
    """Read the boxes of one annotation: ``(x0, y0, x1, y1)`` in the 256 x 256 grid.

    Raises:
        DataError: the file is not XML, has no box, or contains an invalid box.
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
        raise _bad(path, "no box")
    return boxes


def _bad(path: Path, found: str) -> DataError:
    return DataError(
        str(path), "boxes x0 < x1, y0 < y1 in 0..256", found, "Download the annotation again."
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
