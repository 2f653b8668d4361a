"""``avsynth probe``: how many of a list's videos are still there, asked of a sample of them."""

from rich.table import Table

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.download.probe import Probe, probe_clips
from avsynth.download.requirements import WANTED, wish
from avsynth.runtime.errors import ConfigError, suggest
from avsynth.runtime.options import Runtime

MEANINGS = {
    "ok": "can be had",
    "gone": "removed for good",
    "private": "needs a login",
    "geo": "not shown where this machine is",
    "bot": "a wall: says nothing about the video",
    "transient": "may work later: says nothing about the video",
    "corrupt": "could not be read: says nothing about the video",
}
PROBED = ("vggsound",)
"""Sources whose items may vanish one by one."""


def probe(source: str, params: Params, layout: Layout, runtime: Runtime, n: int = 500) -> Probe:
    """Ask for a sample of a source's clips without fetching them; `plan` then uses the answer.

    Args:
        source: a name of `PROBED`.
        params: sections ``fetch``, ``categories`` and the source's own.
        layout: of the project.
        runtime: as many videos are asked for at once as it has workers.
        n: how many clips; the same seed draws the same ones.

    Raises:
        ConfigError: no such source, or YouTube's terms are not accepted.
        DataError: the source's list is not there.
    """
    if source not in PROBED:
        raise ConfigError("probe", "a source", repr(source), suggest(source, PROBED))
    wished = wish(params, layout, runtime)
    *_, clips = WANTED[source](wished)
    return probe_clips(clips, wished, n)


def probe_table(source: str, found: Probe) -> Table:
    """Lay an answer out for people."""
    table = Table("answer", "videos", "what it means", title_style="")
    table.title = f"{found.asked} videos of {source}"
    for status, count in found.counts.items():
        table.add_row(status, f"{count:,}", MEANINGS[status])
    stopped = "; stopped early: the host refuses to go on" if found.stopped else ""
    table.caption = (
        f"live: {found.live:.1%}, 95 % interval {found.low:.1%} to {found.high:.1%}{stopped}"
    )
    return table
