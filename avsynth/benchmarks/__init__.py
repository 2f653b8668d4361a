"""Registry of the benchmarks: one module each, one `Benchmark` record each; no torch needed."""

from avsynth.benchmarks import flickr, ms3, s4, synthetic, v2, v3
from avsynth.benchmarks.base import Benchmark, Clip, Finding

BENCHMARKS: dict[str, Benchmark] = {
    "synthetic": synthetic.BENCHMARK,
    "s4": s4.BENCHMARK,
    "ms3": ms3.BENCHMARK,
    "v2": v2.BENCHMARK,
    "v3": v3.BY_SHOTS[0],
    "v3-1shot": v3.BY_SHOTS[1],
    "v3-3shot": v3.BY_SHOTS[3],
    "v3-5shot": v3.BY_SHOTS[5],
    "flickr": flickr.BENCHMARK,
}

__all__ = ["BENCHMARKS", "Benchmark", "Clip", "Finding"]
