"""The records of one scored frame or sample: lines of ``reports/scores/<stage>/<run>.csv``.

Every file holds one run. What the rows of a run have in common is `RunFacts`, one fact per column,
so that tables, matches and views compare columns; text for people is made when a table is drawn
(`avsynth.reports.fact_text`).
"""

from dataclasses import dataclass
from typing import Literal

Audio = Literal["own", "silence", "noise", "other"]
AUDIO: tuple[Audio, ...] = ("own", "silence", "noise", "other")
"""Audio that a frame is paired with in the audio test; ``own`` is the frame's own."""


@dataclass(frozen=True)
class Sample:
    """The scored sample."""

    key: str
    clip_key: str
    category: str
    version: str
    """Of the benchmark's data."""


@dataclass(frozen=True)
class RunFacts:
    """How a model was built and trained, and what it was scored on.

    Training goes through at most three datasets, in this order: ``pretrained_on``, ``trained_on``,
    ``finetuned_on``; each is a key of `avsynth.benchmarks.BENCHMARKS` or empty. A model that was
    trained on one dataset has it in ``trained_on``; an untrained one has three empty columns.
    """

    run: str
    """Unique within its stage: the name of the score file."""
    model: str
    benchmark: str
    """The dataset that is scored."""
    split: str
    protocol: str
    """A name of `avsynth.metrics.frames.PROTOCOLS`; of localisation ``consensus`` or ``union``."""
    architecture: str
    """Of the image encoder, e.g. ``vit_h``."""
    input_size: int
    """Side of the model's input in pixels."""
    pretrained_on: str
    """``synthetic`` where a run on real data started from a model trained on AVS-Synthetic."""
    trained_on: str
    finetuned_on: str
    real_percent: int
    """Share of the real training clips that was used, 0..100; 0 without real data."""
    shots: int
    """Labelled clips of each unseen category of V3; 0 elsewhere."""
    ablation: str
    """Builder's parameters that were changed, e.g. ``num_adapters=2``; empty for none."""
    prompt: str
    """How an untrained model is prompted by the ground truth; empty for trained models."""


@dataclass(frozen=True)
class FrameRow(RunFacts, Sample):
    """One frame scored under one protocol; its table is sorted by ``key``.

    The columns are sufficient: every F of every table follows from ``histogram`` (packed by
    `avsynth.metrics.fmeasure.pack`, about 300 characters), every IoU from the rest.
    """

    iou: float
    """At the protocol's threshold, with its rule for an empty ground truth."""
    fscore: float
    """Best F of the frame alone; NaN where the ground truth is empty."""
    inter_px: int
    union_px: int
    gt_px: int
    pred_px: int
    histogram: str
    num_frames: int
    frame_index: int


@dataclass(frozen=True)
class AudioRow(FrameRow):
    """A `FrameRow` of the audio test."""

    audio: str
    """A value of `AUDIO`."""
    audio_key: str
    """The sample that the audio is taken from; empty for silence and noise."""


@dataclass(frozen=True)
class LocalisationRow(RunFacts, Sample):
    """One sample's localisation scores: the ground truth is boxes."""

    ciou: float
    pixel_ap: float
    piap: float
