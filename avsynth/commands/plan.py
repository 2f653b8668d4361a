"""``avsynth plan``: what `fetch` would bring, how large it is, how long it takes, what is lost.

Nothing is downloaded. Before the lists are on disk the counts are estimates and marked so; after
``avsynth fetch lvis`` and the like have brought the lists, they are exact.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.download.catalog import Known, known
from avsynth.download.estimates import estimate
from avsynth.download.items import Item
from avsynth.download.ledger import read_ledger
from avsynth.download.local_files import Shelf
from avsynth.download.probe import read_probe
from avsynth.download.requirements import WANTED, Parcel, Wish, wish
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime

LATER = {
    "lvis": ("pictures",),
    "coco": ("pictures",),
    "openimages": ("masks", "pictures"),
    "vggsound": ("clips",),
}
"""The kinds of items that can only be listed after a source's lists are there."""
LOST = ("gone", "private", "geo")


@dataclass(frozen=True, slots=True)
class Need:
    """What one source needs of one kind."""

    source: str
    kind: str
    wanted: int
    there: int
    """Lie in place already, or in a folder of ``fetch.have``."""
    lost: int
    """Were tried, and are gone, private or not shown here."""
    to_bring: int
    gigabytes: float
    """Of what is to be brought."""
    hours: float
    expected_loss: int
    """How many of those will turn out to be lost."""
    exact: bool
    """The counts come from the lists and not from an estimate."""
    how: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is needed, and the room for it."""

    needs: tuple[Need, ...]
    rate_mb_s: float
    free_gigabytes: float

    @property
    def gigabytes(self) -> float:
        """What has to travel, in all."""
        return sum(need.gigabytes for need in self.needs)

    @property
    def hours(self) -> float:
        """How long that takes, one source after the other."""
        return sum(need.hours for need in self.needs)


def plan(
    params: Params,
    layout: Layout,
    runtime: Runtime,
    sample: int | None = None,
    rate_mb_s: float = 10.0,
) -> Plan:
    """Say what the chosen categories need of every source in use.

    Args:
        params: sections ``fetch``, ``categories``, ``masks`` and ``audio``.
        layout: of the project.
        runtime: names the cache of annotation indices.
        sample: at most this many pictures and clips per category; goes before ``fetch.sample``.
        rate_mb_s: megabytes per second of the line.
    """
    wished = wish(params, layout, runtime, sample)
    shelf = Shelf(layout.resolve(folder) for folder in params.fetch.have)
    needs: list[Need] = []
    for source in sources_in_use(params):
        listed = []
        try:
            for parcel in WANTED[source](wished):
                needs.append(_need(source, parcel, wished, shelf, rate_mb_s))
                listed.append(parcel.kind)
        except DataError:
            # The lists are not there yet.
            for kind in LATER[source]:
                if kind not in listed:
                    needs.append(_guess(source, kind, wished, rate_mb_s))
    free = shutil.disk_usage(_existing(layout.raw)).free
    return Plan(tuple(needs), rate_mb_s, free / 1e9)


def sources_in_use(params: Params) -> list[str]:
    """Name the sources of `WANTED` that params.yaml builds from, and the checkpoints."""
    used = [*params.masks.folders(), *params.audio.folders(), "checkpoints"]
    return [source for source in WANTED if source in used]


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _need(source: str, parcel: Parcel, wished: Wish, shelf: Shelf, rate_mb_s: float) -> Need:
    rows = read_ledger(parcel.root, parcel.kind)
    there = [item for item in parcel.items if shelf.find(item, parcel.root)]
    names = {item.item_id for item in there}
    lost = {
        i.item_id for i in parcel.items if (row := rows.get(i.item_id)) and row.status in LOST
    } - names
    left = [i for i in parcel.items if i.item_id not in names | lost]
    gigabytes = sum(item_bytes(source, parcel.kind, i) for i in left) / 1e9
    share = _loss(source, parcel.kind, parcel.root)
    return Need(
        source,
        parcel.kind,
        len(parcel.items),
        len(there),
        len(lost),
        len(left),
        gigabytes,
        _hours(parcel.kind, len(left), gigabytes, wished, rate_mb_s),
        round(share * len(left)),
        True,
        _how(source, parcel.kind, left, wished),
    )


def _guess(source: str, kind: str, wished: Wish, rate_mb_s: float) -> Need:
    count = estimate(source, kind, wished)
    one = Item("", "", "")
    gigabytes = count * item_bytes(source, kind, one) / 1e9
    loss = round(known(source).loss * count) if kind == "clips" else 0
    hours = _hours(kind, count, gigabytes, wished, rate_mb_s)
    how = _how(source, kind, [], wished)
    return Need(source, kind, count, 0, 0, count, gigabytes, hours, loss, False, how)


def item_bytes(source: str, kind: str, item: Item) -> int:
    """Say how large an item is: exactly, roughly, or by the average of its kind."""
    entry: Known = known(source)
    if kind == "masks":
        return entry.mask_bytes
    if kind in {"pictures", "clips"}:
        return entry.item_bytes or known("coco").item_bytes
    file = entry.files.get(item.item_id)
    return item.bytes or (file.about if file else None) or 0


def _loss(source: str, kind: str, root: Path) -> float:
    if kind != "clips":
        return 0.0
    probed = read_probe(root)
    return 1 - probed.live if probed and probed.answered else known(source).loss


def _hours(kind: str, count: int, gigabytes: float, wished: Wish, rate_mb_s: float) -> float:
    hours = gigabytes * 1e3 / rate_mb_s / 3600
    if kind == "clips":
        # One video at a time, spaced: the line is not what limits.
        hours = max(hours, count * wished.params.fetch.youtube.interval_s / 3600)
    return hours


def _how(source: str, kind: str, items: list[Item], wished: Wish) -> str:
    if kind == "masks":
        zips = sorted({i.url.rpartition("-")[2].removesuffix(".zip") for i in items})
        listed = f"{len(zips)} of 16 zips ({' '.join(zips)})" if zips else "16 zips"
        return f"members of {listed}, by range requests"
    if source in {"lvis", "coco"} and kind == "pictures":
        archives = known("coco").archives
        whole = sum(a.about for a in archives.values()) / 1e9
        if wished.params.fetch.pictures == "single":
            return f"one by one (both zips together: {whole:.0f} GB)"
        return "members of train2017.zip and val2017.zip, by range requests"
    if kind == "clips":
        youtube = wished.params.fetch.youtube
        allowed = "" if youtube.accept_terms else "; off until fetch.youtube.accept_terms is true"
        return f"yt-dlp, one in {youtube.interval_s:g} s{allowed}; or fetch.have"
    return "files"


def plan_table(made: Plan) -> Table:
    """Lay a plan out for people."""
    room = "fits" if 1.2 * made.gigabytes < made.free_gigabytes else "DOES NOT FIT"
    how = dict.fromkeys(f"{n.source} {n.kind}: {n.how}" for n in made.needs if n.to_bring)
    table = Table(
        title="what fetch would bring; nothing was downloaded",
        caption=f"{made.gigabytes:.1f} GB to bring at {made.rate_mb_s:g} MB/s; "
        f"{made.free_gigabytes:.0f} GB free: {room}. ~ is an estimate until the lists are there.\n"
        + "\n".join(how),
        box=SIMPLE,
        title_style="",
        caption_justify="left",
    )
    table.add_column("what", no_wrap=True)
    for name in ("wanted", "there", "lost", "to bring", "GB", "hours", "loss"):
        table.add_column(name, justify="right", no_wrap=True)
    for need in made.needs:
        about = "" if need.exact else "~"
        table.add_row(
            f"{need.source} {need.kind}",
            f"{about}{need.wanted:,}",
            f"{need.there:,}",
            f"{need.lost:,}",
            f"{about}{need.to_bring:,}",
            f"{need.gigabytes:.1f}",
            f"{need.hours:.1f}",
            f"{need.expected_loss:,}",
        )
    table.add_section()
    table.add_row("all", "", "", "", "", f"{made.gigabytes:.1f}", f"{made.hours:.1f}", "")
    return table
