"""The sample cards of a report: image, ground truth, prediction, spectrogram and audio."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from avsynth.core.paths import Layout, dataset_of
from avsynth.formats.images import decode_image, decode_mask, shrink
from avsynth.formats.render import (
    GROUND_TRUTH,
    PREDICTION,
    audio_uri,
    jpeg_uri,
    overlay,
    png_uri,
    spectrogram,
)
from avsynth.formats.shards import ShardReader
from avsynth.metrics.rows import AUDIO
from avsynth.runtime.errors import DataError

LONGEST_PX = 240


@dataclass(frozen=True, slots=True)
class CardImage:
    """One image of a card, as a data URI."""

    uri: str
    alt: str
    caption: str
    audio: str = ""
    """Audio of this image alone: a FLAC as a data URI, or nothing."""


@dataclass(frozen=True, slots=True)
class Card:
    """One sample: title, remark, images and audio."""

    title: str
    remark: str
    images: tuple[CardImage, ...]
    audio: str = ""
    key: str = ""
    wide: bool = False
    """Takes the whole width: its images are side by side."""


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards under one heading; ``missing`` names what could not be shown."""

    title: str
    cards: tuple[Card, ...]
    missing: str = ""


class SampleImages:
    """The images, audio and stored predictions of scored frames."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._reader = lru_cache(maxsize=None)(self._open)

    def parts(self, benchmark: str, key: str) -> dict[str, bytes] | None:
        """Read a frame's shard members; None when its shards are absent."""
        reader, keys = self._reader(benchmark)
        return reader.parts(key) if reader and key in keys else None

    def prediction(self, stage: str, run: str, key: str) -> np.ndarray | None:
        """Read a stored prediction: bool ``[H, W]``, or None."""
        path = self.prediction_path(stage, run, key)
        return decode_mask(path.read_bytes()) if path.is_file() else None

    def prediction_path(self, stage: str, run: str, key: str) -> Path:
        """Return the path where the evaluation stores a predicted mask."""
        return self.layout.predictions / stage / run / f"{key}.png"

    def _open(self, benchmark: str) -> tuple[ShardReader | None, frozenset[str]]:
        try:
            reader = ShardReader(self.layout.shards(dataset_of(benchmark)))
        except DataError:
            return None, frozenset()
        return reader, frozenset(reader.keys)


def score_cards(images: SampleImages, rows: pd.DataFrame, title: str, by: str = "iou") -> Cards:
    """Build the cards of one scored run, best first: the frames whose prediction is kept.

    The evaluation keeps the same number of best, median and worst frames.

    Args:
        images: of the project.
        rows: of one run on one benchmark.
        title: heading.
        by: the column of the score, ``iou`` or ``ciou``.
    """
    first = rows.iloc[0]
    kept = [images.prediction_path(first["stage"], first["run"], k).is_file() for k in rows["key"]]
    shown = rows[kept].sort_values([by, "key"], ascending=[False, True])
    cards = []
    for place, (_, row) in enumerate(shown.iterrows()):
        parts = images.parts(row["benchmark"], row["key"])
        if parts is None:
            where = images.layout.shards(dataset_of(row["benchmark"]))
            return Cards(title, (), f"The shards are not in {_relative(images, where)}.")
        predicted = images.prediction(row["stage"], row["run"], row["key"])
        word = ("best", "median", "worst")[3 * place // len(shown)]
        name = {"iou": "IoU", "ciou": "CIoU"}[by]
        remark = f"{word} · {name} {100 * row[by]:.1f} %"
        cards.append(_card(row, remark, parts, predicted))
    if not cards:
        where = images.prediction_path(first["stage"], first["run"], "x").parent
        return Cards(title, (), f"No predicted masks are stored in {_relative(images, where)}.")
    return Cards(title, tuple(cards))


def audio_cards(images: SampleImages, audio_test: pd.DataFrame, title: str) -> Cards:
    """Build the cards of the audio test: one image, a prediction for every audio.

    The evaluation keeps the frames of different categories that score best with their own audio.
    """
    own = audio_test[audio_test["audio"] == "own"].sort_values(
        ["iou", "key"], ascending=[False, True]
    )
    cards: list[Card] = []
    for _, row in own.iterrows():
        kept = images.prediction_path(row["stage"], row["run"], f"{row['key']}.own").is_file()
        card = _audio_card(images, audio_test[audio_test["key"] == row["key"]]) if kept else None
        cards += [card] if card else []
    missing = "" if cards else "No images or predicted masks of the audio test are stored."
    return Cards(title, tuple(cards), missing)


def _audio_card(images: SampleImages, of_key: pd.DataFrame) -> Card | None:
    """Build the card of one image, or None when a part of it is not stored."""
    first = of_key.iloc[0]
    category = first["category"]
    parts = images.parts(first["benchmark"], first["key"])
    if parts is None:
        return None
    image = shrink(decode_image(_image_bytes(parts)), LONGEST_PX)
    shown = [_truth_image(image, parts, category)]
    for audio in AUDIO:
        for _, row in of_key[of_key["audio"] == audio].iterrows():
            predicted = images.prediction(row["stage"], row["run"], f"{row['key']}.{audio}")
            if predicted is None:
                return None
            painted = _prediction_image(image, predicted, category)
            name, flac = _audio_of(images, row, parts)
            caption = f"{name}: {100 * predicted.mean():.1f} % marked"
            alt = f"{painted.alt}; the audio is {name}"
            shown.append(CardImage(painted.uri, alt, caption, audio_uri(flac) if flac else ""))
    return Card(category, "", tuple(shown), key=first["key"], wide=True)


def _audio_of(images: SampleImages, row: pd.Series, parts: dict[str, bytes]) -> tuple[str, bytes]:
    """Return the name and the FLAC of a row's audio; silence has no FLAC."""
    if row["audio"] == "own":
        return "own audio", parts["audio.flac"]
    if row["audio"] == "other":
        other = images.parts(row["benchmark"], row["audio_key"])
        name = row["audio_key"].rpartition("-")[0] or "another category"
        return f"audio of {name}", other["audio.flac"] if other else b""
    path = images.prediction_path(row["stage"], row["run"], f"{row['key']}.{row['audio']}")
    stored = path.with_suffix(".flac")
    name = "white noise" if row["audio"] == "noise" else "silence"
    return name, stored.read_bytes() if stored.is_file() else b""


def _card(
    row: pd.Series, remark: str, parts: dict[str, bytes], predicted: np.ndarray | None
) -> Card:
    category = row["category"]
    image = shrink(decode_image(_image_bytes(parts)), LONGEST_PX)
    shown = [
        CardImage(jpeg_uri(image), f"Image {row['key']}, category {category}", "image"),
        _truth_image(image, parts, category),
    ]
    if predicted is not None:
        shown.append(_prediction_image(image, predicted, category))
    shown.append(spectrogram_image(parts, category))
    return Card(category, remark, tuple(shown), audio_uri(parts["audio.flac"]), row["key"])


def spectrogram_image(parts: dict[str, bytes], category: str) -> CardImage:
    """Draw the log-mel of a sample."""
    bands = np.load(io.BytesIO(parts["logmel.npy"]), allow_pickle=False)
    uri = png_uri(spectrogram(bands))
    return CardImage(uri, f"Log-mel spectrogram of one second of {category}", "audio, 0.96 s")


def _truth_image(image: np.ndarray, parts: dict[str, bytes], category: str) -> CardImage:
    painted = overlay(image, decode_mask(parts["mask.png"]), GROUND_TRUTH)
    alt = f"Ground-truth mask of the {category}, in green"
    return CardImage(jpeg_uri(painted), alt, "ground truth")


def _prediction_image(image: np.ndarray, predicted: np.ndarray, category: str) -> CardImage:
    painted = overlay(image, predicted, PREDICTION)
    covers = f"covers {100 * predicted.mean():.0f} % of the image"
    alt = f"Predicted mask for the {category}, in orange; it {covers}"
    return CardImage(jpeg_uri(painted), alt, "prediction")


def _image_bytes(parts: dict[str, bytes]) -> bytes:
    return next(content for name, content in parts.items() if name.startswith("image."))


def _relative(images: SampleImages, path: Path) -> str:
    return path.relative_to(images.layout.root).as_posix()
