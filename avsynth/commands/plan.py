"""``avsynth plan``: number, size, time and expected loss of the files that `fetch` would download.

Nothing is downloaded. The counts are estimates, and marked so, until the annotation lists are on
disk. After ``avsynth fetch lvis`` (and the other sources) they are exact.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.download.catalog import CatalogEntry, catalog_entry
from avsynth.download.estimates import estimate
from avsynth.download.items import Item
from avsynth.download.ledger import read_ledger
from avsynth.download.local_files import LocalFiles
from avsynth.download.probe import read_probe
from avsynth.download.requirements import SOURCES, DownloadBatch, Request, make_request
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime

LISTED_AFTER_ANNOTATIONS = {
    "lvis": ("images",),
    "coco": ("images",),
    "openimages": ("masks", "images"),
    "vggsound": ("clips",),
}
"""The kinds of items that can only be listed once a source's annotations are on disk."""
LOST_STATUSES = ("gone", "private", "geo")


@dataclass(frozen=True, slots=True)
class Need:
    """The items of one kind that one source needs."""

    source: str
    kind: str
    needed: int
    present: int
    """Items that are already in place, or in a folder of ``fetch.have``."""
    unavailable: int
    """Items that an earlier run found gone, private or geo-blocked."""
    to_download: int
    gigabytes: float
    """Size of the items to download."""
    hours: float
    expected_loss: int
    """Expected number of items to download that are unavailable."""
    exact: bool
    """Whether the counts come from the lists; otherwise they are estimates."""
    method: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All needs of a project, and the free disk space."""

    needs: tuple[Need, ...]
    rate_mb_s: float
    free_gigabytes: float

    @property
    def gigabytes(self) -> float:
        """Total size of the downloads."""
        return sum(need.gigabytes for need in self.needs)

    @property
    def hours(self) -> float:
        """Total time of the downloads, one source after the other."""
        return sum(need.hours for need in self.needs)


def plan(
    params: Params,
    layout: Layout,
    runtime: Runtime,
    sample: int | None = None,
    rate_mb_s: float = 10.0,
) -> Plan:
    """Compute what the chosen categories need of every source in use.

    Args:
        params: sections ``fetch``, ``categories``, ``masks`` and ``audio``.
        layout: the project's paths.
        runtime: gives the cache folder of annotation indices.
        sample: maximum number of images and clips per category; overrides ``fetch.sample``.
        rate_mb_s: network bandwidth in megabytes per second.
    """
    request = make_request(params, layout, runtime, sample)
    local_files = LocalFiles(layout.resolve(folder) for folder in params.fetch.have)
    needs: list[Need] = []
    for source in sources_in_use(params):
        listed = []
        try:
            for batch in SOURCES[source](request):
                needs.append(_exact_need(source, batch, request, local_files, rate_mb_s))
                listed.append(batch.kind)
        except DataError:
            # The annotation lists are not on disk yet.
            for kind in LISTED_AFTER_ANNOTATIONS[source]:
                if kind not in listed:
                    needs.append(_estimated_need(source, kind, request, rate_mb_s))
    free = shutil.disk_usage(_existing(layout.raw)).free
    return Plan(tuple(needs), rate_mb_s, free / 1e9)


def sources_in_use(params: Params) -> list[str]:
    """Return the names in `SOURCES` that params.yaml uses, and ``checkpoints``."""
    used = [*params.masks.folders(), *params.audio.folders(), "checkpoints"]
    return [source for source in SOURCES if source in used]


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _exact_need(
    source: str, batch: DownloadBatch, request: Request, local_files: LocalFiles, rate_mb_s: float
) -> Need:
    rows = read_ledger(batch.root, batch.kind)
    present = [item for item in batch.items if local_files.find(item, batch.root)]
    names = {item.item_id for item in present}
    unavailable = {
        i.item_id
        for i in batch.items
        if (row := rows.get(i.item_id)) and row.status in LOST_STATUSES
    } - names
    left = [i for i in batch.items if i.item_id not in names | unavailable]
    gigabytes = sum(item_bytes(source, batch.kind, i) for i in left) / 1e9
    share = _loss(source, batch.kind, batch.root)
    return Need(
        source,
        batch.kind,
        len(batch.items),
        len(present),
        len(unavailable),
        len(left),
        gigabytes,
        _hours(batch.kind, len(left), gigabytes, request, rate_mb_s),
        round(share * len(left)),
        True,
        _method(source, batch.kind, left, request),
    )


def _estimated_need(source: str, kind: str, request: Request, rate_mb_s: float) -> Need:
    count = estimate(source, kind, request)
    average_item = Item("", "", "")
    gigabytes = count * item_bytes(source, kind, average_item) / 1e9
    loss = round(catalog_entry(source).loss * count) if kind == "clips" else 0
    hours = _hours(kind, count, gigabytes, request, rate_mb_s)
    method = _method(source, kind, [], request)
    return Need(source, kind, count, 0, 0, count, gigabytes, hours, loss, False, method)


def item_bytes(source: str, kind: str, item: Item) -> int:
    """Return an item's size in bytes: exact, approximate, or the average of its kind."""
    entry: CatalogEntry = catalog_entry(source)
    if kind == "masks":
        return entry.mask_bytes
    if kind in {"images", "clips"}:
        return entry.item_bytes or catalog_entry("coco").item_bytes
    file = entry.files.get(item.item_id)
    return item.bytes or (file.about if file else None) or 0


def _loss(source: str, kind: str, root: Path) -> float:
    if kind != "clips":
        return 0.0
    probed = read_probe(root)
    return 1 - probed.live if probed and probed.conclusive else catalog_entry(source).loss


def _hours(kind: str, count: int, gigabytes: float, request: Request, rate_mb_s: float) -> float:
    hours = gigabytes * 1e3 / rate_mb_s / 3600
    if kind == "clips":
        # Requests are spaced, so bandwidth is not the limit.
        hours = max(hours, count * request.params.fetch.youtube.interval_s / 3600)
    return hours


def _method(source: str, kind: str, items: list[Item], request: Request) -> str:
    if kind == "masks":
        zips = sorted({i.url.rpartition("-")[2].removesuffix(".zip") for i in items})
        listed = f"{len(zips)} of 16 zips ({' '.join(zips)})" if zips else "16 zips"
        return f"members of {listed}, by range requests"
    if source in {"lvis", "coco"} and kind == "images":
        archives = catalog_entry("coco").archives
        whole = sum(a.about for a in archives.values()) / 1e9
        if request.params.fetch.images == "single":
            return f"one by one (both zips together: {whole:.0f} GB)"
        return "members of train2017.zip and val2017.zip, by range requests"
    if kind == "clips":
        youtube = request.params.fetch.youtube
        allowed = "" if youtube.accept_terms else "; off until fetch.youtube.accept_terms is true"
        return f"yt-dlp, one in {youtube.interval_s:g} s{allowed}; or fetch.have"
    return "files"


def plan_table(made: Plan) -> Table:
    """Build a table of a plan."""
    verdict = "fits" if 1.2 * made.gigabytes < made.free_gigabytes else "DOES NOT FIT"
    method = dict.fromkeys(f"{n.source} {n.kind}: {n.method}" for n in made.needs if n.to_download)
    table = Table(
        title="what fetch would download; nothing was downloaded",
        caption=f"{made.gigabytes:.1f} GB to download at {made.rate_mb_s:g} MB/s; "
        f"{made.free_gigabytes:.0f} GB free: {verdict}. ~ marks an estimate; "
        "avsynth fetch downloads the lists first, then the counts are exact.\n" + "\n".join(method),
        box=SIMPLE,
        title_style="",
        caption_justify="left",
    )
    table.add_column("files", no_wrap=True)
    for name in ("needed", "present", "unavailable", "to download", "GB", "hours", "loss"):
        table.add_column(name, justify="right", no_wrap=True)
    for need in made.needs:
        about = "" if need.exact else "~"
        table.add_row(
            f"{need.source} {need.kind}",
            f"{about}{need.needed:,}",
            f"{need.present:,}",
            f"{need.unavailable:,}",
            f"{about}{need.to_download:,}",
            f"{need.gigabytes:.1f}",
            f"{need.hours:.1f}",
            f"{need.expected_loss:,}",
        )
    table.add_section()
    table.add_row("all", "", "", "", "", f"{made.gigabytes:.1f}", f"{made.hours:.1f}", "")
    return table
