"""AVSBench S4: one sound source, 23 categories, five frames of five seconds.

Paper: J. Zhou et al., "Audio-Visual Segmentation", ECCV 2022. Version v1s, "Single-source".
Where: https://github.com/OpenNLPLab/AVSBench, on request from the authors. Licence: research only;
images and audio come from YouTube videos.

Layout below ``root``::

    Single-source/s4_meta_data.csv                    name,start,category,split: 4,932 rows
    Single-source/s4_data/
        visual_frames/<split>/<category>/<name>/<name>_{1..5}.png    224 x 224
        gt_masks/<split>/<category>/<name>/<name>_{1..5}.png         train: only _1
        audio_log_mel/<split>/<category>/<name>.pkl                  tensor [5, 1, 96, 64]
        audio_wav/<split>/<category>/<name>.wav                      16 kHz

Quirks:

* In train only the first frame has a mask. AVSBench feeds five frames and computes the loss on the
  first; SAMA-AVS loads the first alone. Train clips here contain that one labelled frame. The
  total is 3,452 + 5 (740 + 740) = 10,852 masks.
* Masks are decoded in PIL mode ``1``, as in the published loaders.
* Log-mels are the published ones. Frame ``i`` uses patch ``i``: 0.96 s each, so 0.04 ``i`` s early.
"""

from pathlib import Path

from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.benchmarks.csv_lists import check_file_name, check_unique, read_rows
from avsynth.benchmarks.frames import bilevel, make_reader

VERSION = "v1s"
LICENCE = "AVSBench, research only"
FRAMES = 5
LABELLED = {"train": 1, "val": FRAMES, "test": FRAMES}


def list_clips(root: Path, split: str) -> list[Clip]:
    """List the clips of a split, sorted by name.

    Raises:
        DataError: the list is absent or damaged, or contains an invalid name.
    """
    meta = root / "Single-source" / "s4_meta_data.csv"
    rows = read_rows(meta, ("name", "category", "split"))
    check_unique(meta, rows, "name")
    for row in rows:
        for column in ("name", "category"):
            check_file_name(meta, row[column])
    data = root / "Single-source" / "s4_data"
    return [
        _clip(data, split, row["category"], row["name"])
        for row in sorted(rows, key=lambda row: row["name"])
        if row["split"] == split
    ]


def _clip(data: Path, split: str, category: str, name: str) -> Clip:
    def files(kind: str) -> Path:
        return data / kind / split / category / name

    frames = [f"{name}_{number}.png" for number in range(1, LABELLED[split] + 1)]
    return Clip(
        dataset="s4",
        version=VERSION,
        licence=LICENCE,
        split=split,
        clip_key=name,
        category=category,
        images=tuple(files("visual_frames") / frame for frame in frames),
        masks=tuple(files("gt_masks") / frame for frame in frames),
        audio=files("audio_wav").with_name(f"{name}.wav"),
        logmel=files("audio_log_mel").with_name(f"{name}.pkl"),
        patches=FRAMES,
    )


BENCHMARK = Benchmark(
    name="s4",
    title="AVSBench S4",
    version=VERSION,
    paper="Zhou et al., Audio-Visual Segmentation, ECCV 2022",
    url="https://github.com/OpenNLPLab/AVSBench",
    licence=LICENCE,
    clips={"train": 3452, "val": 740, "test": 740},
    list_clips=list_clips,
    read_clip=make_reader(bilevel),
)
