"""How many of the listed videos are still there: ask for a sample, fetch nothing.

The live share is given with Wilson's interval (E. B. Wilson, "Probable Inference, the Law of
Succession, and Statistical Inference", JASA 22, 1927). A wall says nothing about the video behind
it, so ``bot`` and ``transient`` answers are left out of the share.
"""

import asyncio
import json
from collections import Counter
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path

from avsynth.core.files import write_json
from avsynth.core.hashing import order_key
from avsynth.download.clip_workers import Cutters
from avsynth.download.downloader import cookies_file, web_settings
from avsynth.download.http import Web
from avsynth.download.items import Item
from avsynth.download.ledger import FOLDER
from avsynth.download.rate_limit import CircuitOpenError, Governor
from avsynth.download.requirements import Parcel, Wish
from avsynth.download.youtube import Cut
from avsynth.runtime.errors import ConfigError

UNKNOWN = ("bot", "transient", "corrupt")
Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Probe:
    """What a sample of the listed videos said."""

    asked: int
    counts: dict[str, int]
    """Answers by status; those of `UNKNOWN` say nothing about the video."""
    live: float
    low: float
    high: float
    """Live share of the known answers, 0..1, with its 95 % interval; 0..1 when none is known."""
    stopped: bool
    """The host refused to go on."""

    @property
    def answered(self) -> int:
        """How many answers say something about the video."""
        return sum(n for status, n in self.counts.items() if status not in UNKNOWN)


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Give Wilson's score interval of a share; 0..1 when nothing was tried."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    middle = share + z * z / (2 * trials)
    spread = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    whole = 1 + z * z / trials
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def summarise(counts: Counter[str], stopped: bool) -> Probe:
    """Turn answers into a live share."""
    known = sum(n for status, n in counts.items() if status not in UNKNOWN)
    low, high = wilson(counts["ok"], known)
    live = counts["ok"] / known if known else 0.0
    return Probe(counts.total(), dict(sorted(counts.items())), live, low, high, stopped)


def probe_clips(parcel: Parcel, wish: Wish, n: int) -> Probe:
    """Ask for ``n`` of a parcel's clips, the same ones for the same seed, and keep the answer.

    Raises:
        ConfigError: YouTube's terms are not accepted.
    """
    if not wish.params.fetch.youtube.accept_terms:
        raise ConfigError(
            "probe",
            "fetch.youtube.accept_terms: true",
            "false",
            "YouTube would be asked for videos: read its terms of service; if you may, set it.",
        )
    seed = wish.params.seed
    lots = sorted(parcel.items, key=lambda i: order_key(seed, i.item_id))
    found = asyncio.run(_ask(lots[:n], parcel, wish))
    write_json(_path(parcel.root), asdict(found))
    return found


def read_probe(root: Path) -> Probe | None:
    """Read what the last probe of a folder of clips found; None when there was none."""
    try:
        return Probe(**json.loads(_path(root).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _path(root: Path) -> Path:
    return root / FOLDER / "probe.json"


async def _ask(items: list[Item], parcel: Parcel, wish: Wish) -> Probe:
    youtube = wish.params.fetch.youtube
    cookies = cookies_file(youtube.cookies, wish)
    web = Web(web_settings(wish.params.fetch))
    counts: Counter[str] = Counter()
    stopped = False
    crew = wish.runtime.workers
    queue = iter(items)
    governor = Governor(youtube.interval_s)
    async with Cutters(crew, governor, parcel.root / FOLDER / "probe") as cutters:

        async def ask() -> None:
            for item in queue:
                start_s = item.start_s or 0.0
                job = Cut(web.mirrored(item.url), start_s, start_s + 1, "", False, cookies)
                answer = await cutters.look(job)
                counts[answer.status] += 1

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(crew):
                    group.create_task(ask())
        except* CircuitOpenError:
            stopped = True
    return summarise(counts, stopped)
