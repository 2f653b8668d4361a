"""The datasets that `avsynth convert` reads: the benchmarks and AVS-Synthetic's release.

They are not in `BENCHMARKS`, because the release needs the table of categories, and a stage that
trains a model must not depend on it.
"""

from avsynth.benchmarks import BENCHMARKS, Benchmark, avs_synthetic_release
from avsynth.runtime.errors import ConfigError, suggest

RELEASE = avs_synthetic_release.NAME
"""Name of AVS-Synthetic's published release in ``convert.roots`` and in `avsynth convert`."""
_CONVERTIBLE = {**BENCHMARKS, RELEASE: avs_synthetic_release.BENCHMARK}


def convertible(name: str) -> Benchmark:
    """Return the benchmark that a name in ``convert.roots`` stands for.

    Raises:
        ConfigError: there is no benchmark of this name.
    """
    if name not in _CONVERTIBLE:
        raise ConfigError("convert.roots", "a benchmark", repr(name), suggest(name, _CONVERTIBLE))
    return _CONVERTIBLE[name]
