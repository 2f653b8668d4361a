"""The quick build bench runs and prints every comparison."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_quick_bench_prints_every_row():
    command = [sys.executable, "bench/build.py", "--quick"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split()[:2] == ["what", "median"]
    assert len(rows) == 10
    for what in ("polygon -> PNG", "whole sample", "-> columns, CPU", "index", "46 categories"):
        assert any(what in row for row in rows)
