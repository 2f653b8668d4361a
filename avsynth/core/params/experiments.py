"""The sections of params.yaml behind the shards: models, training, scores."""

from typing import Annotated, Literal

from pydantic import Field

from avsynth.core.params.base import ParamsModel, PositiveInt


class VggishParams(ParamsModel):
    """The frozen sound network that all models but AV-SAM hear through."""

    size: Literal["full", "tiny"]
    checkpoint: str | None
    """``vggish-10086976.pth``, or null for seeded random weights."""


class TrainingParams(ParamsModel):
    """One training run."""

    optimizer: Literal["adamw", "adam"]
    lr: Annotated[float, Field(gt=0)]
    min_lr: Annotated[float, Field(ge=0)]
    """Where the cosine ends."""
    weight_decay: Annotated[float, Field(ge=0)]
    epochs: PositiveInt
    validate_every: PositiveInt = 1
    """Epochs from one validation to the next; the last epoch always has one."""
    batch_size: PositiveInt
    """Frames in a step, over all devices: the effective batch."""
    micro_batch: PositiveInt
    """Frames in a forward pass of one device; gradients of a step are accumulated over them."""
    bf16: bool
    checkpointing: bool = False
    """Recompute the image encoder's blocks in the backward pass: less memory, more time."""
    compile: bool = False
    """Compile the image encoder's blocks (``torch.compile``); needs a C++ compiler."""
    shard: Literal["none", "fsdp2"] = "none"
    """``fsdp2``: processes that train together hold the model cut into parts, not one copy each."""


class ModelParams(ParamsModel):
    """One system: its backbone, what its builder takes besides, and how it is trained."""

    architecture: str
    checkpoint: str | None
    """SAM's official weights, or null for seeded random ones."""
    input_size: PositiveInt
    cache_embeddings: bool
    """Keep what a frozen image encoder says of a picture: rounded to bfloat16, computed once. Of
    no effect where the encoder trains or the sound enters it (sama_avs, save)."""
    build: dict[str, int | float | str | bool | None]
    train: TrainingParams


class ConvertParams(ParamsModel):
    """Benchmarks in their official layouts, by the folder that each lies in."""

    roots: dict[str, str]
    samples_per_shard: PositiveInt


class TrainParams(ParamsModel):
    """What is trained on AVS-Synthetic."""

    models: tuple[str, ...]


class EvaluateParams(ParamsModel):
    """How predictions are scored."""

    protocol: str
    """A name of avsynth.metrics.frames.PROTOCOLS."""
    frame_size: PositiveInt | None
    """Side of the square that masks are compared on; null for each picture's own size."""
    batch_size: PositiveInt
    """Frames in a forward pass; changes no score."""
    pictures: PositiveInt
    """Best, median and worst frames of a run, each, whose masks are kept for the report."""


class ZeroshotParams(ParamsModel):
    """Models trained on AVS-Synthetic, tested on benchmarks that they have not seen."""

    models: tuple[str, ...]
    benchmarks: tuple[str, ...]


class FewshotParams(ParamsModel):
    """Training on a share of a benchmark's real data, with and without pre-training."""

    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    percents: tuple[Annotated[int, Field(ge=0, le=100)], ...]
    epochs: PositiveInt
    lr: Annotated[float, Field(gt=0)]
    order: dict[str, str]
    """Benchmark to the official shuffled csv that says which clips come first."""


class S4ToMs3Params(ParamsModel):
    """S4 -> MS3, and AVS-Synthetic -> S4 -> MS3."""

    models: tuple[str, ...]
    epochs: PositiveInt
    lr: Annotated[float, Field(gt=0)]


class V3BaseParams(ParamsModel):
    """V3: train on the seen categories; the unseen ones are tested with 0 shots."""

    models: tuple[str, ...]
    epochs: PositiveInt
    lr: Annotated[float, Field(gt=0)]


class V3ShotsParams(ParamsModel):
    """V3: go on from `V3BaseParams` with shots of the unseen categories."""

    models: tuple[str, ...]
    shots: tuple[Literal[1, 3, 5], ...]
    epochs: PositiveInt
    lr: Annotated[float, Field(gt=0)]


class Ablation(ParamsModel):
    """One change to a model, trained and tested on a benchmark."""

    model: str
    benchmark: str
    setting: str
    """What the tables call it, e.g. ``2 adapters``."""
    build: dict[str, int | float | str | bool | None]


class AblateParams(ParamsModel):
    """Ablations by name."""

    runs: dict[str, Ablation]
    epochs: PositiveInt
    lr: Annotated[float, Field(gt=0)]


class ReportParams(ParamsModel):
    """The page that is made of the score rows."""

    draws: PositiveInt
    """Bootstrap resamplings behind every 95 % interval."""
    mix: bool
    """Allow one benchmark in several versions or protocols, each a line of its own."""
