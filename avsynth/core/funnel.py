"""The funnel for people: what each stage took in, kept and dropped, per category and why."""

import pandas as pd
from rich.box import SIMPLE
from rich.table import Table

from avsynth.core.records import SPLITS


def summary_line(stage: str, funnel: pd.DataFrame) -> str:
    """Say in one line what a stage did, e.g. ``masks lvis: 312 ok, 12 dropped (crowd 12)``."""
    # Matching counts clips and exclusions beside the masks; a triplet is a mask with a clip.
    funnel = funnel[~funnel["source"].str.startswith(("clips:", "exclude:"))]
    by_status = funnel.groupby("status")["count"].sum()
    line = f"{stage}: {by_status.get('ok', 0):,} ok"
    dropped = funnel[funnel["status"] == "dropped"]
    if len(dropped):
        reasons = dropped.groupby("reason")["count"].sum().sort_values(ascending=False)
        listed = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
        line += f", {dropped['count'].sum():,} dropped ({listed})"
    return line


def funnel_table(funnels: dict[str, pd.DataFrame]) -> Table:
    """Lay the funnels of a build out: one row per category, and a total.

    Args:
        funnels: stage name (``masks lvis``, ``match`` ...) to its funnel.
    """
    rows = category_rows(funnels)
    table = Table(title="masks and clips, from what was found to what is used", box=SIMPLE)
    table.add_column("category", no_wrap=True)
    for name in _COLUMNS[1:-1]:
        table.add_column(name.replace(" ", "\n"), justify="right")
    table.add_column(_COLUMNS[-1])
    empty = rows[(rows["masks found"] == 0) & (rows["clips found"] == 0)]
    for row in rows.drop(empty.index).itertuples(index=False):
        table.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in row))
    total = rows[[c for c in _COLUMNS if c not in ("category", "dropped, why")]].sum()
    table.add_section()
    table.add_row(
        f"{len(rows)} categories",
        *(
            f"{total[c]:,}" if c in total else _why(pd.concat(funnels.values()))
            for c in _COLUMNS[1:]
        ),
    )
    if len(empty):
        names = ", ".join(empty["category"])
        table.caption = f"no mask and no clip in any source: {names}"
    return table


def exclusion_line(match: pd.DataFrame) -> str:
    """Say what keeping the benchmarks' sound out of the clip pool has cost.

    Args:
        match: the funnel of the stage ``match``.
    """
    cost = match.loc[match["reason"] == "benchmark_video", "count"].sum()
    lists = match[match["source"].str.startswith("exclude:")]
    named = []
    for source, status, count in zip(lists["source"], lists["status"], lists["count"], strict=True):
        name = str(source).removeprefix("exclude:")
        if status == "absent":
            named.append(f"{name} is not there")
        elif count:
            named.append(f"{name} {count:,} listed")
    told = "; ".join(named) or "no list names a video of these sources"
    return f"sound of benchmarks kept out of the clip pool: {cost:,} clips ({told})"


_COLUMNS = (
    "category",
    "masks found",
    "masks used",
    "clips found",
    "clips used",
    *SPLITS,
    "dropped, why",
)


def category_rows(funnels: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Count masks and clips per category: found by the sources, used in triplets, per split.

    Returns:
        One row per chosen category, sorted by name.
    """
    every = pd.concat(funnels.values(), ignore_index=True)
    match = every[(every["stage"] == "match") & (every["status"] == "ok")]
    rows = []
    for category in sorted(every.loc[every["stage"] == "categories", "category"]):
        mine = every[every["category"] == category]
        used = match[match["category"] == category]
        written = mine[(mine["stage"] == "shard") & (mine["status"] == "ok")]
        per_split = written.groupby("reason")["count"].sum()
        rows.append(
            (
                category,
                int(mine.loc[mine["stage"] == "masks", "count"].sum()),
                int(written["count"].sum()),
                int(mine.loc[mine["stage"] == "audio", "count"].sum()),
                int(used.loc[used["source"].str.startswith("clips:"), "count"].sum()),
                *(int(per_split.get(split, 0)) for split in SPLITS),
                _why(mine),
            )
        )
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _why(funnel: pd.DataFrame) -> str:
    dropped = funnel[funnel["status"] == "dropped"]
    reasons = dropped.groupby("reason")["count"].sum().sort_values(ascending=False)
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())


FUNNEL_COLUMNS = ("stage", "source", "category", "status", "reason", "count")


def funnel_of(stage: str, source: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Count a table's rows per category, status and reason.

    Args:
        stage: the stage's name.
        source: the source's name, or empty.
        frame: any table with the columns category, status and reason.
    """
    counts = frame.groupby(["category", "status", "reason"], sort=True).size()
    counted = counts.rename("count").reset_index()
    counted.insert(0, "source", source)
    counted.insert(0, "stage", stage)
    return counted[list(FUNNEL_COLUMNS)]
