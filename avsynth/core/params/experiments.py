"""The sections of params.yaml that use the shards: models, training, scores."""

from typing import Annotated, Literal

from pydantic import Field

from avsynth.core.params.base import ParamsModel, PositiveInt


class VggishParams(ParamsModel):
    """The frozen audio encoder of all models except AV-SAM."""

    size: Literal["full", "tiny"]
    checkpoint: str | None
    """``vggish-10086976.pth``, or null for seeded random weights."""


class TrainingParams(ParamsModel):
    """One training run."""

    optimizer: Literal["adamw", "adam"]
    lr: Annotated[float, Field(gt=0)]
    min_lr: Annotated[float, Field(ge=0)]
    """The learning rate at the end of the cosine schedule."""
    weight_decay: Annotated[float, Field(ge=0)]
    epochs: PositiveInt
    validate_every: PositiveInt = 1
    """Epochs from one validation to the next; the last epoch always has one."""
    batch_size: PositiveInt
    """Frames in a step, summed over all devices."""
    micro_batch: PositiveInt
    """Frames in a forward pass of one device; gradients of a step are accumulated over them."""
    bf16: bool
    checkpointing: bool = False
    """Recompute the image encoder's blocks in the backward pass: less memory, more time."""
    compile: bool = False
    """Compile the image encoder's blocks (``torch.compile``); needs a C++ compiler."""
    shard: Literal["none", "fsdp2"] = "none"
    """``fsdp2``: each process holds a shard of the model's parameters, not a full copy."""


class ModelParams(ParamsModel):
    """One model: its backbone, its builder's other arguments, and its training."""

    architecture: str
    checkpoint: str | None
    """SAM's official weights, or null for seeded random ones."""
    input_size: PositiveInt
    cache_embeddings: bool
    """Cache the outputs of a frozen image encoder, rounded to bfloat16. No effect where the encoder
    is trained or depends on the audio (sama_avs, save)."""
    build: dict[str, int | float | str | bool | None]
    train: TrainingParams


class ConvertParams(ParamsModel):
    """Benchmarks with the folders of their official layouts."""

    roots: dict[str, str]
    samples_per_shard: PositiveInt


class TrainParams(ParamsModel):
    """The models that are trained on AVS-Synthetic."""

    models: tuple[str, ...]


class EvaluateParams(ParamsModel):
    """How predictions are scored."""

    protocol: str
    """A name of avsynth.metrics.frames.PROTOCOLS."""
    frame_size: PositiveInt | None
    """Side of the square that masks are compared on; null for each image's own size."""
    batch_size: PositiveInt
    """Frames in a forward pass; changes no score."""
    example_frames: PositiveInt
    """Number of best, of median and of worst frames whose masks are kept for the report."""


class ZeroshotParams(ParamsModel):
    """Models trained on AVS-Synthetic, tested on real benchmarks without training on them."""

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
    """Benchmark to the official shuffled csv, whose order decides which clips are used first."""


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
    """V3: continue from `V3BaseParams` with shots of the unseen categories."""

    models: tuple[str, ...]
    shots: tuple[Literal[1, 3, 5], ...]
    epochs: PositiveInt
    lr: Annotated[float, Field(gt=0)]


class Ablation(ParamsModel):
    """One change to a model, trained and tested on a benchmark."""

    model: str
    benchmark: str
    build: dict[str, int | float | str | bool | None]


class AblateParams(ParamsModel):
    """Ablations by name."""

    runs: dict[str, Ablation]
    epochs: PositiveInt
    lr: Annotated[float, Field(gt=0)]


class ReportParams(ParamsModel):
    """The report on the score rows."""

    draws: PositiveInt
    """Bootstrap resamplings for every 95 % interval."""
    mix: bool
    """Allow several versions or protocols of one benchmark, each in its own row."""
