"""Bring one parcel: what lies on disk first, then archives, files and clips; all in the ledger."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from avsynth.core.params.building import FetchParams
from avsynth.download.clip_workers import CLIP_S, Cutters, bring_clip
from avsynth.download.http import Web, WebSettings
from avsynth.download.items import Item, Outcome
from avsynth.download.ledger import FOLDER, Ledger, LedgerRow
from avsynth.download.local_files import Shelf, unpack_tar
from avsynth.download.rate_limit import Governor, StopLoss
from avsynth.download.requirements import Parcel, Wish
from avsynth.download.worker_pool import Job, bring_all, to_try
from avsynth.download.youtube import Cut
from avsynth.download.zip_members import WebBlob, member_jobs
from avsynth.download.zip_ranges import LocalBlob
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.progress import track


def web_settings(fetch: FetchParams) -> WebSettings:
    """Take what concerns HTTP out of the stage's parameters."""
    return WebSettings(connections=fetch.connections, mirrors=fetch.mirrors)


async def deliver(parcel: Parcel, wish: Wish, retry: tuple[str, ...]) -> dict[str, LedgerRow]:
    """Bring what a parcel lacks.

    Args:
        parcel: what is wanted, and where to.
        wish: says how.
        retry: see `to_try`.

    Returns:
        The ledger's rows.

    Raises:
        DataError: another run is at work in the folder.
        SpaceError: the disk is full.
        DropLimitError: the stop-loss or the circuit breaker ended the run.
    """
    fetch = wish.params.fetch
    shelf = Shelf(wish.layout.resolve(folder) for folder in fetch.have)
    with Ledger(parcel.root, parcel.kind) as ledger:
        items = to_try(parcel.items, ledger, retry)
        stop_loss = StopLoss(fetch.stop_loss)

        async def run(jobs: list[Job], what: str, crew: int = fetch.connections) -> None:
            queue = track(jobs, f"{parcel.kind} {what}", len(jobs), wish.runtime)
            await bring_all(queue, ledger, crew=crew, stop_loss=stop_loss)

        await run(list(_shelf_jobs(shelf, items, parcel)), "on disk")
        left = [item for item in items if not ledger.holds(item)]
        if not left:
            return dict(ledger.rows)
        async with Web(web_settings(fetch)) as web:
            await run(await _member_jobs(shelf, web, left, parcel), "in archives")
            await run([partial(_bring, web, i, parcel) for i in left if _is_file(i)], "as files")
            if fetch.youtube.accept_terms:
                await _cut_clips(web, left, parcel, wish, run)
        return dict(ledger.rows)


def _is_file(item: Item) -> bool:
    return item.start_s is None and not item.member


def _shelf_jobs(shelf: Shelf, items: list[Item], parcel: Parcel) -> Iterable[Job]:
    """Look for every item on disk, and for clips in the tars that lie there."""
    for item in items:
        yield partial(_take, shelf, item, parcel)
    wanted = {item.item_id: item for item in items if item.start_s is not None}
    if wanted:
        for path in shelf.tars():
            yield partial(unpack_tar, path, wanted, parcel.root)


async def _take(shelf: Shelf, item: Item, parcel: Parcel) -> list[tuple[Item, Outcome]]:
    outcome = await shelf.take(item, parcel.root)
    return [] if outcome is None else [(item, outcome)]


async def _member_jobs(shelf: Shelf, web: Web, items: list[Item], parcel: Parcel) -> list[Job]:
    by_archive: dict[str, list[Item]] = {}
    for item in items:
        if item.member:
            by_archive.setdefault(item.url, []).append(item)
    jobs: list[Job] = []
    for url, members in sorted(by_archive.items()):
        near = shelf.archive(url)
        blob = LocalBlob(near) if near else WebBlob(web, url)
        jobs += await member_jobs(blob, members, parcel.root)
    return jobs


async def _bring(web: Web, item: Item, parcel: Parcel) -> list[tuple[Item, Outcome]]:
    return [(item, await web.bring(item, parcel.root))]


async def _cut_clips(
    web: Web,
    items: list[Item],
    parcel: Parcel,
    wish: Wish,
    run: Callable[[list[Job], str, int], Awaitable[None]],
) -> None:
    youtube = wish.params.fetch.youtube
    cookies = cookies_file(youtube.cookies, wish)
    scratch = parcel.root / FOLDER / "clips"
    crew = wish.runtime.workers
    async with Cutters(crew, Governor(youtube.interval_s), scratch) as cutters:
        jobs: list[Job] = []
        for item in items:
            if item.start_s is not None:
                url, stop_s = web.mirrored(item.url), item.start_s + CLIP_S
                cut = Cut(url, item.start_s, stop_s, "", youtube.video, cookies)
                jobs.append(partial(bring_clip, cutters, cut, item, parcel.root))
        await run(jobs, "as cuts", crew)


def cookies_file(path: str | None, wish: Wish) -> str:
    """Find the cookies.txt that the user hands over; empty for none.

    Raises:
        ConfigError: it is not there.
    """
    if path is None:
        return ""
    file = wish.layout.resolve(path)
    if not file.is_file():
        where = "params.yaml: fetch.youtube.cookies"
        raise ConfigError(where, "a cookies.txt", f"no file {file}", "Mend the path, or use null.")
    return str(file)
