"""Recomputed, compiled, cut over processes, on several nodes: the weights of one plain process."""

import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avsynth.runtime.errors import ConfigError
from avsynth.training import loop as training
from avsynth.training.distributed import Ranks
from avsynth.training.parallel import prepare
from avsynth.training.run_state import read_state
from tests.helpers.small import SETTINGS, write_small_shards
from tests.helpers.training_job import Job, build, kill_at, run, start, weights

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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SAVE_EVERY_S", 0.0)
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
    """Return the gradients' running means: unlike Adam's steps, they distinguish sum and mean."""
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
        encoder = prepare(build(job), settings, ALONE).sam.image_encoder
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "switches"),
    [
        (TWO, (), ({}, {})),
        ((), TWO, ({}, {})),
        (TWO, (), ({"shard": "fsdp2"}, {})),
        ((), TWO, ({}, {"shard": "fsdp2", "checkpointing": True})),
    ],
    ids=["2-1", "1-2", "cut-1", "1-cut"],
)
def test_a_killed_run_goes_on_with_other_processes(
    shards, plain, tmp_path, before, after, switches
):
    never_killed, expected = plain["frozen"]
    job = replace(never_killed, state=str(tmp_path / "state"))
    killed = replace(job, slowness_s=0.1, settings=SMALL_STEPS | switches[0])
    left = kill_at(start(killed, "killed", before), killed, epoch=1, step=1)
    assert (left.epoch, left.step) < (2, 0)
    resumed = weights(replace(job, settings=SMALL_STEPS | switches[1]), "resumed", after)
    assert_near(resumed, expected, build(job).state_dict())
    assert_same_state(never_killed, job)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "switches"), [(1, {"shard": "fsdp2"}), (2, {})], ids=["1-cut", "2"]
)
def test_two_nodes_train_as_one(shards, plain, tmp_path, processes, switches):
    job, expected = plain["frozen"]
    spread = replace(job, state=str(tmp_path / "state"), settings=SMALL_STEPS | switches)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = [
        start(
            spread,
            f"node{rank}",
            (
                "--nnodes=2",
                f"--node-rank={rank}",
                "--master-addr=127.0.0.1",
                f"--master-port={port}",
                f"--nproc-per-node={processes}",
            ),
        )
        for rank in range(2)
    ]
    assert [node.wait(timeout=240) for node in nodes] == [0, 0]
    assert not (tmp_path / "node1.pt").exists()
    assert_near(torch.load(tmp_path / "node0.pt"), expected, build(job).state_dict())
    assert_same_state(job, spread)


@pytest.mark.slow
def test_a_state_that_not_every_process_finds_is_refused(plain, tmp_path):
    finished = plain["frozen"][0]
    shutil.copy(finished.state, tmp_path / "0.state")
    apart = replace(finished, state=str(tmp_path / "{rank}.state"))
    assert start(apart, "apart", TWO).wait(timeout=120) != 0
    said = (tmp_path / "apart.log").read_text()
    assert "expected one state, read by every process; found epoch 2, step 0 in process 0" in said
    assert "Put the project on a path that all nodes share." in said


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_blocks_train_to_the_same_weights(tmp_path, monkeypatch):
    """Every pass has four frames, because each number of frames is compiled separately."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setattr(training, "SAVE_EVERY_S", 0.0)
    shards = write_small_shards(tmp_path / "shards", {"train": 24, "val": 8})
    steps = SMALL_STEPS | {"batch_size": 8}
    job = Job(str(shards), str(tmp_path / "plain"), "frozen", settings=steps)
    expected = run(job)
    for name, switches, launcher in (
        ("alone", {}, ()),
        ("all", {"checkpointing": True, "shard": "fsdp2"}, TWO),
    ):
        settings = steps | {"compile": True} | switches
        compiled = replace(job, state=str(tmp_path / name), settings=settings)
        assert_near(weights(compiled, name, launcher), expected, build(job).state_dict())
        assert_same_state(job, compiled)
    assert list((tmp_path / "compiled").rglob("*.so"))


def test_compiling_without_a_compiler_is_said(plain, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    settings = SETTINGS.model_copy(update={"compile": True})
    with pytest.raises(ConfigError, match=r"train\.compile: .*found no no-such-compiler"):
        prepare(build(plain["frozen"][0]), settings, ALONE)
