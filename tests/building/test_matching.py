from collections.abc import Iterable
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsynth.building.matching import MatchResult, match, triplet_id
from avsynth.core.params.building import MatchParams
from avsynth.formats.waveform import loud_seconds

PARAMS = MatchParams.model_validate(
    {
        "mask_mode": "instance",
        "sizes": {"train": 800, "val": 100, "test": 100},
        "max_masks_per_category": None,
        "max_clips_per_category": None,
        "pairing": "fixed",
        "quiet_second_db": -50.0,
        "exclude_videos": [],
        "reviews": None,
    }
)


def masks_of(categories: Iterable[str], images: int = 200, source: str = "lvis") -> pd.DataFrame:
    """Two masks a category in images that several categories share."""
    rows = [
        (f"{category}-{i}-{k}", source, category, f"coco/{(i * 7 + len(category)) % images:012d}")
        for category in categories
        for i in range(images)
        for k in range(2)
    ]
    return pd.DataFrame(rows, columns=["mask_id", "source", "category", "image_id"])


def clips_of(
    categories: Iterable[str], count: int = 40, source: str = "vggsound", prefix: str = ""
) -> pd.DataFrame:
    rows = [
        (f"{prefix}{c}{i:04d}_000010", source, c, f"{prefix}{c}{i:04d}", "-20.0 -80.0 -10.0")
        for c in categories
        for i in range(count)
    ]
    return pd.DataFrame(rows, columns=["clip_id", "source", "category", "video_id", "second_db"])


def run(masks: pd.DataFrame, clips: pd.DataFrame, seed: int = 0, **changes: object) -> MatchResult:
    banned = changes.pop("banned_videos", ())
    params = PARAMS.model_validate({**PARAMS.model_dump(), **changes})
    return match(masks, clips, params, seed=seed, banned_videos=banned)  # type: ignore[arg-type]


def used(matched: MatchResult) -> pd.DataFrame:
    return pd.DataFrame([t for t in matched.triplets if t.status == "ok"])


def test_every_mask_becomes_one_row_used_or_dropped():
    masks = masks_of(["cat", "dog"])
    matched = run(masks, clips_of(["cat"]))
    assert sorted(t.mask_id for t in matched.triplets) == sorted(masks["mask_id"])
    dropped = [t for t in matched.triplets if t.status == "dropped"]
    assert {(t.category, t.reason) for t in dropped} == {("dog", "no_clip")}


def test_a_triplet_hears_its_own_category_in_its_own_split():
    matched = run(masks_of(["cat", "dog"]), clips_of(["cat", "dog"]))
    pool = matched.pool.set_index("clip_id")
    assert set(used(matched)["category"]) == {"cat", "dog"}
    for row in used(matched).itertuples():
        assert (pool.at[row.clip_id, "category"], pool.at[row.clip_id, "split"]) == (
            row.category,
            row.split,
        )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), images=st.integers(3, 60), clips=st.integers(1, 12))
def test_no_image_and_no_video_stands_in_two_splits(seed: int, images: int, clips: int):
    masks = masks_of(["cat", "dog", "bird"], images)
    both = pd.concat(
        [
            clips_of(["cat", "dog", "bird"], clips),
            # AudioSet holds some of the same videos, one of them under another category.
            clips_of(["cat", "dog"], clips // 2, "audioset").assign(
                category=lambda f: f["category"].replace("dog", "bird")
            ),
        ]
    )
    matched = run(masks, both, seed)
    triplets = used(matched)
    if len(triplets):
        image = dict(zip(masks["mask_id"], masks["image_id"], strict=True))
        splits = triplets.groupby(triplets["mask_id"].map(image))["split"].nunique()
        assert (splits == 1).all()
    pool = matched.pool[matched.pool["status"] == "ok"]
    assert (pool.groupby("video_id")["split"].nunique() == 1).all()
    assert (pool.groupby("video_id")["category"].nunique() == 1).all()


def test_split_shares_follow_the_sizes():
    triplets = used(
        run(
            masks_of(["cat", "dog", "bird"], 2000),
            clips_of(["cat", "dog", "bird"]),
            sizes={"train": 8000, "val": 1000, "test": 1000},
        )
    )
    shares = triplets["split"].value_counts(normalize=True)
    assert abs(shares["train"] - 0.8) < 0.02
    assert abs(shares["val"] - 0.1) < 0.02


def test_no_split_grows_past_its_size():
    matched = run(masks_of(["cat", "dog"], 1000), clips_of(["cat", "dog"]))
    assert used(matched)["split"].value_counts().max() <= 800
    assert (used(matched)["split"].value_counts()[["val", "test"]] <= 100).all()
    assert {t.reason for t in matched.triplets} == {"", "split_full"}


def test_another_category_leaves_the_others_unchanged():
    few = run(masks_of(["cat", "dog"]), clips_of(["cat", "dog"]), max_masks_per_category=50)
    more = run(
        masks_of(["cat", "bird", "dog"]),
        clips_of(["bird", "cat", "dog"]),
        max_masks_per_category=50,
    )
    assert [t for t in more.triplets if t.category != "bird"] == few.triplets


def test_the_order_of_rows_does_not_matter():
    masks, clips = masks_of(["cat", "dog"]), clips_of(["cat", "dog"])
    again = run(masks.sample(frac=1, random_state=1), clips.sample(frac=1, random_state=2))
    assert again.triplets == run(masks, clips).triplets


def test_another_seed_gives_other_pairs_but_the_same_ids():
    masks, clips = masks_of(["cat"]), clips_of(["cat"])
    a, b = run(masks, clips, 0), run(masks, clips, 1)
    assert {t.triplet_id for t in a.triplets} == {t.triplet_id for t in b.triplets}
    assert [t.clip_id for t in a.triplets] != [t.clip_id for t in b.triplets]


def test_caps_are_counted_and_nested():
    masks, clips = masks_of(["cat"]), clips_of(["cat"])
    kept = [
        set(used(run(masks, clips, max_masks_per_category=cap))["mask_id"]) for cap in (10, 40, 80)
    ]
    assert [len(k) for k in kept] == [10, 40, 80]
    assert all(small < large for small, large in pairwise(kept))
    matched = run(masks, clips, max_clips_per_category=5)
    assert (matched.pool["reason"] == "over_category_cap").sum() == 35


def test_a_benchmarks_video_is_a_counted_drop():
    clips = clips_of(["cat"])
    banned = set(clips["video_id"][:7])
    matched = run(masks_of(["cat"]), clips, banned_videos=banned)
    dropped = matched.pool[matched.pool["reason"] == "benchmark_video"]
    assert set(dropped["video_id"]) == banned
    assert not used(matched)["clip_id"].isin(dropped["clip_id"]).any()


def test_a_picture_that_two_sources_mark_is_used_once():
    masks = pd.concat([masks_of(["cat"], 20), masks_of(["cat"], 30, "coco")])
    matched = run(masks, clips_of(["cat"]))
    dropped = [t for t in matched.triplets if t.reason == "duplicate_image"]
    assert {t.mask_source for t in dropped} == {"coco"}
    assert len(dropped) == 40
    assert sum(t.status == "ok" for t in matched.triplets) == 40 + 20


def test_union_makes_one_triplet_of_a_category_in_a_picture():
    masks = masks_of(["cat", "dog"], 30)
    matched = run(masks, clips_of(["cat", "dog"]), mask_mode="union")
    assert len(matched.triplets) == masks.groupby(["category", "image_id"]).ngroups
    assert sorted("+".join(t.mask_id for t in matched.triplets).split("+")) == sorted(
        masks["mask_id"]
    )


def test_only_a_loud_second_is_drawn():
    matched = run(masks_of(["cat"]), clips_of(["cat"]))
    assert set(used(matched)["second"]) == {0, 2}


@pytest.mark.parametrize(
    ("second_db", "expected"),
    [("-20.0 -60.0 -49.9", [0, 2]), ("-70.0 -60.0 -inf", [1]), ("-inf", [0])],
)
def test_a_quiet_clip_gives_its_loudest_second(second_db: str, expected: list[int]):
    assert loud_seconds(second_db, -50.0) == expected


def test_triplet_ids_are_the_same_on_every_machine():
    assert triplet_id("lvis", "42", "dog") == "c29162d7ef725f2c"


def test_what_reviewers_condemned_is_dropped_and_nothing_else_moves():
    masks, clips = masks_of(["dog", "cat"]), clips_of(["dog", "cat"])
    before = match(masks, clips, PARAMS, seed=0)
    used = next(t for t in before.triplets if t.status == "ok")
    reviewed = {("mask", "lvis", used.mask_id): "review_bad_mask"}
    after = match(masks, clips, PARAMS, seed=0, reviewed=reviewed)
    changed = [
        (one, other) for one, other in zip(before.triplets, after.triplets, strict=True)
        if one != other
    ]  # fmt: skip
    (dropped,) = (other for one, other in changed if one.mask_id == used.mask_id)
    assert (dropped.status, dropped.reason, dropped.clip_id) == ("dropped", "review_bad_mask", "")
    # Its place in a full split may go to the next in line, and to no more than that.
    assert {one.reason for one, _ in changed[1:]} <= {"split_full"}
    assert len(changed) <= 2
    assert after.pool.equals(before.pool)


def test_a_condemned_clip_is_heard_no_more():
    masks, clips = masks_of(["dog"]), clips_of(["dog"])
    before = match(masks, clips, PARAMS, seed=0)
    paired = next(t.clip_id for t in before.triplets if t.status == "ok")
    reviewed = {("clip", "vggsound", paired): "review_bad_sound"}
    after = match(masks, clips, PARAMS, seed=0, reviewed=reviewed)
    assert paired not in {t.clip_id for t in after.triplets}
    row = after.pool[after.pool["clip_id"] == paired].iloc[0]
    assert (row["status"], row["reason"], row["split"]) == ("dropped", "review_bad_sound", "")


def test_a_condemned_mask_leaves_its_union():
    masks, clips = masks_of(["dog"], images=5), clips_of(["dog"])
    union = PARAMS.model_copy(update={"mask_mode": "union"})
    before = match(masks, clips, union, seed=0)
    whole = next(t for t in before.triplets if t.status == "ok")
    bad, good = whole.mask_id.split("+")
    reviewed = {("mask", "lvis", bad): "review_bad_mask"}
    after = {t.mask_id: t for t in match(masks, clips, union, seed=0, reviewed=reviewed).triplets}
    assert after[bad].reason == "review_bad_mask"
    assert after[good].status == "ok"
    assert whole.mask_id not in after
