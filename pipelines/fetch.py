"""Stage ``fetch``: download raw data to ``data/raw``. The only stage that uses the network."""

import asyncio

import pandas as pd

from avsynth.core.funnel import FUNNEL_COLUMNS, make_funnel
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_csv
from avsynth.download.downloader import download
from avsynth.download.ledger import LedgerRow, ledger_funnel
from avsynth.download.requirements import SOURCES, DownloadBatch, make_request
from avsynth.runtime.errors import ConfigError, DataError, suggest
from avsynth.runtime.options import Runtime

TOY = "toy"


def fetch(
    source: str, params: Params, layout: Layout, runtime: Runtime, retry: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Download the files of one source that the chosen categories need; existing files stay.

    Args:
        source: ``toy`` or a name in `SOURCES`.
        params: sections ``fetch``, ``categories``, and the source's own.
        layout: the project's paths.
        runtime: ``workers`` is the number of processes that cut clips.
        retry: empty to continue where the last run stopped; else only the items whose last status
            is one of these (``transient``, ``bot`` ...).

    Returns:
        The funnel: items per category, status and reason.

    Raises:
        ConfigError: the source is unknown.
        DataError: an annotation list failed, or another run is downloading into the folder.
        SpaceError: the disk is full.
        DropLimitError: too many items failed, or the host keeps refusing requests.
    """
    if source == TOY:
        funnel = _toy(params, layout, runtime)
    elif source in SOURCES:
        funnel = _real(source, params, layout, runtime, retry)
    else:
        sources = [TOY, *SOURCES]
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
    request = make_request(params, layout, runtime)
    funnels = []
    for batch in SOURCES[source](request):
        _check_folder(source, batch, params, layout)
        rows = asyncio.run(download(batch, request, retry))
        if batch.kind == "annotations":
            _require(source, batch, rows)
        funnels.append(ledger_funnel(source, batch.items, rows))
    if not funnels:
        return make_funnel([])
    total = pd.concat(funnels, ignore_index=True)
    keys = list(FUNNEL_COLUMNS[:-1])
    return total.groupby(keys, sort=True)["count"].sum().reset_index()


def _check_folder(source: str, batch: DownloadBatch, params: Params, layout: Layout) -> None:
    """Check that DVC watches the folder that is filled.

    Raises:
        ConfigError: ``fetch.sources`` names another folder than the source's own section.
    """
    folder = params.fetch.sources.get(source)
    if folder is not None and not batch.root.is_relative_to(layout.resolve(folder)):
        where = f"fetch.sources.{source}"
        fix = f"Set {where} to this folder, or to one above it."
        raise ConfigError(where, f"the folder of its {batch.kind}: {batch.root}", folder, fix)


def _require(source: str, batch: DownloadBatch, rows: dict[str, LedgerRow]) -> None:
    """Check that the annotation lists were downloaded; the other batches depend on them."""
    for item in batch.items:
        row = rows.get(item.item_id)
        if row is None or row.status != "ok":
            raise DataError(
                f"fetch/{source}",
                f"{item.target} from {item.url}",
                f"{row.status}: {row.reason}" if row else "not tried",
                "Run the same command with --retry transient,corrupt,gone; or download the file "
                "by other means and name its folder in fetch.have.",
            )
