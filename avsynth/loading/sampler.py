"""`Request`s: the order of an epoch, batches over ranks, subsets of real data.

All of it is a function of (seed, epoch, stable ids), independent of workers, ranks and earlier
epochs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avsynth.core.hashing import draw
from avsynth.formats.shards import ShardReader
from avsynth.runtime.errors import DataError


@dataclass(frozen=True, slots=True)
class FrameGroup:
    """Frames that stay together in a batch: a whole clip, or one frame of it."""

    clip_key: str
    category: str
    keys: tuple[str, ...]
    """In time order."""


@dataclass(frozen=True, slots=True)
class Request:
    """One batch that a loader must return."""

    epoch: int
    step: int
    groups: tuple[FrameGroup, ...]
    weight: float
    """Frames of this batch divided by frames of the whole step, all ranks together."""


def list_groups(reader: ShardReader, *, whole_clips: bool) -> list[FrameGroup]:
    """Return the frame groups of a split, in the order of the shards.

    Args:
        reader: of the split.
        whole_clips: keep the frames of a clip together; otherwise each frame is a group.

    Raises:
        DataError: the frames of a clip are not adjacent, or some are absent.
    """
    groups: list[FrameGroup] = []
    pending: list[str] = []
    for key in reader.keys:
        meta = reader.meta(key)
        with reader.naming(key):
            _check_frame(meta)
        pending.append(key)
        last = len(pending) == meta["num_frames"]
        if meta["frame_index"] != len(pending) - 1:
            expected = f"the {meta['num_frames']} frames of clip {meta['clip_key']!r} in order"
            found = f"frame {meta['frame_index']} at position {len(pending) - 1}"
            raise DataError(f"{reader.folder}: {key}", expected, found, "Write the shards again.")
        if last or not whole_clips:
            keys = tuple(pending if whole_clips else pending[-1:])
            groups.append(FrameGroup(meta["clip_key"], meta["category"], keys))
        if last:
            pending = []
    return groups


def _check_frame(meta: dict[str, Any]) -> None:
    """Check what `list_groups` needs of a sample.

    Raises:
        ValueError: a value is of another type; KeyError: it is absent.
    """
    for name, kind in (
        ("num_frames", int),
        ("frame_index", int),
        ("clip_key", str),
        ("category", str),
    ):
        if type(meta[name]) is not kind:
            raise ValueError(f"{name} {meta[name]!r:.40}")


def subset(
    groups: Sequence[FrameGroup], percent: int, seed: int, order: Sequence[str] | None = None
) -> list[FrameGroup]:
    """Return the groups of a share of the clips; a smaller share is part of every larger one.

    Args:
        groups: of the training split.
        percent: 0..100; ``int(clips * percent / 100)`` clips are taken.
        seed: of the order.
        order: clip keys in an official order that replaces the seeded one, e.g. of
            ``s4_meta_data_shuffled.csv``; names that are not in ``groups`` are ignored.
    """
    clips = sorted({g.clip_key for g in groups}, key=lambda c: (draw(seed, "subset", c), c))
    if order is not None:
        known = set(clips)
        clips = [clip for clip in dict.fromkeys(order) if clip in known]
    kept = set(clips[: len(clips) * percent // 100])
    return [g for g in groups if g.clip_key in kept]


def epoch_steps(
    groups: Sequence[FrameGroup], frames: int, seed: int, epoch: int
) -> list[tuple[FrameGroup, ...]]:
    """Return the steps of an epoch: every group once, in an order that depends on the epoch.

    A step holds clips of one length. It has at most ``frames`` frames, and at least one group.
    """
    rng = np.random.default_rng([seed, epoch])
    steps = []
    for length in sorted({len(g.keys) for g in groups}):
        alike = [g for g in groups if len(g.keys) == length]
        mixed = [alike[i] for i in rng.permutation(len(alike))]
        steps += list(in_turn(mixed, frames))
    return [steps[i] for i in rng.permutation(len(steps))]


def in_turn(groups: Sequence[FrameGroup], frames: int) -> Iterator[tuple[FrameGroup, ...]]:
    """Yield runs of groups of one length with at most ``frames`` frames each, in order."""
    start = 0
    while start < len(groups):
        length = len(groups[start].keys)
        end = start + 1
        while (
            end < len(groups)
            and len(groups[end].keys) == length
            and (end + 1 - start) * length <= frames
        ):
            end += 1
        yield tuple(groups[start:end])
        start = end


def rank_requests(
    step: tuple[FrameGroup, ...],
    micro_frames: int,
    epoch: int,
    number: int,
    rank: int,
    world: int,
    *,
    even: bool = False,
) -> list[Request]:
    """Return a rank's micro-batches of a step; none when there are too few groups.

    Args:
        step: the global batch.
        micro_frames: at most this many frames in one forward pass.
        epoch: recorded in the requests.
        number: of the step in its epoch, recorded in the requests.
        rank: 0 .. world - 1.
        world: ranks that share the step.
        even: pad with requests of weight 0, so that all ranks have equally many.
    """
    parts = [
        list(in_turn(step[r * len(step) // world : (r + 1) * len(step) // world], micro_frames))
        for r in range(world)
    ]
    total = sum(len(group.keys) for group in step)
    mine = [
        Request(epoch, number, part, sum(len(g.keys) for g in part) / total) for part in parts[rank]
    ]
    missing = max(map(len, parts)) - len(mine) if even else 0
    return mine + [Request(epoch, number, step[:1], 0.0)] * missing
