"""What a step sees: every frame once, whatever the ranks; nested subsets."""

from collections import Counter

import pytest

from avsynth.errors import DataError
from avsynth.sampling import (
    FrameGroup,
    epoch_steps,
    in_turn,
    list_groups,
    rank_requests,
    subset,
)
from avsynth.shards import ShardReader, write_index, write_shard
from tests.small import small_sample, write_small_shards


def groups_of(*lengths: int) -> list[FrameGroup]:
    return [
        FrameGroup(f"clip{i}", "dog", tuple(f"k{i}-{j}" for j in range(length)))
        for i, length in enumerate(lengths)
    ]


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_every_frame_is_seen_once_an_epoch_for_any_number_of_ranks(world):
    groups = groups_of(*[1] * 23, *[5] * 4, *[10] * 3)
    seen = Counter()
    for number, step in enumerate(epoch_steps(groups, 8, seed=3, epoch=2)):
        assert len({len(g.keys) for g in step}) == 1
        shares = 0.0
        for rank in range(world):
            for request in rank_requests(step, 4, 2, number, rank, world):
                seen.update(key for g in request.groups for key in g.keys)
                shares += request.share
        assert shares == pytest.approx(1)
    assert seen == Counter(key for g in groups for key in g.keys)


def test_order_depends_on_seed_and_epoch_alone():
    groups = groups_of(*[1] * 30)
    first = epoch_steps(groups, 8, seed=0, epoch=0)
    assert first == epoch_steps(groups, 8, seed=0, epoch=0)
    assert first != epoch_steps(groups, 8, seed=0, epoch=1)
    assert first != epoch_steps(groups, 8, seed=1, epoch=0)


def test_a_run_of_groups_never_holds_more_frames_than_asked_but_for_one_long_clip():
    runs = list(in_turn(groups_of(1, 1, 1, 5, 5, 12, 1), 10))
    assert [[len(g.keys) for g in run] for run in runs] == [[1, 1, 1], [5, 5], [12], [1]]


def test_a_smaller_share_is_part_of_every_larger_one():
    groups = groups_of(*[1] * 66)
    taken = {p: {g.clip_key for g in subset(groups, p, seed=0)} for p in (0, 10, 20, 30, 100)}
    assert [len(taken[p]) for p in taken] == [0, 6, 13, 19, 66]
    assert taken[0] <= taken[10] <= taken[20] <= taken[30] <= taken[100]
    assert taken[10] != {g.clip_key for g in subset(groups, 10, seed=1)}


def test_the_official_order_takes_the_place_of_the_seed():
    order = ["not-here", *(f"clip{i}" for i in reversed(range(10))), "clip3"]
    assert {g.clip_key for g in subset(groups_of(*[1] * 10), 20, 0, order)} == {"clip8", "clip9"}


def test_the_frames_of_a_clip_stay_together_or_go_their_own_ways(tmp_path):
    write_small_shards(tmp_path, {"test": 3}, {"test": 4})
    reader = ShardReader(tmp_path, "test")
    assert [len(g.keys) for g in list_groups(reader, whole_clips=True)] == [4, 4, 4]
    assert [g.keys for g in list_groups(reader, whole_clips=False)] == [(k,) for k in reader.keys]


def test_a_clip_with_a_frame_missing_is_refused(tmp_path):
    samples = [small_sample("test", 0, 3, f) for f in (0, 2)]
    write_index(tmp_path, "x", [write_shard(tmp_path / "test-00000.tar", "test", samples)])
    with pytest.raises(DataError, match="the 3 frames of clip 'test0' in order"):
        list_groups(ShardReader(tmp_path, "test"), whole_clips=True)
