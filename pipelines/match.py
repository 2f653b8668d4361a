"""Stage ``match``: pair masks with clips and assign the splits."""

from collections.abc import Iterable

import pandas as pd

from avsynth.building.exclusions import Excluded, Exclusion, split_exclusions
from avsynth.building.matching import MatchResult
from avsynth.building.matching import match as match_tables
from avsynth.core.funnel import funnel_of, make_funnel
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip, MaskRecord, Triplet
from avsynth.core.tables import read_table, write_csv, write_table
from avsynth.runtime.options import Runtime

_MASK_COLUMNS = ("mask_id", "source", "category", "image_id", "status")
_CLIP_COLUMNS = ("clip_id", "source", "category", "video_id", "second_db", "status")


def match(params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``triplets.csv`` and ``clips.csv`` from the tables of masks, clips and exclusions.

    Returns:
        The funnel: masks and clips per source with their reasons, triplets per split, and the
        evaluation videos that each benchmark list kept out.

    Raises:
        DataError: a table is absent or of another shape.
    """
    masks = pd.concat(
        read_table(layout.masks(source), MaskRecord, _MASK_COLUMNS)
        for source in params.masks.folders()
    )
    clips = pd.concat(
        read_table(layout.audio(source), AudioClip, _CLIP_COLUMNS)
        for source in params.audio.folders()
    )
    exclusions, reviewed = split_exclusions(read_table(layout.exclusions_csv, Excluded))
    banned = frozenset().union(*(e.videos for e in exclusions))
    matched = match_tables(
        masks[masks["status"] == "ok"],
        clips[clips["status"] == "ok"],
        params.match,
        seed=params.seed,
        banned_videos=banned,
        reviewed=reviewed,
    )
    write_table(layout.triplets_csv, Triplet, matched.triplets, key=("triplet_id",))
    write_csv(layout.clips_csv, matched.pool)
    funnel = _funnel(matched, exclusions, listed=frozenset(clips["video_id"]))
    write_csv(layout.funnel("match"), funnel)
    return funnel


def _funnel(
    matched: MatchResult, exclusions: Iterable[Exclusion], listed: frozenset[str]
) -> pd.DataFrame:
    """Count masks, triplets and clips by source and split; then the videos that each list bans.

    A triplet of a union counts as several masks. An exclusion's count is the number of its videos
    that the audio sources list, on disk or not.
    """
    triplets = pd.DataFrame(
        [(t.mask_source, t.category, t.split, t.status, t.reason) for t in matched.triplets],
        columns=["source", "category", "split", "status", "reason"],
    )
    masks = triplets.assign(count=[t.mask_id.count("+") + 1 for t in matched.triplets])
    pool = matched.pool.rename(columns={"clip_source": "source"})
    parts = [
        funnel_of("match", str(source), kind, group)
        for kind, frame in (("mask", masks), ("triplet", triplets), ("clip", pool))
        for source, group in frame.groupby("source", sort=True)
    ]
    banned = [
        ("match", e.path, "exclusion", "", "", status, "", len(e.videos & listed))
        for e in exclusions
        for status in ("ok" if e.found else "absent",)
    ]
    parts.append(make_funnel(banned))
    return pd.concat([p for p in parts if len(p)], ignore_index=True)
