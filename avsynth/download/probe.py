"""`Probe`: an estimate of how many listed videos still exist, from a sample, without downloads.

The live share has Wilson's score interval (E. B. Wilson, "Probable Inference, the Law of
Succession, and Statistical Inference", JASA 22, 1927). A robot check or a failed connection does
not show whether the video exists, so `INCONCLUSIVE` results are left out of the share.
"""

import asyncio
import json
from collections import Counter
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path

from avsynth.core.files import write_json
from avsynth.core.hashing import order_key
from avsynth.download.clip_workers import ClipWorkers
from avsynth.download.downloader import cookies_file, web_settings
from avsynth.download.http import Web
from avsynth.download.items import Item
from avsynth.download.ledger import FOLDER
from avsynth.download.rate_limit import CircuitOpenError, RateLimiter
from avsynth.download.requirements import DownloadBatch, Request
from avsynth.download.youtube import ClipJob
from avsynth.runtime.errors import ConfigError

INCONCLUSIVE = ("bot", "transient", "corrupt")
Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of probing a sample of the listed videos."""

    asked: int
    counts: dict[str, int]
    """Results by status; those of `INCONCLUSIVE` do not show whether the video exists."""
    live: float
    low: float
    high: float
    """``live`` is the share of conclusive results that are ok, 0..1. ``low`` and ``high`` are its
    95 % interval, 0..1 without conclusive results."""
    stopped: bool
    """The host refused further requests."""

    @property
    def conclusive(self) -> int:
        """The number of conclusive results."""
        return sum(n for status, n in self.counts.items() if status not in INCONCLUSIVE)


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Compute Wilson's score interval of a share; 0..1 without trials."""
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    middle = rate + z * z / (2 * trials)
    spread = z * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def summarise(counts: Counter[str], stopped: bool) -> Probe:
    """Compute the live share and its interval from the counts of each status."""
    conclusive = sum(n for status, n in counts.items() if status not in INCONCLUSIVE)
    low, high = wilson(counts["ok"], conclusive)
    live = counts["ok"] / conclusive if conclusive else 0.0
    return Probe(counts.total(), dict(sorted(counts.items())), live, low, high, stopped)


def probe_clips(batch: DownloadBatch, request: Request, n: int) -> Probe:
    """Probe ``n`` clips of a batch, the same ones for the same seed, and write ``probe.json``.

    Raises:
        ConfigError: YouTube's terms are not accepted.
    """
    if not request.params.fetch.youtube.accept_terms:
        raise ConfigError(
            "probe",
            "fetch.youtube.accept_terms: true",
            "false",
            "Read YouTube's terms of service, then set it to true if they allow your use.",
        )
    seed = request.params.seed
    ordered = sorted(batch.items, key=lambda i: order_key(seed, i.item_id))
    found = asyncio.run(_probe_all(ordered[:n], batch, request))
    write_json(_path(batch.root), asdict(found))
    return found


def read_probe(root: Path) -> Probe | None:
    """Read the last probe of a folder of clips; None if there is no valid one."""
    try:
        return Probe(**json.loads(_path(root).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _path(root: Path) -> Path:
    return root / FOLDER / "probe.json"


async def _probe_all(items: list[Item], batch: DownloadBatch, request: Request) -> Probe:
    youtube = request.params.fetch.youtube
    cookies = cookies_file(youtube.cookies, request)
    web = Web(web_settings(request.params.fetch))
    counts: Counter[str] = Counter()
    stopped = False
    concurrency = request.runtime.workers
    queue = iter(items)
    limiter = RateLimiter(youtube.interval_s)
    async with ClipWorkers(concurrency, limiter, batch.root / FOLDER / "probe") as clip_workers:

        async def probe_next() -> None:
            for item in queue:
                start_s = item.start_s or 0.0
                job = ClipJob(
                    web.resolve_mirror(item.url), start_s, start_s + 1, "", False, cookies
                )
                result = await clip_workers.probe(job)
                counts[result.status] += 1

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(probe_next())
        except* CircuitOpenError:
            stopped = True
    return summarise(counts, stopped)
