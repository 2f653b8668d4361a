"""``make bench`` collects the rows of its benches and lists the goals that were not reached."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as benches

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_listed_bench_exists():
    assert set(benches.BENCHES) >= {"build", "loader", "models", "evaluation", "cache", "cluster"}
    for name in benches.BENCHES:
        assert importlib.util.find_spec(f"bench.{name}"), name


def test_a_quick_run_prints_the_table_without_verdicts():
    command = [sys.executable, "-m", "bench", "--quick", "--only", "metrics"]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=quiet
    )
    assert done.returncode == 0, done.stderr
    assert "threads" in done.stdout.splitlines()[0]
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert "verdict" not in rows[0][-1]
    assert [row[0].strip("| ") for row in rows] == ["area", "metrics"]
    assert float(rows[1][2]) > 1, "the loop over thresholds is slower"


def test_an_unknown_bench_is_named():
    command = [sys.executable, "-m", "bench", "--only", "metrics,speed"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no bench ['speed']" in done.stderr


def table(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, *options: str) -> int:
    """Run `bench.__main__` with one bench of this code."""
    (folder / "bench").mkdir()
    for name in ("__init__", "rows"):
        source = REPOSITORY / "bench" / f"{name}.py"
        (folder / "bench" / f"{name}.py").write_text(source.read_text() if source.exists() else "")
    (folder / "bench" / "new.py").write_text(code)
    monkeypatch.setattr(benches, "REPOSITORY", folder)
    monkeypatch.setattr(benches, "BENCHES", {"new": ("--quick",)})
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    return benches.main()


LINE = "from bench.rows import Row, record\nrecord(Row('new', 'a line', [{}], 2))\n"


@pytest.mark.parametrize(
    ("code", "full", "quick", "said"),
    [
        (LINE.format(3.0), 0, 0, ""),
        (LINE.format(1.0), 1, 0, "not reached: a line"),
        (LINE.format(3.0) + "raise SystemExit(1)", 1, 0, "not reached: new"),
        ("raise SystemExit('broken')", 1, 1, "not reached: new"),
    ],
)
def test_the_outcome_is_the_verdict_of_a_full_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    code: str,
    full: int,
    quick: int,
    said: str,
):
    (tmp_path / "full").mkdir()
    (tmp_path / "quick").mkdir()
    assert table(tmp_path / "full", monkeypatch, code) == full
    written = capfd.readouterr()
    assert said in written.err
    assert " verdict |" in written.out
    assert table(tmp_path / "quick", monkeypatch, code, "--quick") == quick
    assert "verdict" not in capfd.readouterr().out
