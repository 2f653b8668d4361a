"""Stage ``audio``: list the clips of one source and measure their loudness."""

import pandas as pd

from avsynth.building.raw_files import write_digests
from avsynth.core.funnel import funnel_of
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip
from avsynth.core.tables import read_table, write_csv, write_table
from avsynth.runtime.errors import ConfigError, DropLimitError, suggest
from avsynth.runtime.options import Runtime
from avsynth.sources.audio import AUDIO_SOURCES
from avsynth.sources.categories import chosen_vocabulary

NOT_COUNTED_REASONS = ("missing_file", "ambiguous_label")
"""Reasons that do not count against the drop limit: a missing clip, and one that two
categories claim, do not show that the existing clips are damaged."""


def audio(source: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``data/interim/audio/<source>.parquet``, one row per clip, used or dropped.

    The digests of the usable clips go to ``data/interim/files/audio/<source>.csv``.

    Args:
        source: a name of `AUDIO_SOURCES`.
        params: section ``audio`` is read.
        layout: the project's paths.
        runtime: its workers decode the clips.

    Returns:
        The funnel: clips per category, status and reason.

    Raises:
        ConfigError: the source is unknown.
        DataError: its lists or folders are absent or have another format.
        DropLimitError: more than ``audio.max_drop_frac`` of the existing clips were dropped.
    """
    if source not in AUDIO_SOURCES:
        raise ConfigError("audio", "an audio source", repr(source), suggest(source, AUDIO_SOURCES))
    vocabulary = chosen_vocabulary(layout)
    clips = AUDIO_SOURCES[source](layout, params.audio, vocabulary, runtime)
    write_table(layout.audio(source), AudioClip, clips, key=("category", "clip_id"))
    columns = ("category", "status", "reason", "audio_path")
    table = read_table(layout.audio(source), AudioClip, columns)
    section = getattr(params.audio, source)
    folder = layout.resolve(section.root) / getattr(section, "media", "")
    usable = table.loc[table["status"] == "ok", "audio_path"]
    write_digests(layout.raw_files("audio", source), folder, usable, runtime)
    funnel = funnel_of("audio", source, "clip", table)
    write_csv(layout.funnel(f"audio/{source}"), funnel)
    _check_limit(source, funnel, params.audio.max_drop_frac)
    return funnel


def _check_limit(source: str, funnel: pd.DataFrame, limit: float) -> None:
    counted = funnel[~funnel["reason"].isin(NOT_COUNTED_REASONS)]
    lost = counted[counted["status"] == "dropped"]
    dropped, total = int(lost["count"].sum()), int(counted["count"].sum())
    if dropped > limit * total:
        counts = lost.groupby("reason")["count"].sum().sort_values(ascending=False)
        raise DropLimitError(
            f"audio/{source}",
            f"at most {limit:.1%} of {total} clips dropped",
            ", ".join(f"{count} {reason}" for reason, count in counts.items()),
            "Fix the list or the files, relax audio.filters, or raise audio.max_drop_frac.",
        )
