"""Stage ``match``: pair masks with clips and cut the splits."""

from collections.abc import Iterable

import pandas as pd

from avsynth.building.exclusions import Excluded, Exclusion, split_exclusions
from avsynth.building.matching import Matched
from avsynth.building.matching import match as match_tables
from avsynth.core.funnel import FUNNEL_COLUMNS, funnel_of
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
    matched: Matched, exclusions: Iterable[Exclusion], listed: frozenset[str]
) -> pd.DataFrame:
    """Count masks and clips by source, kept ones by split; then what each list bans.

    An exclusion's count is the number of its videos that the audio sources list, on disk or not.
    """
    triplets = pd.DataFrame(
        [(t.mask_source, t.category, t.status, t.reason or t.split) for t in matched.triplets],
        columns=["source", "category", "status", "reason"],
    )
    pool = matched.pool.rename(columns={"clip_source": "source"})
    pool["reason"] = pool["reason"].where(pool["reason"] != "", pool["split"])
    parts = [
        funnel_of("match", f"{kind}:{source}", group)
        for kind, frame in (("masks", triplets), ("clips", pool))
        for source, group in frame.groupby("source", sort=True)
    ]
    banned = [
        (
            "match",
            f"exclude:{e.path}",
            "",
            "ok" if e.found else "absent",
            "",
            len(e.videos & listed),
        )
        for e in exclusions
    ]
    parts.append(pd.DataFrame(banned, columns=list(FUNNEL_COLUMNS)))
    return pd.concat([p for p in parts if len(p)], ignore_index=True)
