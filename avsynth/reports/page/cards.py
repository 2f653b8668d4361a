"""The pictures of a report: samples chosen by score, with truth, prediction, spectrogram, sound."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from avsynth.core.paths import Layout, dataset_of
from avsynth.formats.images import decode_image, decode_mask, shrink
from avsynth.formats.render import (
    PREDICTION,
    TRUTH,
    jpeg_uri,
    overlay,
    png_uri,
    sound_uri,
    spectrogram,
)
from avsynth.formats.shards import ShardReader
from avsynth.reports.read_scores import SOUNDS
from avsynth.runtime.errors import DataError

LONGEST_PX = 240


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a card, as a data URI."""

    uri: str
    alt: str
    caption: str
    sound: str = ""
    """What belongs to this picture alone: a FLAC as a data URI, or nothing."""


@dataclass(frozen=True, slots=True)
class Card:
    """One sample: what stands above it, its pictures, its sound."""

    title: str
    remark: str
    pictures: tuple[Picture, ...]
    sound: str = ""
    key: str = ""
    wide: bool = False
    """Takes the whole width: its pictures stand side by side."""


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards under one heading; ``missing`` says what could not be shown."""

    title: str
    cards: tuple[Card, ...]
    missing: str = ""


class Album:
    """Finds the pictures, sounds and stored predictions of scored frames."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._reader = lru_cache(maxsize=None)(self._open)

    def parts(self, benchmark: str, key: str) -> dict[str, bytes] | None:
        """Read a frame's shard members; None when its shards are not here."""
        reader, keys = self._reader(benchmark)
        return reader.parts(key) if reader and key in keys else None

    def prediction(self, stage: str, run: str, key: str) -> np.ndarray | None:
        """Read a stored prediction: bool ``[H, W]``, or None."""
        path = self.prediction_path(stage, run, key)
        return decode_mask(path.read_bytes()) if path.is_file() else None

    def prediction_path(self, stage: str, run: str, key: str) -> Path:
        """Spell where the evaluation leaves a predicted mask."""
        return self.layout.predictions / stage / run / f"{key}.png"

    def _open(self, benchmark: str) -> tuple[ShardReader | None, frozenset[str]]:
        try:
            reader = ShardReader(self.layout.shards(dataset_of(benchmark)))
        except DataError:
            return None, frozenset()
        return reader, frozenset(reader.keys)


def score_cards(album: Album, rows: pd.DataFrame, title: str, by: str = "iou") -> Cards:
    """Make the cards of one scored run, best first: the frames whose prediction is kept.

    The evaluation keeps the best, the median and the worst, as many of each.

    Args:
        album: where pictures and predictions lie.
        rows: of one run on one benchmark.
        title: heading.
        by: the column of the score, ``iou`` or ``ciou``.
    """
    first = rows.iloc[0]
    kept = [album.prediction_path(first["stage"], first["name"], k).is_file() for k in rows["key"]]
    shown = rows[kept].sort_values([by, "key"], ascending=[False, True])
    cards = []
    for place, (_, row) in enumerate(shown.iterrows()):
        parts = album.parts(row["benchmark"], row["key"])
        if parts is None:
            where = album.layout.shards(dataset_of(row["benchmark"]))
            return Cards(title, (), f"The shards are not in {_relative(album, where)}.")
        predicted = album.prediction(row["stage"], row["name"], row["key"])
        word = ("best", "median", "worst")[3 * place // len(shown)]
        name = {"iou": "IoU", "ciou": "CIoU"}[by]
        remark = f"{word} · {name} {100 * row[by]:.1f} %"
        cards.append(_card(row, remark, parts, predicted))
    if not cards:
        where = album.prediction_path(first["stage"], first["name"], "x").parent
        return Cards(title, (), f"No predicted masks are stored in {_relative(album, where)}.")
    return Cards(title, tuple(cards))


def sound_cards(album: Album, sounds: pd.DataFrame, title: str) -> Cards:
    """Make the cards of the audio test: one picture, a prediction for every sound.

    The evaluation keeps those where the run does best with their own sound, of different
    categories.
    """
    own = sounds[sounds["sound"] == "own"].sort_values(["iou", "key"], ascending=[False, True])
    cards: list[Card] = []
    for _, row in own.iterrows():
        kept = album.prediction_path(row["stage"], row["name"], f"{row['key']}.own").is_file()
        card = _sound_card(album, sounds[sounds["key"] == row["key"]]) if kept else None
        cards += [card] if card else []
    missing = "" if cards else "No pictures or predicted masks of the audio test are stored."
    return Cards(title, tuple(cards), missing)


def _sound_card(album: Album, of_key: pd.DataFrame) -> Card | None:
    """Make the card of one picture, or None when a part of it is not stored."""
    first = of_key.iloc[0]
    category = first["category"]
    parts = album.parts(first["benchmark"], first["key"])
    if parts is None:
        return None
    image = shrink(decode_image(_image_bytes(parts)), LONGEST_PX)
    pictures = [_truth_picture(image, parts, category)]
    for sound in SOUNDS:
        for _, row in of_key[of_key["sound"] == sound].iterrows():
            predicted = album.prediction(row["stage"], row["name"], f"{row['key']}.{sound}")
            if predicted is None:
                return None
            picture = _prediction_picture(image, predicted, category)
            name, flac = _sound_of(album, row, parts)
            caption = f"{name}: {100 * predicted.mean():.1f} % marked"
            alt = f"{picture.alt}, heard with {name}"
            pictures.append(Picture(picture.uri, alt, caption, sound_uri(flac) if flac else ""))
    return Card(category, "", tuple(pictures), key=first["key"], wide=True)


def _sound_of(album: Album, row: pd.Series, parts: dict[str, bytes]) -> tuple[str, bytes]:
    """Name the sound of a row of the audio test and find its FLAC; silence has none."""
    if row["sound"] == "own":
        return "own sound", parts["audio.flac"]
    if row["sound"] == "other":
        other = album.parts(row["benchmark"], row["sound_key"])
        name = row["sound_key"].rpartition("-")[0] or "another category"
        return f"sound of {name}", other["audio.flac"] if other else b""
    path = album.prediction_path(row["stage"], row["name"], f"{row['key']}.{row['sound']}")
    stored = path.with_suffix(".flac")
    name = "white noise" if row["sound"] == "noise" else "silence"
    return name, stored.read_bytes() if stored.is_file() else b""


def _card(
    row: pd.Series, remark: str, parts: dict[str, bytes], predicted: np.ndarray | None
) -> Card:
    category = row["category"]
    image = shrink(decode_image(_image_bytes(parts)), LONGEST_PX)
    pictures = [
        Picture(jpeg_uri(image), f"Picture {row['key']}, category {category}", "picture"),
        _truth_picture(image, parts, category),
    ]
    if predicted is not None:
        pictures.append(_prediction_picture(image, predicted, category))
    pictures.append(spectrogram_picture(parts, category))
    return Card(category, remark, tuple(pictures), sound_uri(parts["audio.flac"]), row["key"])


def spectrogram_picture(parts: dict[str, bytes], category: str) -> Picture:
    """Draw the log-mel of a sample."""
    bands = np.load(io.BytesIO(parts["logmel.npy"]), allow_pickle=False)
    uri = png_uri(spectrogram(bands))
    return Picture(uri, f"Log-mel spectrogram of one second of {category}", "sound, 0.96 s")


def _truth_picture(image: np.ndarray, parts: dict[str, bytes], category: str) -> Picture:
    painted = overlay(image, decode_mask(parts["mask.png"]), TRUTH)
    return Picture(jpeg_uri(painted), f"True mask of the {category}, in green", "truth")


def _prediction_picture(image: np.ndarray, predicted: np.ndarray, category: str) -> Picture:
    painted = overlay(image, predicted, PREDICTION)
    covers = f"covers {100 * predicted.mean():.0f} % of the picture"
    alt = f"Predicted mask for the {category}, in orange; it {covers}"
    return Picture(jpeg_uri(painted), alt, "prediction")


def _image_bytes(parts: dict[str, bytes]) -> bytes:
    return next(content for name, content in parts.items() if name.startswith("image."))


def _relative(album: Album, path: Path) -> str:
    return path.relative_to(album.layout.root).as_posix()
