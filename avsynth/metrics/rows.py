"""The records of one scored frame or sample: lines of ``reports/scores/<stage>/<run>.csv``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One frame scored under one protocol; its table is sorted by ``key``.

    The columns are sufficient: every F of every table follows from ``histogram`` (packed by
    `avsynth.metrics.fmeasure.pack`, about 300 characters), every IoU from the rest.
    """

    key: str
    clip_key: str
    benchmark: str
    version: str
    model: str
    regime: str
    protocol: str
    """A name of `avsynth.metrics.frames.PROTOCOLS`."""
    category: str
    iou: float
    """With the protocol's cut and its rule for an empty ground truth."""
    fscore: float
    """Best F of the frame alone; NaN where the ground truth is empty."""
    inter_px: int
    union_px: int
    gt_px: int
    pred_px: int
    histogram: str


@dataclass(frozen=True, slots=True)
class FrameRow(ScoreRow):
    """A `ScoreRow` with where it comes from: a line of ``reports/scores/<stage>/<run>.csv``."""

    split: str
    run: str
    """Name of the run, unique within its stage."""
    setting: str
    """How the model was trained, in the words of the papers' tables."""
    num_frames: int
    frame_index: int


@dataclass(frozen=True, slots=True)
class Labels:
    """What the rows of an evaluation have in common."""

    stage: str
    run: str
    model: str
    benchmark: str
    setting: str
    regime: str
    """What it was trained on, one after another, e.g. ``synthetic+s4``; ``none`` untrained."""
    split: str = "test"


@dataclass(frozen=True, slots=True)
class SoundRow(FrameRow):
    """A `FrameRow` of the audio test."""

    sound: str
    """``own``, ``silence``, ``noise`` or ``other``: what was played."""
    sound_key: str
    """The sample whose sound was played; empty for silence and noise."""


@dataclass(frozen=True, slots=True)
class LocalisationRow:
    """One sample's localisation scores: a line of ``reports/scores/<stage>/<run>.csv``."""

    key: str
    clip_key: str
    benchmark: str
    version: str
    model: str
    regime: str
    protocol: str
    """``consensus`` (Flickr-SoundNet) or ``union`` (VGG-SS): how the truth was drawn."""
    category: str
    ciou: float
    pixel_ap: float
    piap: float
    split: str
    run: str
    """Name of the run, unique within its stage."""
    setting: str
    """How the model was trained, in the words of the papers' tables."""
