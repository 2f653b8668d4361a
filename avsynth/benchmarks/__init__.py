"""Registry of the benchmarks: one module each, one `Benchmark` record each; no torch needed."""

from avsynth.benchmarks import avs_synthetic_release, flickr, ms3, s4, synthetic, v2, v3
from avsynth.benchmarks.base import Benchmark, Clip, Finding
from avsynth.runtime.errors import ConfigError, suggest

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

RELEASE = "avs-synthetic"
"""Name of AVS-Synthetic's published release in ``convert.roots`` and in `avsynth convert`."""
_CONVERTIBLE = {**BENCHMARKS, RELEASE: avs_synthetic_release.BENCHMARK}

__all__ = ["BENCHMARKS", "RELEASE", "Benchmark", "Clip", "Finding", "convertible"]


def convertible(name: str) -> Benchmark:
    """Return the benchmark that a name in ``convert.roots`` stands for.

    Raises:
        ConfigError: there is no benchmark of this name.
    """
    if name not in _CONVERTIBLE:
        raise ConfigError("convert.roots", "a benchmark", repr(name), suggest(name, _CONVERTIBLE))
    return _CONVERTIBLE[name]
