"""Selection of samples, with their sizes, boxes, areas and loudness.

These measurements come from the tables of the build if they exist. A dataset without tables (a
converted benchmark) is measured from its masks and its audio.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from avsynth.core.cache import cache_root
from avsynth.core.files import atomic_file
from avsynth.core.hashing import order_key
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip, MaskRecord
from avsynth.core.tables import read_table
from avsynth.formats.images import decode_mask
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import decode_flac, rms_db
from avsynth.inspection.fiftyone_app.media import MASK, tight_box
from avsynth.runtime.errors import ConfigError, DataError, suggest
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track

FROM_META = (
    "category", "label", "mask_source", "mask_id", "image_id", "clip_source", "clip_id", "second",
    "clip_key", "image_licence", "audio_licence", "image_url", "audio_url",
)  # fmt: skip
MEASURED = (
    "height_px", "width_px", "x0_px", "y0_px", "x1_px", "y1_px", "area_frac", "loudness_db",
)  # fmt: skip
COLUMNS = ("key", "split", "tar", "image", *FROM_META, *MEASURED)
SILENCE_DB = -200.0
"""Level of digital silence, in place of minus infinity."""
TAR_DIGITS = 16
FACTS_FILE = "facts.json"
"""File in a tar's folder of the cache: key -> `MEASURED`."""
Facts = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Selection:
    """The samples to inspect; None means no limit."""

    category: str | None = None
    where: str | None = None
    """A condition for `DataFrame.query`: ``area_frac < 0.01 and split == 'test'``."""
    max: int | None = None
    """Maximum number of samples, chosen by a hash of their keys: the same in every run."""


def select_rows(
    layout: Layout, dataset: str, selection: Selection, runtime: Runtime
) -> pd.DataFrame:
    """Return the selected samples of a dataset: `COLUMNS`, in shard order.

    Args:
        layout: the project's paths.
        dataset: a folder below data/shards.
        selection: the samples to return.
        runtime: workers that measure, and the cache of the measurements.

    Raises:
        DataError: the dataset is absent, a shard is damaged, or no sample is selected.
        ConfigError: the category is unknown, or pandas rejects the condition.
    """
    reader = ShardReader(layout.shards(dataset))
    first, last = selection, Selection()
    if selection.where is not None:  # It may refer to measured columns.
        first, last = Selection(selection.category), selection
    rows = apply_selection(_of_shards(reader), first)
    rows = _measured(layout, rows, dataset, runtime)[list(COLUMNS)]
    return apply_selection(rows, last).reset_index(drop=True)


def apply_selection(rows: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Return the selected rows.

    Args:
        rows: rows with the columns key and category.
        selection: the rows to return.

    Raises:
        DataError: no row is selected.
        ConfigError: the category is unknown, or pandas rejects the condition.
    """
    if selection.category is not None:
        known = rows["category"].unique()
        if selection.category not in known:
            raise ConfigError(
                "--category", "a category of the dataset", repr(selection.category),
                suggest(selection.category, map(str, known)),
            )  # fmt: skip
        rows = rows[rows["category"] == selection.category]
    if selection.where is not None:
        rows = _where(rows, selection.where)
    rows = _limited(rows, selection.max)
    if rows.empty:
        raise DataError("inspect", "rows to show", "none", "Relax the condition of --where.")
    return rows


def tar_name(sha256: str) -> str:
    """Return the name of a tar's folder in the cache."""
    return sha256[:TAR_DIGITS]


def _of_shards(reader: ShardReader) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []
    for shard in reader.shards:
        tar = tar_name(shard.sha256)
        for key in shard.keys:
            meta = reader.meta(key)
            image = next(name for name in reader.names(key) if name.startswith("image."))
            rows.append((key, shard.split, tar, image, *(meta.get(n, "") for n in FROM_META)))
        reader.close()  # The mapped pages of all tars may not fit in memory.
    return pd.DataFrame(rows, columns=[*COLUMNS[: -len(MEASURED)]])


def _limited(rows: pd.DataFrame, max_rows: int | None) -> pd.DataFrame:
    if max_rows is None or len(rows) <= max_rows:
        return rows
    digests = rows["key"].map(order_key)
    return rows.loc[sorted(digests.sort_values().index[:max_rows])]


def _where(rows: pd.DataFrame, condition: str) -> pd.DataFrame:
    try:
        chosen = rows.query(condition)
    except Exception as error:  # pandas raises many kinds of errors here
        fix = f"Write a condition on: {', '.join(COLUMNS)}."
        raise ConfigError("--where", "a condition", f"{condition!r} ({error})", fix) from None
    if not isinstance(chosen, pd.DataFrame):
        raise ConfigError(
            "--where", "a condition", repr(condition), "Compare a column with a value."
        )
    return chosen


def _measured(layout: Layout, rows: pd.DataFrame, dataset: str, runtime: Runtime) -> pd.DataFrame:
    """Add `MEASURED`: from the tables if they contain the sample, else from its shard."""
    rows = rows.merge(_mask_facts(layout), how="left", on=["mask_source", "mask_id"])
    rows["loudness_db"] = _loudness(layout, rows)
    unknown = rows["height_px"].isna() | rows["loudness_db"].isna()
    tars = [(str(tar), list(part["key"])) for tar, part in rows[unknown].groupby("tar")]
    measure = partial(_measure_tar, layout.shards(dataset), cache_root(runtime) / "inspect")
    facts: Facts = {}
    for found in track(map_items(measure, tars, runtime), "measured", len(tars), runtime):
        facts |= found
    measured = [facts[str(key)] for key in rows.loc[unknown, "key"]]
    for name, values in zip(MEASURED, zip(*measured, strict=True), strict=False):
        rows.loc[unknown, name] = values
    pixels = list(MEASURED[:6])
    rows[pixels] = rows[pixels].astype("int64")
    return rows


def _mask_facts(layout: Layout) -> pd.DataFrame:
    columns = [name for name in MEASURED if name != "loudness_db"]
    tables = [
        read_table(path, MaskRecord, ("source", "mask_id", *columns))
        for path in sorted(layout.masks("any").parent.glob("*.parquet"))
    ]
    if not tables:
        return pd.DataFrame(columns=["mask_source", "mask_id", *columns])
    table = pd.concat(tables).rename(columns={"source": "mask_source"})
    return table.drop_duplicates(["mask_source", "mask_id"])


def _loudness(layout: Layout, rows: pd.DataFrame) -> list[float]:
    """Return the loudness of every sample's second; NaN if no table contains it."""
    known: dict[tuple[str, str], str] = {}
    for path in sorted(layout.audio("any").parent.glob("*.parquet")):
        table = read_table(path, AudioClip, ("source", "clip_id", "second_db"))
        known |= dict(zip(zip(table.source, table.clip_id, strict=True), table.second_db,
                          strict=True))  # fmt: skip
    levels = []
    for source, clip, second in zip(rows.clip_source, rows.clip_id, rows.second, strict=True):
        listed = known.get((source, clip), "").split()
        known_second = isinstance(second, int) and second < len(listed)
        level = max(float(listed[second]), SILENCE_DB) if known_second else float("nan")
        levels.append(level)
    return levels


def _measure_tar(folder: Path, cache: Path, wanted: tuple[str, list[str]]) -> Facts:
    """Measure the samples of one tar; measurements in the cache are reused."""
    tar, keys = wanted
    path = cache / tar / FACTS_FILE
    try:
        known: Facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        known = {}
    missing = [key for key in keys if key not in known]
    if missing:
        reader = ShardReader(folder)
        known |= {key: _measure(reader.parts(key)) for key in missing}
        with atomic_file(path, concurrent=True) as temporary:
            temporary.write_text(json.dumps(known))
    return {key: known[key] for key in keys}


def _measure(parts: dict[str, bytes]) -> list[float]:
    mask = decode_mask(parts[MASK])
    loudness = max(rms_db(decode_flac(parts["audio.flac"])), SILENCE_DB)
    return [*mask.shape, *tight_box(mask), float(mask.mean()), loudness]


def dataset_of_tar(layout: Layout, tar: str) -> Path | None:
    """Return the folder of shards that contains the tar with this `tar_name`, or None."""
    for index in sorted(layout.shards("any").parent.glob("*/index.json")):
        shards = json.loads(index.read_bytes()).get("shards", [])
        if any(tar_name(shard["sha256"]) == tar for shard in shards):
            return index.parent
    return None
