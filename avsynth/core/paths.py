"""`Layout`, the only place that spells a path inside a project, and the names of datasets."""

from dataclasses import dataclass
from pathlib import Path

from avsynth.core.names import safe_name
from avsynth.runtime.errors import ConfigError

AVS_SYNTHETIC = "avs-synthetic"
"""The dataset that `avsynth build` writes: a folder below data/shards."""
SYNTHETIC = "synthetic"
"""The benchmark that `AVS_SYNTHETIC` is scored as."""


def dataset_of(benchmark: str) -> str:
    """Return the dataset that holds a benchmark: a folder below data/shards."""
    return AVS_SYNTHETIC if benchmark == SYNTHETIC else benchmark


def expand_home(path: str) -> Path:
    """Return a path with ``~`` replaced by the home folder.

    Raises:
        ConfigError: the user has no home folder, or there is no user of the name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        fix = "Write the path without ~."
        raise ConfigError(f"path {path!r}", "a home folder for ~", "none", fix) from None


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below a project's root folder."""

    root: Path

    def resolve(self, path: str) -> Path:
        """Return a path of params.yaml, which may be relative to the project or absolute."""
        return self.root / expand_home(path)

    @property
    def raw(self) -> Path:
        """Raw data in its publishers' layouts."""
        return self.root / "data" / "raw"

    @property
    def release(self) -> Path:
        """AVS-Synthetic as its authors released it."""
        return self.raw / "avs_synthetic"

    @property
    def interim(self) -> Path:
        """Tables that later stages read."""
        return self.root / "data" / "interim"

    @property
    def categories_csv(self) -> Path:
        """The chosen categories."""
        return self.interim / "categories.csv"

    def masks(self, source: str) -> Path:
        """The mask table of a source."""
        return self.interim / "masks" / f"{source}.parquet"

    def audio(self, source: str) -> Path:
        """The clip table of a source."""
        return self.interim / "audio" / f"{source}.parquet"

    def raw_files(self, kind: str, source: str) -> Path:
        """The digests of the raw files that a table of ``masks`` or ``audio`` names."""
        return self.interim / "files" / kind / f"{source}.csv"

    @property
    def exclusions_csv(self) -> Path:
        """The excluded videos of benchmarks, and the excluded masks and clips."""
        return self.interim / "exclusions.csv"

    def inputs(self, name: str) -> Path:
        """The digests of the single files that params.yaml names for a model."""
        return self.interim / "inputs" / f"{name}.json"

    @property
    def triplets_csv(self) -> Path:
        """The matched triplets."""
        return self.interim / "triplets.csv"

    @property
    def clips_csv(self) -> Path:
        """The clips that triplets are drawn from, with their splits."""
        return self.interim / "clips.csv"

    def shards(self, dataset: str) -> Path:
        """The shards of a dataset, with their index.json.

        Raises:
            ConfigError: ``dataset`` is a path, not the name of a folder.
        """
        fix = "Use the name of a folder below data/shards."
        return self.root / "data" / "shards" / safe_name(dataset, "--dataset", fix, ConfigError)

    def staging(self, dataset: str) -> Path:
        """The shards of a dataset while it is being written."""
        return self.shards(dataset).parent / ".staging" / dataset

    def funnel(self, stage: str) -> Path:
        """The funnel of a stage: what it kept and dropped, and why."""
        return self.root / "reports" / "funnel" / f"{stage}.csv"

    @property
    def scores(self) -> Path:
        """Per-sample score rows."""
        return self.root / "reports" / "scores"

    @property
    def predictions(self) -> Path:
        """Predicted masks that the report shows: ``<stage>/<run>/<key>.png``."""
        return self.root / "reports" / "predictions"

    @property
    def runs(self) -> Path:
        """Weights and training state, one folder per run."""
        return self.root / "runs"

    @property
    def inspect(self) -> Path:
        """FiftyOne's database: tags, edits, saved views."""
        return self.root / "data" / "inspect"

    @property
    def reports(self) -> Path:
        """Tables, pages and score rows."""
        return self.root / "reports"
