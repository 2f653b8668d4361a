"""Download of one `DownloadBatch`: local files first, then archives, single files and clips.

Every outcome is recorded in the ledger of the batch.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from avsynth.core.params.building import FetchParams
from avsynth.download.clip_workers import CLIP_S, ClipWorkers, download_clip
from avsynth.download.http import Web, WebSettings
from avsynth.download.items import Item, Outcome
from avsynth.download.ledger import FOLDER, Ledger, LedgerRow
from avsynth.download.local_files import LocalFiles, unpack_tar
from avsynth.download.rate_limit import RateLimiter, StopLoss
from avsynth.download.requirements import DownloadBatch, Request
from avsynth.download.worker_pool import Job, run_jobs, select_items
from avsynth.download.youtube import ClipJob
from avsynth.download.zip_members import WebBlob, member_jobs
from avsynth.download.zip_ranges import LocalBlob
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.progress import track


def web_settings(fetch: FetchParams) -> WebSettings:
    """Return the HTTP settings of the stage's parameters."""
    return WebSettings(connections=fetch.connections, mirrors=fetch.mirrors)


async def download(
    batch: DownloadBatch, request: Request, retry: tuple[str, ...]
) -> dict[str, LedgerRow]:
    """Download the missing items of a batch.

    Args:
        batch: the items and their folder.
        request: the parameters, layout and runtime of the project.
        retry: see `select_items`.

    Returns:
        The ledger's rows, by item id.

    Raises:
        DataError: another download is running in the folder.
        SpaceError: the disk is full.
        DropLimitError: the stop-loss or the circuit breaker ended the run.
    """
    fetch = request.params.fetch
    local_files = LocalFiles(request.layout.resolve(folder) for folder in fetch.have)
    with Ledger(batch.root, batch.kind) as ledger:
        items = select_items(batch.items, ledger, retry)
        stop_loss = StopLoss(fetch.stop_loss)

        async def run(jobs: list[Job], what: str, concurrency: int = fetch.connections) -> None:
            queue = track(jobs, f"{batch.kind} {what}", len(jobs), request.runtime)
            await run_jobs(queue, ledger, concurrency=concurrency, stop_loss=stop_loss)

        await run(list(_local_jobs(local_files, items, batch)), "on disk")
        missing = [item for item in items if not ledger.is_complete(item)]
        if not missing:
            return dict(ledger.rows)
        async with Web(web_settings(fetch)) as web:
            await run(await _member_jobs(local_files, web, missing, batch), "in archives")
            await run(
                [partial(_download_file, web, i, batch) for i in missing if _is_file(i)], "as files"
            )
            if fetch.youtube.accept_terms:
                await _cut_clips(web, missing, batch, request, run)
        return dict(ledger.rows)


def _is_file(item: Item) -> bool:
    return item.start_s is None and not item.member


def _local_jobs(local_files: LocalFiles, items: list[Item], batch: DownloadBatch) -> Iterable[Job]:
    """Yield a job per item that links a local file, and a job per local tar that may hold clips."""
    for item in items:
        yield partial(_link_local, local_files, item, batch)
    clips = {item.item_id: item for item in items if item.start_s is not None}
    if clips:
        for path in local_files.tars():
            yield partial(unpack_tar, path, clips, batch.root)


async def _link_local(
    local_files: LocalFiles, item: Item, batch: DownloadBatch
) -> list[tuple[Item, Outcome]]:
    outcome = await local_files.link_local(item, batch.root)
    return [] if outcome is None else [(item, outcome)]


async def _member_jobs(
    local_files: LocalFiles, web: Web, items: list[Item], batch: DownloadBatch
) -> list[Job]:
    by_archive: dict[str, list[Item]] = {}
    for item in items:
        if item.member:
            by_archive.setdefault(item.url, []).append(item)
    jobs: list[Job] = []
    for url, members in sorted(by_archive.items()):
        near = local_files.archive(url)
        blob = LocalBlob(near) if near else WebBlob(web, url)
        jobs += await member_jobs(blob, members, batch.root)
    return jobs


async def _download_file(web: Web, item: Item, batch: DownloadBatch) -> list[tuple[Item, Outcome]]:
    return [(item, await web.download(item, batch.root))]


async def _cut_clips(
    web: Web,
    items: list[Item],
    batch: DownloadBatch,
    request: Request,
    run: Callable[[list[Job], str, int], Awaitable[None]],
) -> None:
    youtube = request.params.fetch.youtube
    cookies = cookies_file(youtube.cookies, request)
    scratch = batch.root / FOLDER / "clips"
    concurrency = request.runtime.workers
    async with ClipWorkers(concurrency, RateLimiter(youtube.interval_s), scratch) as clip_workers:
        jobs: list[Job] = []
        for item in items:
            if item.start_s is not None:
                url, stop_s = web.resolve_mirror(item.url), item.start_s + CLIP_S
                cut = ClipJob(url, item.start_s, stop_s, "", youtube.video, cookies)
                jobs.append(partial(download_clip, clip_workers, cut, item, batch.root))
        await run(jobs, "as cuts", concurrency)


def cookies_file(path: str | None, request: Request) -> str:
    """Return the path of the user's cookies.txt; empty when none is set.

    Raises:
        ConfigError: the file does not exist.
    """
    if path is None:
        return ""
    file = request.layout.resolve(path)
    if not file.is_file():
        where = "params.yaml: fetch.youtube.cookies"
        raise ConfigError(where, "a cookies.txt", f"no file {file}", "Fix the path, or use null.")
    return str(file)
