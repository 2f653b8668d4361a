"""``avsynth probe``: an estimate, from a sample, of how many listed videos still exist."""

from rich.table import Table

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.download.probe import Probe, probe_clips
from avsynth.download.requirements import SOURCES, make_request
from avsynth.runtime.errors import ConfigError, suggest
from avsynth.runtime.options import Runtime

MEANINGS = {
    "ok": "available",
    "gone": "removed permanently",
    "private": "needs a login",
    "geo": "blocked in this country",
    "bot": "inconclusive: the host asked for a robot check",
    "transient": "inconclusive: may work later",
    "corrupt": "inconclusive: could not be read",
}
PROBED = ("vggsound",)
"""Sources whose items can be removed one by one."""


def probe(source: str, params: Params, layout: Layout, runtime: Runtime, n: int = 500) -> Probe:
    """Probe a sample of a source's clips without downloading them; `plan` uses the result.

    Args:
        source: a name in `PROBED`.
        params: sections ``fetch``, ``categories`` and the source's own.
        layout: the project's paths.
        runtime: ``workers`` is the number of videos probed at the same time.
        n: number of clips; the same seed selects the same ones.

    Raises:
        ConfigError: the source is unknown, or YouTube's terms are not accepted.
        DataError: the source's list is not on disk.
    """
    if source not in PROBED:
        raise ConfigError("probe", "a source", repr(source), suggest(source, PROBED))
    request = make_request(params, layout, runtime)
    *_, clips = SOURCES[source](request)
    return probe_clips(clips, request, n)


def probe_table(source: str, found: Probe) -> Table:
    """Build a table of a probe's results."""
    table = Table("result", "videos", "meaning", title_style="")
    table.title = f"{found.asked} videos of {source}"
    for status, count in found.counts.items():
        table.add_row(status, f"{count:,}", MEANINGS[status])
    stopped = "; stopped early: the host refuses further requests" if found.stopped else ""
    table.caption = (
        f"live: {found.live:.1%}, 95 % interval {found.low:.1%} to {found.high:.1%}{stopped}"
    )
    return table
