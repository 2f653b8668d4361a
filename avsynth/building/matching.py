"""Matching of masks and clips to triplets: splits, caps and pairing, drawn from stable ids.

Every draw is a hash of the seed and of the ids concerned, never a shuffle of a list. Adding a
category, a source or a clip therefore changes only the rows that it concerns, and the order of the
input rows does not matter.

Splits. An image's split depends only on its id and the seed, so all its masks are in one split.
The videos of a category are ranked by hash and divided in the same proportions, at least one for
each split if there are enough; a video is in one split only.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from avsynth.core.hashing import draw
from avsynth.core.params.building import MatchParams
from avsynth.core.records import SPLITS, Triplet
from avsynth.formats.waveform import loud_seconds

POOL_COLUMNS = (
    "clip_source",
    "clip_id",
    "video_id",
    "category",
    "split",
    "second_db",
    "status",
    "reason",
)


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The result of matching: every mask and every clip, used or dropped, with the reason."""

    triplets: list[Triplet]
    """One per mask, sorted by id; a dropped one has no clip."""
    pool: pd.DataFrame
    """One row per clip, `POOL_COLUMNS`, sorted by source and id, with its split."""


@dataclass(frozen=True, slots=True)
class _Bans:
    """Videos, masks and clips that are never used."""

    videos: frozenset[str]
    reviewed: Mapping[tuple[str, str, str], str]


def triplet_id(mask_source: str, mask_id: str, category: str) -> str:
    """Return a triplet's id, 16 hex digits that depend on its mask only, not on seed or clip."""
    return f"{draw(0, 'triplet', mask_source, mask_id, category):016x}"


def match(
    masks: pd.DataFrame,
    clips: pd.DataFrame,
    params: MatchParams,
    *,
    seed: int,
    banned_videos: Iterable[str] = (),
    reviewed: Mapping[tuple[str, str, str], str] | None = None,
) -> MatchResult:
    """Pair every usable mask with a clip of its category.

    Args:
        masks: rows of `records.MaskRecord` with status ok, in the order of the sources.
        clips: rows of `records.AudioClip` with status ok, in the order of the sources.
        params: section ``match`` of params.yaml.
        seed: the seed of all draws.
        banned_videos: ids of the videos that benchmarks evaluate on.
        reviewed: (``mask`` or ``clip``, source, id) -> why a reviewer excludes it.

    Returns:
        Triplets and clip pool. Reasons for masks: ``duplicate_image`` (an earlier source has the
        image and category), ``over_category_cap``, ``split_full``, ``no_clip``. For clips:
        ``benchmark_video``, ``duplicate_video``, ``over_category_cap``. For both: those of
        ``reviewed``.
    """
    shares = _shares(params)
    pool = _pool(clips, params, shares, seed, _Bans(frozenset(banned_videos), reviewed or {}))
    masks = _one_source_per_image(masks)
    _drop_reviewed(masks, reviewed or {}, "mask", "source")
    if params.mask_mode == "union":
        masks = _union(masks)
    masks = masks.assign(
        triplet_id=[
            triplet_id(*row)
            for row in zip(masks["source"], masks["mask_id"], masks["category"], strict=True)
        ],
        split=[_image_split(image, shares, seed) for image in masks["image_id"]],
    )
    masks["order"] = [draw(seed, "keep", one) for one in masks["triplet_id"]]
    _require_clips(masks, pool)
    _cap_categories(masks, params.max_masks_per_category)
    _cap_splits(masks, params)
    triplets = sorted(_pair(masks, pool, params, seed), key=lambda t: t.triplet_id)
    return MatchResult(triplets, pool)


def _shares(params: MatchParams) -> dict[str, float]:
    sizes = params.sizes
    total = sizes.train + sizes.val + sizes.test
    return {"test": sizes.test / total, "val": sizes.val / total}


def _image_split(image_id: str, shares: dict[str, float], seed: int) -> str:
    place = draw(seed, "image", image_id) / 2**64
    if place < shares["test"]:
        return "test"
    return "val" if place < shares["test"] + shares["val"] else "train"


def _one_source_per_image(masks: pd.DataFrame) -> pd.DataFrame:
    """Drop masks of an image and category that an earlier source has annotated."""
    rank = masks["source"].map({s: i for i, s in enumerate(masks["source"].unique())})
    first = rank.groupby([masks["image_id"], masks["category"]]).transform("min")
    return masks.assign(reason=np.where(rank > first, "duplicate_image", ""))


def _drop_reviewed(
    rows: pd.DataFrame, reviewed: Mapping[tuple[str, str, str], str], item: str, source: str
) -> None:
    """Set the reason of rows that a reviewer rejected, unless they have one."""
    if reviewed:
        columns = (rows[name] for name in (source, f"{item}_id", "reason"))
        rows["reason"] = [
            reason or reviewed.get((item, where, name), "")
            for where, name, reason in zip(*columns, strict=True)
        ]


def _union(masks: pd.DataFrame) -> pd.DataFrame:
    """Build one row from all masks of a category in an image; its id joins theirs with '+'."""
    keys = ["source", "image_id", "category", "reason"]
    ordered = masks.sort_values([*keys, "mask_id"])
    return ordered.groupby(keys, sort=True, as_index=False).agg(mask_id=("mask_id", "+".join))


def _pool(
    clips: pd.DataFrame,
    params: MatchParams,
    shares: dict[str, float],
    seed: int,
    bans: _Bans,
) -> pd.DataFrame:
    pool = clips.rename(columns={"source": "clip_source"})[
        ["clip_source", "clip_id", "video_id", "category", "second_db"]
    ].reset_index(drop=True)
    pool["reason"] = ""
    pool.loc[pool["video_id"].duplicated(keep="first") & _other_source(pool), "reason"] = (
        "duplicate_video"
    )
    pool.loc[pool["video_id"].isin(bans.videos), "reason"] = "benchmark_video"
    _drop_reviewed(pool, bans.reviewed, "clip", "clip_source")
    pool["order"] = [
        draw(seed, "video", category, video)
        for category, video in zip(pool["category"], pool["video_id"], strict=True)
    ]
    pool["split"] = ""
    for _, group in pool[pool["reason"] == ""].groupby("category", sort=True):
        videos = group.sort_values("order")["video_id"].unique()
        if params.max_clips_per_category is not None:
            over = set(videos[params.max_clips_per_category :])
            pool.loc[group.index[group["video_id"].isin(over)], "reason"] = "over_category_cap"
            videos = videos[: params.max_clips_per_category]
        split_of = _split_videos(videos, shares)
        pool.loc[group.index, "split"] = [split_of.get(v, "") for v in group["video_id"]]
    pool["status"] = np.where(pool["reason"] == "", "ok", "dropped")
    ordered = pool.sort_values(["clip_source", "clip_id"])
    return ordered[list(POOL_COLUMNS)].reset_index(drop=True)


def _other_source(pool: pd.DataFrame) -> pd.Series:
    """Return which rows have a video of an earlier source or of another category."""
    first = pool.groupby("video_id")[["clip_source", "category"]].transform("first")
    return (pool["clip_source"] != first["clip_source"]) | (pool["category"] != first["category"])


def _split_videos(videos: np.ndarray, shares: dict[str, float]) -> dict[str, str]:
    """Divide ranked videos: at least one for train, then test, then val, else in proportion."""
    count = len(videos)
    test = max(round(shares["test"] * count), 1) if count >= 2 else 0
    val = max(round(shares["val"] * count), 1) if count >= 3 else 0
    bounds = {"test": (0, test), "val": (test, test + val), "train": (test + val, count)}
    return {v: split for split, (start, end) in bounds.items() for v in videos[start:end]}


def _require_clips(masks: pd.DataFrame, pool: pd.DataFrame) -> None:
    usable = pool[pool["status"] == "ok"]
    paired = set(zip(usable["category"], usable["split"], strict=True))
    missing = [pair not in paired for pair in zip(masks["category"], masks["split"], strict=True)]
    masks.loc[np.array(missing, dtype=bool) & (masks["reason"] == ""), "reason"] = "no_clip"


def _cap_categories(masks: pd.DataFrame, cap: int | None) -> None:
    """Keep at most ``cap`` masks of a category, those with the lowest hash."""
    if cap is not None:
        kept = masks[masks["reason"] == ""].sort_values("order")
        over = kept.index[kept.groupby("category").cumcount() >= cap]
        masks.loc[over, "reason"] = "over_category_cap"


def _cap_splits(masks: pd.DataFrame, params: MatchParams) -> None:
    """Keep at most the requested number of triplets in a split, over all categories."""
    for split in SPLITS:
        kept = masks[(masks["reason"] == "") & (masks["split"] == split)].sort_values("order")
        masks.loc[kept.index[getattr(params.sizes, split) :], "reason"] = "split_full"


def _pair(
    masks: pd.DataFrame, pool: pd.DataFrame, params: MatchParams, seed: int
) -> Iterator[Triplet]:
    usable = pool[pool["status"] == "ok"]
    clips_of = {
        (str(category), str(split)): list(
            zip(group["clip_source"], group["clip_id"], group["second_db"], strict=True)
        )
        for (category, split), group in usable.groupby(["category", "split"], sort=True)
    }
    columns = ("triplet_id", "split", "category", "source", "mask_id", "reason")
    for row in zip(*(masks[c].astype(str) for c in columns), strict=True):
        name, split, category, mask_source, mask_id, reason = row
        if reason:
            yield Triplet(name, "", category, mask_source, mask_id, "", "", -1, "dropped", reason)
            continue
        clips = clips_of[category, split]
        source, clip_id, second_db = clips[draw(seed, "clip", name) % len(clips)]
        seconds = loud_seconds(second_db, params.quiet_second_db)
        second = seconds[draw(seed, "second", name) % len(seconds)]
        yield Triplet(name, split, category, mask_source, mask_id, source, clip_id, second)
