"""The viewer bench opens a dataset and times its peer."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.rows import FILE_VARIABLE, recorded

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.fiftyone
def test_the_quick_bench_compares_samples_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "rows"))
    command = [sys.executable, "-m", "bench.viewer", "--quick"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.strip().startswith("300")]
    assert [line[1] for line in lines] == ["first", "again"]
    assert float(lines[1][4]) < float(lines[0][4]), "samples that are there are not made again"
    (row,) = recorded(tmp_path / "rows")
    assert row.area == "viewer"
