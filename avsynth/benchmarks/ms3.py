"""AVSBench MS3: several sound sources at once, five frames of five seconds, all labelled.

Paper: J. Zhou et al., "Audio-Visual Segmentation", ECCV 2022. Version v1m, "Multi-sources".
Where: https://github.com/OpenNLPLab/AVSBench, on request from the authors. Licence: research only;
images and audio come from YouTube videos.

Layout below ``root``::

    Multi-sources/ms3_meta_data.csv                   video_id,split: 424 rows
    Multi-sources/ms3_data/
        visual_frames/<id>/<id>.mp4_{1..5}.png        no split folder, and ".mp4_" in the name
        gt_masks/<split>/<id>/<id>_{1..5}.png
        audio_log_mel/<split>/<id>.pkl                tensor [5, 1, 96, 64]
        audio_wav/<split>/<id>.wav                    16 kHz

Quirks:

* There are no categories: every clip has the category ``multi-source``.
* Published loaders read the palette masks in two ways that agree only when foreground has the
  palette index 255. Here every pixel that is not black is foreground.
* Some frames have an empty ground truth (nothing sounds); `avsynth.metrics.frames` scores them.
"""

from pathlib import Path

from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.benchmarks.csv_lists import check_file_name, check_unique, read_rows
from avsynth.benchmarks.frames import make_reader
from avsynth.formats.images import foreground

VERSION = "v1m"
LICENCE = "AVSBench, research only"
FRAMES = 5


def list_clips(root: Path, split: str) -> list[Clip]:
    """List the clips of a split, sorted by name.

    Raises:
        DataError: the list is absent or damaged, or contains an invalid name.
    """
    meta = root / "Multi-sources" / "ms3_meta_data.csv"
    rows = read_rows(meta, ("video_id", "split"))
    for row in rows:
        check_file_name(meta, row["video_id"])
    check_unique(meta, rows, "video_id")
    chosen = sorted(row["video_id"] for row in rows if row["split"] == split)
    return [_clip(root / "Multi-sources" / "ms3_data", split, name) for name in chosen]


def _clip(data: Path, split: str, name: str) -> Clip:
    numbers = range(1, FRAMES + 1)
    return Clip(
        dataset="ms3",
        version=VERSION,
        licence=LICENCE,
        split=split,
        clip_key=name,
        category="multi-source",
        images=tuple(data / "visual_frames" / name / f"{name}.mp4_{n}.png" for n in numbers),
        masks=tuple(data / "gt_masks" / split / name / f"{name}_{n}.png" for n in numbers),
        audio=data / "audio_wav" / split / f"{name}.wav",
        logmel=data / "audio_log_mel" / split / f"{name}.pkl",
        patches=FRAMES,
    )


BENCHMARK = Benchmark(
    name="ms3",
    title="AVSBench MS3",
    version=VERSION,
    paper="Zhou et al., Audio-Visual Segmentation, ECCV 2022",
    url="https://github.com/OpenNLPLab/AVSBench",
    licence=LICENCE,
    clips={"train": 296, "val": 64, "test": 64},
    list_clips=list_clips,
    read_clip=make_reader(foreground),
)
