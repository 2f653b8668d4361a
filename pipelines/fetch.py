"""Stage ``fetch``: bring raw data to ``data/raw``. The only stage that uses the network."""

import asyncio

import pandas as pd

from avsynth.core.funnel import FUNNEL_COLUMNS, make_funnel
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_csv
from avsynth.download.downloader import deliver
from avsynth.download.ledger import LedgerRow, ledger_funnel
from avsynth.download.requirements import WANTED, Parcel, wish
from avsynth.runtime.errors import ConfigError, DataError, suggest
from avsynth.runtime.options import Runtime

TOY = "toy"


def fetch(
    source: str, params: Params, layout: Layout, runtime: Runtime, retry: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Bring what the chosen categories need of one source; what is there already stays.

    Args:
        source: ``toy`` or a name of `WANTED`.
        params: sections ``fetch``, ``categories``, and the source's own.
        layout: of the project.
        runtime: ``workers`` cut clips.
        retry: empty to go on where the last run stopped; else only the items that ended with one
            of these statuses (``transient``, ``bot`` ...).

    Returns:
        The funnel: items per category, status and reason.

    Raises:
        ConfigError: no such source.
        DataError: a list that the rest hangs on did not come, or another run is at work here.
        SpaceError: the disk is full.
        DropLimitError: too much failed, or the host keeps refusing.
    """
    if source == TOY:
        funnel = _toy(params, layout, runtime)
    elif source in WANTED:
        funnel = _real(source, params, layout, runtime, retry)
    else:
        sources = [TOY, *WANTED]
        raise ConfigError("fetch", "a source", repr(source), suggest(source, sources))
    write_csv(layout.funnel(f"fetch/{source}"), funnel)
    return funnel


def _toy(params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    from avsynth.toy import write_toy_world

    toy = params.fetch.toy
    written = write_toy_world(
        layout.raw, scale=toy.scale, seed=params.seed, workers=runtime.workers
    )
    rows = [
        ("fetch", folder, what, "", "", "ok", "", count)
        for folder, counts in sorted(written.counts.items())
        for what, count in sorted(counts.items())
    ]
    return make_funnel(rows)


def _real(
    source: str, params: Params, layout: Layout, runtime: Runtime, retry: tuple[str, ...]
) -> pd.DataFrame:
    wished = wish(params, layout, runtime)
    funnels = []
    for parcel in WANTED[source](wished):
        rows = asyncio.run(deliver(parcel, wished, retry))
        if parcel.kind == "annotations":
            _require(source, parcel, rows)
        funnels.append(ledger_funnel(source, parcel.items, rows))
    if not funnels:
        return make_funnel([])
    total = pd.concat(funnels, ignore_index=True)
    keys = list(FUNNEL_COLUMNS[:-1])
    return total.groupby(keys, sort=True)["count"].sum().reset_index()


def _require(source: str, parcel: Parcel, rows: dict[str, LedgerRow]) -> None:
    """See that the lists came: what else is needed is read off them."""
    for item in parcel.items:
        row = rows.get(item.item_id)
        if row is None or row.status != "ok":
            raise DataError(
                f"fetch/{source}",
                f"{item.target} from {item.url}",
                f"{row.status}: {row.reason}" if row else "not tried",
                "Run the same command with --retry transient,corrupt,gone; or get it by other "
                "means and name its folder in fetch.have.",
            )
