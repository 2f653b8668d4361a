"""The stages, one file each; function, command, DVC stage and params section share one name."""

if __name__ != "avsynth.pipelines":
    raise ImportError(f"import this package as avsynth.pipelines, not as {__name__}")

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """The facts about a stage that the command line needs before it imports the stage."""

    help: str
    items: tuple[str, ...] = ()
    """Arguments of the command besides the options, e.g. the source of ``avsynth masks lvis``."""


STAGES: dict[str, Stage] = {
    "fetch": Stage("Download raw data; the only stage with network access.", ("source",)),
    "categories": Stage("Choose the categories to build."),
    "masks": Stage("Read the instance masks of a source into a table.", ("source",)),
    "audio": Stage("Read and measure the clips of a source into a table.", ("source",)),
    "exclusions": Stage("List the videos, masks and clips that may not be used."),
    "match": Stage("Pair masks with clips and assign the splits."),
    "shard": Stage("Write the triplets as WebDataset tars."),
    "inputs": Stage("Record digests of the checkpoints and lists of params.yaml."),
    "convert": Stage("Write a benchmark's official layout as shards.", ("benchmark",)),
    "train": Stage("Train a model on AVS-Synthetic and score its test split.", ("model",)),
    "zeroshot": Stage(
        "Score a model trained on AVS-Synthetic on a real benchmark.", ("model", "benchmark")
    ),
    "fewshot": Stage(
        "Train on a share of real data, with and without pre-training.",
        ("model", "benchmark", "percent"),
    ),
    "s4_to_ms3": Stage("Fine-tune from S4 to MS3, with and without pre-training.", ("model",)),
    "v3_base": Stage("Train on the seen categories of V3, score the unseen ones.", ("model",)),
    "v3_shots": Stage("Fine-tune on shots of V3's unseen categories.", ("model", "shots")),
    "ablate": Stage("Train and score one change to a model.", ("name",)),
    "report": Stage("Write the page, tables and metrics of all score rows."),
}
