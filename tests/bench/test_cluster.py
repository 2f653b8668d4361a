"""The cluster bench: its tasks are done, and a ratio is the first time over the second."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from avsynth.formats.shards import ShardReader, read_index
from avsynth.runtime.options import Runtime
from bench import cluster

REPOSITORY = Path(__file__).resolve().parents[2]


def test_shards_are_complete_and_deleted_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []

    def reading(folder: Path, *arguments: object) -> None:
        original(folder, *arguments)
        seen.append((len(read_index(folder)), len(ShardReader(folder, "train"))))

    original = cluster.build_shards
    monkeypatch.setattr(cluster, "build_shards", reading)
    cluster.shards(tmp_path, 2, Runtime(quiet=True))
    assert seen == [(2, 200)]
    assert list(tmp_path.iterdir()) == []


def test_the_ratio_is_how_much_longer_the_first_took(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    clock = [0.0]
    monkeypatch.setattr(cluster, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    calls = {"slow": 0, "quick": 0}

    def job(name: str, seconds: float) -> None:
        calls[name] += 1
        clock[0] += seconds

    found = cluster.in_turn(
        {"slow": lambda: job("slow", 0.06), "quick": lambda: job("quick", 0.02)}, 3
    )
    assert calls == {"slow": 4, "quick": 4}, "once for warmth"
    assert found == pytest.approx([3.0, 3.0, 3.0])
    assert "slow" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.ray
def test_the_quick_bench_prints_all_four():
    command = [sys.executable, "-m", "bench.cluster", "--quick"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for what in ("bare Ray", "map_items", "two processes", "Ray on two CPUs"):
        assert any(what in line and line.endswith(" s") for line in done.stdout.splitlines())
