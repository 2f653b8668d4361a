"""The table of what is given out where: `avsynth/resources/sources.yaml`, read into records."""

from functools import cache
from importlib import resources

import yaml
from pydantic import Field

from avsynth.core.params.base import ParamsModel
from avsynth.download.items import Item
from avsynth.runtime.errors import ConfigError, suggest


class KnownFile(ParamsModel):
    """One file that a publisher gives out."""

    url: str
    member: str = ""
    """The file's name inside the archive at ``url``."""
    bytes: int | None = None
    digest: str = ""
    about: int | None = None
    """Roughly how many bytes travel; for planning only."""


class KnownArchive(ParamsModel):
    """An archive that holds many of the files wanted."""

    url: str
    about: int
    count: int


class Known(ParamsModel):
    """One dataset or family of checkpoints; see the comments of sources.yaml."""

    title: str
    by: str
    licence: str
    folder: str
    """Where it lies below ``data/raw`` unless params.yaml says otherwise."""
    files: dict[str, KnownFile] = Field(default_factory=dict)
    archives: dict[str, KnownArchive] = Field(default_factory=dict)
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    """What a complete list holds, per file."""
    item_bytes: int = 0
    mask_bytes: int = 0
    loss: float = 0.0
    loss_from: str = ""


@cache
def catalog() -> dict[str, Known]:
    """Read the table."""
    text = resources.files("avsynth.resources").joinpath("sources.yaml").read_text(encoding="utf-8")
    return {name: Known.model_validate(entry) for name, entry in yaml.safe_load(text).items()}


def known(name: str) -> Known:
    """Look one entry up.

    Raises:
        ConfigError: there is none of this name; the nearest is suggested.
    """
    entries = catalog()
    if name not in entries:
        raise ConfigError("fetch", "a dataset of sources.yaml", repr(name), suggest(name, entries))
    return entries[name]


def file_item(source: str, name: str, target: str) -> Item | None:
    """Make the item that brings a published file to ``target``; None for a file we do not know.

    Args:
        source: an entry of the table.
        name: the file's published name.
        target: relative to the source's root.
    """
    entry = known(source).files.get(name)
    if entry is None:
        return None
    return Item(
        name, entry.url, target, bytes=entry.bytes, digest=entry.digest, member=entry.member
    )
