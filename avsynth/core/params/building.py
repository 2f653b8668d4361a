"""The sections of params.yaml from `fetch` to `shard`: how the data are built."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field

from avsynth.core.params.base import Fraction, ParamsModel, PositiveInt
from avsynth.runtime.errors import ConfigError

Present = TypeVar("Present")


def _present(section: Present | None, dotted: str) -> Present:
    if section is None:
        raise ConfigError(
            f"params.yaml: {dotted}", "the settings of this source", "none", "Add the section."
        )
    return section


class ToyFetch(ParamsModel):
    """The generated toy world that replaces the real raw data."""

    scale: Annotated[float, Field(gt=0)]


class YoutubeFetch(ParamsModel):
    """How clips are cut from YouTube videos."""

    accept_terms: bool
    """Your agreement to YouTube's terms of service; without it no request is sent."""
    video: bool
    """Keep the images too (mp4); otherwise mono 16 kHz FLAC."""
    cookies: str | None
    """A cookies.txt of your own, or null."""
    interval_s: Annotated[float, Field(ge=0)]
    """Seconds from one video to the next, at least; increased when the host refuses requests."""


class FetchParams(ParamsModel):
    """Sources of raw data and how they are downloaded."""

    sources: Annotated[dict[str, str], BeforeValidator(lambda value: value or {})]
    """Source to the folder that it fills, which DVC watches; ``[]`` and ``{}`` mean none."""
    toy: ToyFetch
    sample: PositiveInt | None
    """At most this many images and clips per category, or null for all."""
    images: Literal["single", "archive"]
    """COCO images one by one, or from the official zips by range requests."""
    have: tuple[str, ...]
    """Folders that may hold official archives, extracted folders or clips: linked, not copied."""
    mirrors: dict[str, str]
    """Official URL prefix to the prefix to ask instead."""
    connections: Annotated[int, Field(ge=1, le=256)]
    stop_loss: Fraction
    """Stop when more than this share of the last items failed."""
    youtube: YoutubeFetch


class CategoriesParams(ParamsModel):
    """Which categories to build: the first N of the table's rank, or names."""

    table: str | None
    """A category table of the user's own, or null for the packaged one."""
    choose: int | tuple[str, ...]


class LvisParams(ParamsModel):
    """LVIS v1 annotation files and the folder that holds train2017/ and val2017/."""

    root: str
    files: tuple[str, ...]
    images: str


class OpenImagesParams(ParamsModel):
    """Open Images V5+ segmentation csvs, mask folders and image folders."""

    root: str
    splits: tuple[Literal["train", "validation", "test"], ...]


class CocoParams(ParamsModel):
    """COCO instances json and the folder that holds train2017/ and val2017/."""

    root: str
    files: tuple[str, ...]
    images: str


class MaskFilters(ParamsModel):
    """Conditions that a mask must meet; each refusal is a counted reason."""

    min_area_frac: Fraction
    max_area_frac: Fraction
    drop_crowd: bool
    drop_border: bool
    """Refuse masks that touch the image's border, because the object is cut off."""
    drop_not_exhaustive: bool
    """Refuse LVIS images in which not every instance of the category is annotated."""


class MaskSources(ParamsModel):
    """The mask sources to build from, in this order; one that is absent is not used."""

    lvis: LvisParams | None = None
    openimages: OpenImagesParams | None = None
    coco: CocoParams | None = None


class MasksParams(ParamsModel):
    """Mask sources and filters."""

    sources: MaskSources
    filters: MaskFilters
    max_drop_frac: Fraction

    @property
    def lvis(self) -> LvisParams:
        """Section ``masks.sources.lvis``."""
        return _present(self.sources.lvis, "masks.sources.lvis")

    @property
    def openimages(self) -> OpenImagesParams:
        """Section ``masks.sources.openimages``."""
        return _present(self.sources.openimages, "masks.sources.openimages")

    @property
    def coco(self) -> CocoParams:
        """Section ``masks.sources.coco``."""
        return _present(self.sources.coco, "masks.sources.coco")

    def folders(self) -> dict[str, str]:
        """Map each source in use to the folder that its ``image_path`` is relative to."""
        found = self.sources
        folders = {
            "lvis": found.lvis and found.lvis.images,
            "openimages": found.openimages and found.openimages.root,
            "coco": found.coco and found.coco.images,
        }
        return {source: folder for source, folder in folders.items() if folder}


class VggsoundParams(ParamsModel):
    """The header-less vggsound.csv and the folder of clips; both relative to ``root``."""

    root: str
    table: str
    media: str


class AudiosetParams(ParamsModel):
    """AudioSet segment csvs, the ontology and the folder of clips; all relative to ``root``."""

    root: str
    tables: tuple[str, ...]
    ontology: str
    media: str


class FolderParams(ParamsModel):
    """A folder of audio files: <root>/<category or label>/<file>."""

    root: str


class AudioFilters(ParamsModel):
    """Conditions that a clip must meet."""

    min_duration_s: Annotated[float, Field(ge=0.975)]
    min_rms_db: float


class AudioSources(ParamsModel):
    """The audio sources to build from, in this order; one that is absent is not used."""

    vggsound: VggsoundParams | None = None
    audioset: AudiosetParams | None = None
    folder: FolderParams | None = None


class AudioParams(ParamsModel):
    """Audio sources and filters."""

    sources: AudioSources
    filters: AudioFilters
    max_drop_frac: Fraction

    @property
    def vggsound(self) -> VggsoundParams:
        """Section ``audio.sources.vggsound``."""
        return _present(self.sources.vggsound, "audio.sources.vggsound")

    @property
    def audioset(self) -> AudiosetParams:
        """Section ``audio.sources.audioset``."""
        return _present(self.sources.audioset, "audio.sources.audioset")

    @property
    def folder(self) -> FolderParams:
        """Section ``audio.sources.folder``."""
        return _present(self.sources.folder, "audio.sources.folder")

    def folders(self) -> dict[str, str]:
        """Map each source in use to the folder that its ``audio_path`` is relative to."""
        found = self.sources
        folders = {
            "vggsound": found.vggsound and str(Path(found.vggsound.root, found.vggsound.media)),
            "audioset": found.audioset and str(Path(found.audioset.root, found.audioset.media)),
            "folder": found.folder and found.folder.root,
        }
        return {source: folder for source, folder in folders.items() if folder}


class SplitSizes(ParamsModel):
    """Triplets per split: the proportions, and the most that a split may hold."""

    train: PositiveInt
    val: PositiveInt
    test: PositiveInt


class MatchParams(ParamsModel):
    """How masks and clips become triplets."""

    mask_mode: Literal["instance", "union"]
    sizes: SplitSizes
    max_masks_per_category: PositiveInt | None
    max_clips_per_category: PositiveInt | None
    pairing: Literal["fixed", "late"]
    quiet_second_db: float
    """A second below this level is used only if the clip has no louder one."""
    exclude_videos: tuple[str, ...]
    """Benchmark csvs or id lists whose videos must not be used for training; an absent file
    counts as empty and is reported."""
    reviews: str | None
    """Masks and clips that reviewers excluded (written by ``avsynth inspect pull``), or null; an
    absent file counts as empty."""


class ShardParams(ParamsModel):
    """How triplets become tars."""

    samples_per_shard: PositiveInt
    decode_images: bool
    """Decode every image once while writing, so that a damaged one is a counted drop."""
    max_drop_frac: Fraction
