"""AVSBench V2: ten frames of ten seconds, segmented as foreground against background.

Paper: J. Zhou et al., "Audio-Visual Segmentation with Semantics", IJCV 2024; GAVS and SAVE report
this binary form. Version v2. Where, licence and layout: `avsynth.benchmarks.avss`.

The clips are the rows of metadata.csv with ``label`` v2. Quirks: the categories are dropped (binary
task); frames have their original resolution; some frames have an empty ground truth.
"""

from pathlib import Path

from avsynth.benchmarks import avss
from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.benchmarks.frames import make_reader
from avsynth.formats.images import foreground

VERSION = "v2"


def list_clips(root: Path, split: str) -> list[Clip]:
    """List the clips of a split, sorted by uid.

    Raises:
        DataError: metadata.csv is absent or damaged.
    """
    return [
        avss.make_clip(root, row, "v2", VERSION, split)
        for _, row in sorted(avss.read_metadata(root).items())
        if row["label"] == "v2" and row["split"] == split
    ]


BENCHMARK = Benchmark(
    name="v2",
    title="AVSBench V2 (binary)",
    version=VERSION,
    paper=avss.PAPER,
    url=avss.URL,
    licence=avss.LICENCE,
    clips={"train": 4750, "val": 500, "test": 750},
    list_clips=list_clips,
    read_clip=make_reader(foreground),
)
