"""AVS-Synthetic: the output of `avsynth build`, with its own test split as a benchmark.

Paper: J. Liu et al., "Annotation-free Audio-Visual Segmentation", WACV 2024, section 3.2: 46
categories, 58,405 images, 62,609 masks, of which 52,609 / 5,000 / 5,000 for train / val / test.
Version: of the build (its parameters are in dvc.lock). Where: ``avsynth build --categories 46``;
the authors' own files are at https://zenodo.org/record/8125822. Licence: that of every source
image and audio clip, recorded per sample.

Its samples are shards already (``data/shards/avs-synthetic``), so there is nothing to list and
nothing to convert.

Quirks: the paper does not print its category list, so a build with our 46 categories is not the
authors' dataset. The ground truth is one instance, even where the image has others of its category.
"""

from collections.abc import Iterator
from pathlib import Path

from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.core.records import Sample

PAPER_SAMPLES = {"train": 52_609, "val": 5_000, "test": 5_000}


def list_clips(root: Path, split: str) -> list[Clip]:
    """Return an empty list: the samples are shards already."""
    return []


def read_clip(clip: Clip) -> Iterator[Sample]:
    """Yield nothing: there are no clips."""
    return iter(())


BENCHMARK = Benchmark(
    name="synthetic",
    title="AVS-Synthetic",
    version="build",
    paper="Liu et al., Annotation-free Audio-Visual Segmentation, WACV 2024",
    url="https://zenodo.org/record/8125822",
    licence="of each source image and audio clip",
    clips=PAPER_SAMPLES,
    list_clips=list_clips,
    read_clip=read_clip,
)
