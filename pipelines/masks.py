"""Stage ``masks``: read the masks of one source."""

from pathlib import Path

import pandas as pd

from avsynth.building.raw_files import write_digests
from avsynth.core.funnel import funnel_of
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.records import MaskRecord
from avsynth.core.tables import read_table, write_csv, write_table
from avsynth.runtime.errors import ConfigError, DropLimitError, suggest
from avsynth.runtime.options import Runtime
from avsynth.sources.categories import chosen_vocabulary
from avsynth.sources.masks import MASK_SOURCES
from avsynth.sources.masks.filters import FILTER_REASONS


def masks(source: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``data/interim/masks/<source>.parquet``, one row per mask, used or dropped.

    The digests of the usable masks' images go to ``data/interim/files/masks/<source>.csv``.

    Args:
        source: a name of `MASK_SOURCES`.
        params: section ``masks`` is read.
        layout: the project's paths.
        runtime: its cache keeps the index of annotation files.

    Returns:
        The funnel: masks per category, status and reason.

    Raises:
        ConfigError: the source is unknown, has no settings, or its images are outside its root.
        DataError: its files or folders are absent or have another format.
        DropLimitError: more than ``masks.max_drop_frac`` of the masks are missing or damaged;
            masks that the filters refuse do not count.
    """
    if source not in MASK_SOURCES:
        raise ConfigError("masks", "a mask source", repr(source), suggest(source, MASK_SOURCES))
    folder = _image_folder(source, params, layout)
    vocabulary = chosen_vocabulary(layout)
    records = MASK_SOURCES[source](layout, params.masks, vocabulary, runtime)
    write_table(layout.masks(source), MaskRecord, records, key=("category", "mask_id"))
    columns = ("category", "status", "reason", "image_path")
    table = read_table(layout.masks(source), MaskRecord, columns)
    images = table.loc[table["status"] == "ok", "image_path"]
    write_digests(layout.raw_files("masks", source), folder, images, runtime)
    funnel = funnel_of("masks", source, "mask", table)
    write_csv(layout.funnel(f"masks/{source}"), funnel)
    _check_limit(source, funnel, params.masks.max_drop_frac)
    return funnel


def _image_folder(source: str, params: Params, layout: Layout) -> Path:
    """Return the folder of a source's images, below its root because DVC watches the root.

    Raises:
        ConfigError: the folder is elsewhere.
    """
    section = getattr(params.masks, source)
    root, folder = map(layout.resolve, (section.root, getattr(section, "images", section.root)))
    if not folder.is_relative_to(root):
        where = f"masks.sources.{source}"
        fix = f"Set {where}.root to a folder that holds both, and files relative to it."
        raise ConfigError(f"{where}.images", f"a folder below {root}", str(folder), fix)
    return folder


def _check_limit(source: str, funnel: pd.DataFrame, limit: float) -> None:
    damaged = funnel[(funnel["status"] == "dropped") & ~funnel["reason"].isin(FILTER_REASONS)]
    lost, total = int(damaged["count"].sum()), int(funnel["count"].sum())
    if lost > limit * total:
        counts = damaged.groupby("reason")["count"].sum()
        found = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        raise DropLimitError(
            f"masks/{source}",
            f"at most {limit:.1%} of {total} masks missing or damaged",
            found,
            "Get those files, or raise masks.max_drop_frac.",
        )
