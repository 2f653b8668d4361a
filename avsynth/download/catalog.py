"""`CatalogEntry`: the published datasets and checkpoints of `avsynth/resources/sources.yaml`."""

from functools import cache
from importlib import resources

import yaml
from pydantic import Field

from avsynth.core.params.base import ParamsModel
from avsynth.download.items import Item
from avsynth.runtime.errors import ConfigError, suggest


class CatalogFile(ParamsModel):
    """One published file."""

    url: str
    member: str = ""
    """The file's name inside the archive at ``url``."""
    bytes: int | None = None
    digest: str = ""
    about: int | None = None
    """Approximate bytes to transfer; used for planning only."""


class CatalogArchive(ParamsModel):
    """An archive that holds many of the required files."""

    url: str
    about: int
    count: int


class CatalogEntry(ParamsModel):
    """One dataset or family of checkpoints; see the comments in sources.yaml."""

    title: str
    by: str
    licence: str
    folder: str
    """Default folder below ``data/raw``; params.yaml can set another one."""
    files: dict[str, CatalogFile] = Field(default_factory=dict)
    archives: dict[str, CatalogArchive] = Field(default_factory=dict)
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Number of entries in the complete official list, per file."""
    item_bytes: int = 0
    mask_bytes: int = 0
    loss: float = 0.0
    loss_from: str = ""


@cache
def read_catalog() -> dict[str, CatalogEntry]:
    """Read ``sources.yaml``."""
    text = resources.files("avsynth.resources").joinpath("sources.yaml").read_text(encoding="utf-8")
    return {
        name: CatalogEntry.model_validate(entry) for name, entry in yaml.safe_load(text).items()
    }


def catalog_entry(name: str) -> CatalogEntry:
    """Return one entry of the catalog.

    Raises:
        ConfigError: no entry has this name; the message suggests the nearest one.
    """
    entries = read_catalog()
    if name not in entries:
        raise ConfigError("fetch", "a dataset of sources.yaml", repr(name), suggest(name, entries))
    return entries[name]


def file_item(source: str, name: str, target: str) -> Item | None:
    """Build the item that downloads a published file to ``target``; None for an unlisted file.

    Args:
        source: name of a catalog entry.
        name: published name of the file.
        target: path relative to the source's root.
    """
    entry = catalog_entry(source).files.get(name)
    if entry is None:
        return None
    return Item(
        name, entry.url, target, bytes=entry.bytes, digest=entry.digest, member=entry.member
    )
