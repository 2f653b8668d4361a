"""The training loop: learns, resumes to the bit after a kill, is one over ranks."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avsynth.loading.dataset import load
from avsynth.runtime.errors import AvsynthError, CheckpointError, DataError, SpaceError
from avsynth.runtime.options import Runtime
from avsynth.training import loop as training
from avsynth.training import run_state as resuming
from avsynth.training.distributed import Ranks
from avsynth.training.run_state import RunState, read_state, write_state
from tests.helpers.small import SETTINGS, SmallModel, small_split, write_small_shards
from tests.helpers.training_job import Job, kill_at, run, start


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_small_shards(tmp_path_factory.mktemp("small"), {"train": 26, "val": 8, "test": 8})


def run_of(
    shards,
    tmp_path,
    model=None,
    settings=SETTINGS,
    report=lambda epoch: None,
    runtime=Runtime(quiet=True),  # noqa: B008 -- it is frozen
):
    model = model or SmallModel()
    done = training.train(
        model,
        (small_split(shards, "train"), small_split(shards, "val")),
        settings,
        training.Run(tmp_path / "state.pt", "print", seed=1),
        ranks=Ranks(0, 1, torch.device("cpu")),
        runtime=runtime,
        report=report,
    )
    return model, done


def same(a, b):
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


def test_training_learns_and_ends_with_the_best_epoch(shards, tmp_path):
    told = []
    model, done = run_of(shards, tmp_path, report=told.append)
    assert [e.epoch for e in told] == [0, 1, 2, 3]
    assert told == done.history
    assert done.best_miou == max(e.val_miou for e in told) > 0.8
    assert done.effective_batch == SETTINGS.batch_size
    assert told[0].lr == SETTINGS.lr
    assert told[0].lr > told[1].lr > told[3].lr > SETTINGS.min_lr
    ranks, runtime = Ranks(0, 1, torch.device("cpu")), Runtime(quiet=True)
    split = small_split(shards, "val")
    requests = training.validation_requests(split, SETTINGS, ranks)
    again = training.validate(model, load(split.dataset, requests, runtime), SETTINGS, ranks)
    assert again == done.best_miou


def test_some_epochs_may_go_without_validation(shards, tmp_path):
    settings = SETTINGS.model_copy(update={"epochs": 4, "validate_every": 3})
    _, some = run_of(shards, tmp_path / "some", settings=settings)
    _, every = run_of(shards, tmp_path / "every")
    assert [e.val_miou is None for e in some.history] == [True, True, False, False]
    assert [e.train_loss for e in some.history] == [e.train_loss for e in every.history]
    assert some.history[2:] == every.history[2:]
    assert some.best_epoch in (2, 3)


def test_micro_batches_change_nothing_but_memory(shards, tmp_path):
    plain = SETTINGS.model_copy(update={"epochs": 1})
    weights = []
    for micro in (6, 4, 1):
        model = SmallModel()
        model.drop.p = 0.0
        settings = plain.model_copy(update={"micro_batch": micro})
        run_of(shards, tmp_path / str(micro), model, settings)
        weights.append(model.state_dict())
    for other in weights[1:]:
        for name, tensor in weights[0].items():
            assert torch.allclose(tensor, other[name], atol=1e-6), name


def test_a_killed_run_goes_on_to_the_weights_it_would_have_reached(tmp_path):
    shards = write_small_shards(tmp_path / "shards", {"train": 26, "val": 8})
    job = Job(str(shards), str(tmp_path / "killed.pt"), dropout=0.1)
    kill_at(start(replace(job, slowness_s=0.05), "killed"), job, epoch=1, step=2)
    resumed = run(job)
    assert same(resumed, run(replace(job, state=str(tmp_path / "never-killed.pt"))))
    assert not same(resumed, SmallModel().state_dict())


@pytest.mark.parametrize("workers", [1, 2])
def test_every_frame_is_seen_once_an_epoch_also_by_a_run_that_is_resumed(
    shards, tmp_path, monkeypatch, workers
):
    monkeypatch.setattr(training, "SAVE_EVERY_S", 0.0)
    seen = []

    class Noting(SmallModel):
        stop_at = 9  # of 7 micro-batches an epoch

        def loss(self, batch):
            self.stop_at -= 1
            if self.stop_at == 0:
                raise KeyboardInterrupt
            seen.append(batch.keys)
            return super().loss(batch)

    settings = SETTINGS.model_copy(update={"epochs": 3, "batch_size": 4})
    runtime = Runtime(workers=workers, quiet=True)
    with pytest.raises(KeyboardInterrupt):
        run_of(shards, tmp_path, Noting(), settings, runtime=runtime)
    left = read_state(tmp_path / "state.pt", "print")
    assert (left.epoch, left.step) == (1, 1)
    resumed = Noting()
    resumed.stop_at = -1
    run_of(shards, tmp_path, resumed, settings, runtime=runtime)
    frames = sorted(small_split(shards, "train").dataset.reader.keys)
    assert len(seen) == 21
    for epoch in range(3):
        keys = [key for batch in seen[7 * epoch : 7 * epoch + 7] for key in batch]
        assert sorted(keys) == frames


def test_a_state_of_another_run_is_not_resumed(shards, tmp_path):
    write_state(tmp_path / "state.pt", RunState("another", epoch=3))
    _, done = run_of(shards, tmp_path)
    assert len(done.history) == 4


def test_a_damaged_state_is_refused(tmp_path):
    path = tmp_path / "state.pt"
    write_state(path, RunState("print", weights={"w": torch.zeros(1000)}))
    path.write_bytes(path.read_bytes()[:900])
    whole = path.read_bytes()
    for content in (b"", b"text", b"\n", whole[:900], whole[:64], whole[64:], bytes(2000)):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"Remove .*state\.pt and run the same command"):
            read_state(path, "print")


@pytest.mark.parametrize(
    "content",
    [
        [], 3, "text", {}, {"fingerprint": 3}, {"fingerprint": "print", "epoch": "1"},
        {"fingerprint": "print", "weights": []}, {"fingerprint": "print", "weights": {"w": 1}},
        {"fingerprint": "print", "more": 1},
    ],
)  # fmt: skip
def test_a_state_of_other_content_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="the state of a run"):
        read_state(tmp_path / "state.pt", "print")


def test_a_pipe_in_place_of_a_state_is_refused(tmp_path):
    os.mkfifo(tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="a folder, pipe or device"):
        read_state(tmp_path / "state.pt", "print")


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(shards, tmp_path):
    class Diverging(SmallModel):
        def loss(self, batch):
            loss = super().loss(batch)
            return loss * float("nan") if "high-train0003f0" in batch.keys else loss

    with pytest.raises(AvsynthError, match=r"a finite loss; found nan\. .*not-finite\.json"):
        run_of(shards, tmp_path, Diverging())
    saved = json.loads((tmp_path / "not-finite.json").read_text())
    assert "high-train0003f0" in saved["keys"]
    assert saved["epoch"] == 0


@pytest.mark.parametrize(
    "fault",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
        MemoryError(),
    ],
)
def test_out_of_memory_says_what_to_change(shards, tmp_path, fault):
    class Huge(SmallModel):
        def loss(self, batch):
            raise fault

    expected = r"4 frames of 16 x 16 px at once\. Lower train\.micro_batch \(now 4\)"
    with pytest.raises(AvsynthError, match=expected):
        run_of(shards, tmp_path, Huge())


def test_memory_really_running_out_is_said(shards, tmp_path):
    class Huge(SmallModel):
        def loss(self, batch):
            return torch.empty(2**52).sum()

    with pytest.raises(AvsynthError, match=r"Lower train\.micro_batch"):
        run_of(shards, tmp_path, Huge())


def test_another_runtime_error_keeps_its_traceback(shards, tmp_path):
    class Broken(SmallModel):
        def loss(self, batch):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run_of(shards, tmp_path, Broken())


def test_a_full_disk_leaves_the_state_before_it(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    write_state(path, RunState("print", epoch=1))

    def full(content, target):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(resuming.torch, "save", full)
    with pytest.raises(SpaceError, match="No space left on device"):
        write_state(path, RunState("print", epoch=2))
    monkeypatch.undo()
    assert read_state(path, "print").epoch == 1
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_torch_on_a_full_device_is_a_space_error(tmp_path, monkeypatch):
    full = tmp_path / "state.pt.tmp"
    full.symlink_to("/dev/full")
    monkeypatch.setattr("avsynth.core.files._temporary", lambda path: full)
    with pytest.raises(SpaceError, match=r"as when the disk is full|No space left"):
        write_state(tmp_path / "state.pt", RunState("print", weights={"w": torch.zeros(100_000)}))
    assert not (tmp_path / "state.pt").exists()


def test_a_model_that_does_not_train_is_validated_as_it_is(shards, tmp_path):
    class Fixed(SmallModel):
        def trainable_names(self):
            return []

    model, done = run_of(shards, tmp_path, Fixed())
    assert same(model.state_dict(), SmallModel().state_dict())
    assert len(done.history) == 1
    assert 0 <= done.best_miou <= 1


def test_nothing_to_train_on_is_said(shards, tmp_path):
    train, val = small_split(shards, "train"), small_split(shards, "val")
    train.groups.clear()
    with pytest.raises(DataError, match="samples to train and to validate on; found 0 and 8"):
        training.train(
            SmallModel(),
            (train, val),
            SETTINGS,
            training.Run(tmp_path / "s.pt", "print", seed=0),
            ranks=Ranks(0, 1, torch.device("cpu")),
            runtime=Runtime(),
        )
