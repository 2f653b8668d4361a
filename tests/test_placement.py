"""Recomputed, compiled, cut over processes, on several nodes: the weights of one plain process."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avsynth.placement import placed
from avsynth.ranks import Ranks
from avsynth.resuming import read_state
from tests.small import SETTINGS, write_small_shards
from tests.training_job import Job, build, run, weights

ALONE = Ranks(0, 1, torch.device("cpu"))
TWO = ("--standalone", "--nproc-per-node=2")
SMALL_STEPS = {"epochs": 2, "lr": 2e-5, "min_lr": 1e-5}
"""The bias of attention's keys has no gradient but rounding, and Adam makes whole steps of it."""


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Thirteen clips in steps of six: the last step has one, and a rank without any."""
    return write_small_shards(tmp_path_factory.mktemp("small"), {"train": 13, "val": 5})


@pytest.fixture(scope="module")
def plain(shards, tmp_path_factory):
    """One plain process for each kind of model: its job, its weights."""
    folder = tmp_path_factory.mktemp("plain")
    jobs = {
        model: Job(str(shards), str(folder / f"{model}.state"), model, settings=SMALL_STEPS)
        for model in ("frozen", "trained")
    }
    return {model: (job, run(job)) for model, job in jobs.items()}


def assert_near(ours, theirs, start_from):
    """Compare weights; what is allowed is far below what training has changed."""
    assert ours.keys() == theirs.keys()
    moved = 0.0
    for name, tensor in ours.items():
        assert torch.allclose(tensor, theirs[name], rtol=0, atol=1e-6), name
        moved = max(moved, float((tensor - start_from[name]).abs().max()))
    assert moved > 6e-5


def moments(job):
    """Give the gradients' running means: unlike Adam's steps, they tell a sum from a mean."""
    state = read_state(Path(job.state), "job").optimizer["state"]
    return [slots["exp_avg"] for _, slots in sorted(state.items())]


def assert_same_state(job, other):
    histories = [read_state(Path(j.state), "job").history for j in (job, other)]
    for a, b in zip(*histories, strict=True):
        assert a == pytest.approx(b, abs=1e-6)
    for a, b in zip(moments(job), moments(other), strict=True):
        assert type(b) is torch.Tensor
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-6)


def test_recomputing_changes_no_weight_and_keeps_less(shards, plain, tmp_path):
    job, expected = plain["trained"]
    switched = replace(
        job, state=str(tmp_path / "s"), settings=SMALL_STEPS | {"checkpointing": True}
    )
    weights = run(switched)
    assert all(weights[name].equal(tensor) for name, tensor in expected.items())
    kept = []
    for checkpointing in (False, True):
        settings = SETTINGS.model_copy(update={"checkpointing": checkpointing})
        encoder = placed(build(job), settings, ALONE).sam.image_encoder
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: sizes.append(t.nbytes) or t, lambda t: t
        ):
            encoder(torch.zeros(1, 3, 32, 32))
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 2


@pytest.mark.slow
@pytest.mark.parametrize("model", ["frozen", "trained"])
@pytest.mark.parametrize(
    "switches", [{}, {"shard": "fsdp2"}, {"shard": "fsdp2", "checkpointing": True}]
)
def test_two_processes_train_as_one(shards, plain, tmp_path, model, switches):
    job, expected = plain[model]
    double = replace(job, state=str(tmp_path / "state"), settings=SMALL_STEPS | switches)
    assert_near(weights(double, "two", TWO), expected, build(job).state_dict())
    assert_same_state(job, double)
