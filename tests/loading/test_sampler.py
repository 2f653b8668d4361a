"""What a step sees: every frame once, whatever the ranks; nested subsets."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsynth.formats.shards import ShardReader, write_index, write_shard
from avsynth.loading.sampler import (
    FrameGroup,
    epoch_steps,
    in_turn,
    list_groups,
    rank_requests,
    subset,
)
from avsynth.runtime.errors import DataError
from tests.helpers.small import small_sample, write_small_shards


def groups_of(*lengths: int) -> list[FrameGroup]:
    return [
        FrameGroup(f"clip{i}", "dog", tuple(f"k{i}-{j}" for j in range(length)))
        for i, length in enumerate(lengths)
    ]


def keys_of(requests):
    return [key for request in requests for group in request.groups for key in group.keys]


@given(
    lengths=st.lists(st.sampled_from([1, 1, 1, 2, 5, 10]), min_size=1, max_size=40),
    frames=st.integers(1, 24),
    micro=st.integers(1, 12),
    worlds=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    epoch=st.integers(0, 3),
    seed=st.integers(0, 9),
    even=st.booleans(),
    data=st.data(),
)
def test_every_frame_is_seen_once_an_epoch_whoever_takes_the_steps(
    lengths, frames, micro, worlds, epoch, seed, even, data
):
    """Whatever the clips, the batch and the ranks; also when other ranks go on in mid-epoch."""
    groups = groups_of(*lengths)
    steps = epoch_steps(groups, frames, seed, epoch)
    cuts = data.draw(st.lists(st.integers(0, len(steps)), min_size=2, max_size=2).map(sorted))
    seen = Counter()
    for number, step in enumerate(steps):
        assert len({len(g.keys) for g in step}) == 1
        assert len(step) == 1 or sum(len(g.keys) for g in step) <= frames
        world = worlds[min(sum(number >= cut for cut in cuts), len(worlds) - 1)]
        per_rank = [
            rank_requests(step, micro, epoch, number, rank, world, even=even)
            for rank in range(world)
        ]
        requests = [request for mine in per_rank for request in mine]
        counted = [r for r in requests if r.weight]
        assert all((r.epoch, r.step) == (epoch, number) for r in requests)
        assert all(len(r.groups) == 1 or len(keys_of([r])) <= micro for r in requests)
        assert sum(r.weight for r in counted) == pytest.approx(1)
        total = len(keys_of(counted))
        assert all(r.weight == pytest.approx(len(keys_of([r])) / total) for r in counted)
        if even:
            assert len({len(mine) for mine in per_rank}) == 1
        else:
            assert len(counted) == len(requests)
        seen.update(keys_of(counted))
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
