"""The records that stages pass to each other: frozen, slotted, free of torch and pandas."""

from dataclasses import dataclass

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Category:
    """One category of the vocabulary, with its name in each source.

    Every name field is a tuple: a category may have several labels in a source, or none at all.
    """

    name: str
    lvis: tuple[str, ...] = ()
    openimages: tuple[str, ...] = ()
    """Open Images MIDs, e.g. ``/m/0bt9lr``."""
    coco: tuple[str, ...] = ()
    avsbench: tuple[str, ...] = ()
    vggsound: tuple[str, ...] = ()
    audioset: tuple[str, ...] = ()
    """AudioSet display names, e.g. ``Bark``."""


@dataclass(frozen=True, slots=True)
class MaskRecord:
    """One instance mask of one image.

    ``status`` is ``ok`` or ``dropped``; a dropped record has a ``reason``, and an
    empty ``rle`` if the mask could not be read.
    """

    mask_id: str
    """Unique inside the source, kept as a string (Open Images ids are hexadecimal)."""
    source: str
    category: str
    image_id: str
    """Equal for the same image in any source: ``coco/<12 digits>`` for LVIS and COCO,
    ``coco/<path>`` for their images whose number is not unique, ``openimages/<16 hex>`` for Open
    Images."""
    image_path: str
    """Relative to the source's root folder, POSIX separators."""
    height_px: int
    width_px: int
    rle: str
    """COCO compressed run lengths over the whole image (column-major, ASCII)."""
    x0_px: int
    y0_px: int
    x1_px: int
    y1_px: int
    """Tight box of the mask's pixels: ``x0 <= x < x1``, ``y0 <= y < y1``."""
    area_frac: float
    """Mask pixels divided by image pixels, 0..1."""
    split_hint: str = ""
    """The source's own split (``train``, ``val``, ``test``) or empty."""
    licence: str = ""
    url: str = ""
    status: str = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AudioClip:
    """One audio clip with its label.

    ``second_db`` lists the loudness of every whole second in dBFS, space-separated, one decimal
    (``-inf`` for digital silence), so that a triplet can use a second that is not silent.
    """

    clip_id: str
    source: str
    category: str
    label: str
    """The source's own label, untouched."""
    video_id: str
    """The YouTube id, or the recording's id for folders. It is in one split only."""
    audio_path: str
    """Relative to the source's root folder, POSIX separators."""
    start_s: float
    duration_s: float
    sample_rate_hz: int
    rms_db: float
    second_db: str = ""
    split_hint: str = ""
    licence: str = ""
    url: str = ""
    status: str = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Triplet:
    """One (image, mask, audio) triplet: a mask, a clip of the same category, a second of it."""

    triplet_id: str
    split: str
    category: str
    mask_source: str
    mask_id: str
    clip_source: str
    clip_id: str
    second: int
    status: str = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One shard record: one frame with its second of audio, as bytes ready for the tar.

    ``logmel_npy`` and ``audio_flac`` describe the same second; ``meta`` is plain JSON data.
    """

    key: str
    image: bytes
    image_ext: str
    """``jpg`` or ``png``: the source's own bytes, never encoded again."""
    mask_png: bytes
    """One-bit or 8-bit grey PNG of the image's size, 0 background, foreground otherwise."""
    audio_flac: bytes
    """Mono 16 kHz."""
    logmel_npy: bytes
    """float32 ``[1, 96, 64]`` in npy format."""
    meta: dict[str, object]


@dataclass(frozen=True, slots=True)
class Drop:
    """One item that a stage dropped, and the reason: a counted row, never a log line."""

    stage: str
    source: str
    item: str
    category: str
    reason: str
