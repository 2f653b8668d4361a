"""The funnel: how many items each stage kept and dropped, per category, and why.

A stage writes one table of `FUNNEL_COLUMNS`. Column ``kind`` is what a row counts: ``mask``,
``clip``, ``triplet``, ``sample``, ``frame``, ``file``, ``exclusion`` (videos of a list) and others.
Over the stages of a build every mask and every clip is counted as used or dropped exactly once:
``found == used + dropped`` for each category, for instance masks and for their unions alike.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE
from rich.table import Table

from avsynth.core.records import SPLITS
from avsynth.runtime.errors import DataError

FUNNEL_COLUMNS = ("stage", "source", "kind", "category", "split", "status", "reason", "count")
_SAMPLES = tuple(f"{split} samples" for split in SPLITS)
_NUMBERS = ("masks found", "masks used", "clips found", "clips used", *_SAMPLES)
_TABLE_COLUMNS = ("category", *_NUMBERS, "masks dropped", "clips dropped")
_SUMMARISED = {"match": ("mask", "clip"), "shard": ("sample",)}
"""The kinds that a stage's summary line counts; for other stages all of them together."""


def make_funnel(rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    """Return rows of `FUNNEL_COLUMNS` as a table."""
    return pd.DataFrame(list(rows), columns=list(FUNNEL_COLUMNS))


def funnel_of(stage: str, source: str, kind: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Count a table's rows per category, split, status and reason.

    Args:
        stage: the stage's name.
        source: the source's name, or empty.
        kind: what a row is, e.g. ``mask``.
        frame: a table with the columns category, status and reason. Column ``split`` is empty
            where it is absent; column ``count`` is the number of items in a row, else 1.
    """
    rows = frame.assign(
        stage=stage,
        source=source,
        kind=kind,
        split=frame.get("split", ""),
        count=frame.get("count", 1),
    )
    keys = list(FUNNEL_COLUMNS[:-1])
    return rows.groupby(keys, sort=True)["count"].sum().reset_index()


def read_funnels(folder: Path) -> dict[str, pd.DataFrame]:
    """Read every funnel below ``reports/funnel``: relative path to table.

    Raises:
        DataError: a table has other columns, as those of an earlier version.
    """
    funnels = {}
    for path in sorted(folder.rglob("*.csv")):
        frame = pd.read_csv(path, keep_default_na=False)
        if tuple(frame.columns) != FUNNEL_COLUMNS:
            expected, found = ", ".join(FUNNEL_COLUMNS), ", ".join(frame.columns)
            fix = "Run the stage that writes it again."
            raise DataError(str(path), f"columns {expected}", f"columns {found}", fix)
        funnels[path.relative_to(folder).as_posix()] = frame
    return funnels


def summary_line(stage: str, funnel: pd.DataFrame) -> str:
    """Summarise a stage in one line, e.g. ``masks lvis: 312 ok, 12 dropped (crowd 12)``."""
    kinds = _SUMMARISED.get(stage)
    if kinds is None:
        return f"{stage}: {_outcome(funnel, 'ok')}"
    parts = (_outcome(funnel[funnel["kind"] == kind], f"{kind}s ok") for kind in kinds)
    return f"{stage}: {'; '.join(parts)}"


def funnel_table(funnels: dict[str, pd.DataFrame]) -> Table:
    """Return the funnel of a build for the terminal: one row per category, and a total.

    Args:
        funnels: stage name (``masks lvis``, ``match`` ...) to its funnel.
    """
    rows = category_rows(funnels)
    table = Table(title="masks and clips: found = used + dropped", box=SIMPLE)
    table.add_column("category", no_wrap=True)
    for name in _NUMBERS:
        table.add_column(name.replace(" ", "\n"), justify="right")
    for name in _TABLE_COLUMNS[-2:]:
        table.add_column(name.replace(" ", "\n"))
    empty = rows[(rows["masks found"] == 0) & (rows["clips found"] == 0)]
    for row in rows.drop(empty.index).itertuples(index=False):
        table.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in row))
    every = pd.concat(funnels.values())
    table.add_section()
    table.add_row(
        f"{len(rows)} categories",
        *(f"{rows[name].sum():,}" for name in _NUMBERS),
        *(_reasons(every[every["kind"] == kind]) for kind in ("mask", "clip")),
    )
    if len(empty):
        names = ", ".join(empty["category"])
        table.caption = f"no mask and no clip in any source: {names}"
    return table


def category_rows(funnels: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Count masks, clips and samples per category, from the funnels of a whole build.

    Returns:
        One row per chosen category, sorted by name: masks and clips that were found, that are
        used, and that were dropped by reason; samples per split.
    """
    every = pd.concat(funnels.values(), ignore_index=True)
    groups = dict(list(every.groupby("category")))
    chosen = every.loc[every["stage"] == "categories", "category"]
    return pd.DataFrame(
        [_category_row(name, groups[name]) for name in sorted(chosen)], columns=list(_TABLE_COLUMNS)
    )


def exclusion_line(match: pd.DataFrame) -> str:
    """Report how many clips were dropped because benchmarks are evaluated on their videos.

    Args:
        match: the funnel of the stage ``match``.
    """
    cost = match.loc[match["reason"] == "benchmark_video", "count"].sum()
    lists = match[match["kind"] == "exclusion"]
    named = []
    for name, status, count in zip(lists["source"], lists["status"], lists["count"], strict=True):
        if status == "absent":
            named.append(f"{name} is absent")
        elif count:
            named.append(f"{name} {count:,} listed")
    detail = "; ".join(named) or "no list names a video of these sources"
    return f"clips dropped because a benchmark is evaluated on their videos: {cost:,} ({detail})"


def _category_row(name: str, rows: pd.DataFrame) -> tuple[object, ...]:
    masks, clips = (rows[rows["kind"] == kind] for kind in ("mask", "clip"))
    samples = rows[(rows["kind"] == "sample") & (rows["status"] == "ok")]
    return (
        name,
        _total(masks[masks["stage"] == "masks"]),
        _total(masks[(masks["stage"] == "shard") & (masks["status"] == "ok")]),
        _total(clips[clips["stage"] == "audio"]),
        _total(clips[(clips["stage"] == "match") & (clips["status"] == "ok")]),
        *(_total(samples[samples["split"] == split]) for split in SPLITS),
        _reasons(masks),
        _reasons(clips),
    )


def _total(rows: pd.DataFrame) -> int:
    return int(rows["count"].sum())


def _outcome(funnel: pd.DataFrame, kept: str) -> str:
    line = f"{_total(funnel[funnel['status'] == 'ok']):,} {kept}"
    dropped = _total(funnel[funnel["status"] == "dropped"])
    return line + (f", {dropped:,} dropped ({_reasons(funnel)})" if dropped else "")


def _reasons(funnel: pd.DataFrame) -> str:
    """List the reasons of what was dropped, the most frequent first, e.g. ``crowd 3, empty 1``."""
    dropped = funnel[funnel["status"] == "dropped"]
    reasons = dropped.groupby("reason")["count"].sum().sort_values(ascending=False, kind="stable")
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
