"""`Layout`: the only place that spells a path inside a project folder."""

from dataclasses import dataclass
from pathlib import Path

from avsynth.core.names import safe_name
from avsynth.runtime.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies below a project's root folder."""

    root: Path

    def resolve(self, path: str) -> Path:
        """Turn a path of params.yaml (relative to the project, or absolute) into a real one."""
        return self.root / Path(path).expanduser()

    @property
    def raw(self) -> Path:
        """Raw data as its publishers give it out."""
        return self.root / "data" / "raw"

    @property
    def release(self) -> Path:
        """AVS-Synthetic as its authors give it out."""
        return self.raw / "avs_synthetic"

    @property
    def interim(self) -> Path:
        """Tables between the stages."""
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

    @property
    def triplets_csv(self) -> Path:
        """The matched triplets."""
        return self.interim / "triplets.csv"

    @property
    def clips_csv(self) -> Path:
        """The clips that triplets may draw from, with their split."""
        return self.interim / "clips.csv"

    def shards(self, dataset: str) -> Path:
        """The tars of a dataset, with their index.json.

        Raises:
            ConfigError: ``dataset`` is a path, not the name of a folder.
        """
        fix = "Give the name of a folder below data/shards."
        return self.root / "data" / "shards" / safe_name(dataset, "--dataset", fix, ConfigError)

    def staging(self, dataset: str) -> Path:
        """Shards of a dataset that is being written."""
        return self.shards(dataset).parent / ".staging" / dataset

    def funnel(self, stage: str) -> Path:
        """What a stage took in, kept and dropped, and why."""
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
        """The database of what is looked at in FiftyOne: tags, edits, saved views."""
        return self.root / "data" / "inspect"

    @property
    def reports(self) -> Path:
        """Everything made for reading."""
        return self.root / "reports"
