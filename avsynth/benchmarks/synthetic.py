"""AVS-Synthetic: what `avsynth build` makes, taken as a benchmark by its own test split.

Paper: J. Liu et al., "Annotation-free Audio-Visual Segmentation", WACV 2024, section 3.2: 46
categories, 58,405 pictures, 62,609 masks, of which 52,609 / 5,000 / 5,000 for train / val / test.
Version: of the build (its parameters are in dvc.lock). Where: ``avsynth build --categories 46``;
the authors' own files are at https://zenodo.org/record/8125822. Licence: that of every source
picture and sound, recorded per sample.

Its samples are shards from the start (``data/shards/avs-synthetic``), so there is nothing to list
and nothing to convert.

Quirks: the category list of the paper is not printed anywhere, so a build with our 46 is not the
authors' data set; one instance is the truth even where others of its category are in the picture.
"""

from collections.abc import Iterator
from pathlib import Path

from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.core.records import Sample

PAPER_SAMPLES = {"train": 52_609, "val": 5_000, "test": 5_000}
PAPER_CATEGORIES = 46
PAPER_PICTURES = 58_405


def list_clips(root: Path, split: str) -> list[Clip]:
    """List nothing: the samples are already shards."""
    return []


def read_clip(clip: Clip) -> Iterator[Sample]:
    """Read nothing."""
    return iter(())


BENCHMARK = Benchmark(
    name="synthetic",
    title="AVS-Synthetic",
    version="build",
    paper="Liu et al., Annotation-free Audio-Visual Segmentation, WACV 2024",
    url="https://zenodo.org/record/8125822",
    licence="of each source picture and sound",
    clips=PAPER_SAMPLES,
    list_clips=list_clips,
    read_clip=read_clip,
)
