"""The speed scripts of the models run on the tiny backbone and judge what they measure."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "titles"),
    [
        (
            ["-m", "bench.models", "--quick"],
            ["Encoder tiny, 256 px, batch 4", "SAMA-AVS training step", "AP-SAM training step"],
        ),
        (
            ["bench/gpu.py", "--tiny"],
            ["Encoder tiny, 64 px", "SAMA-AVS training step", "AP-SAM", "Evaluation of 5 frames",
             "Loader, tiny, 64 px"],
        ),
    ],
)  # fmt: skip
def test_the_script_prints_its_tables(arguments: list[str], titles: list[str]) -> None:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for title in titles:
        assert f"### {title}" in done.stdout
    errors = [line.split("error ")[1] for line in done.stdout.splitlines() if "error " in line]
    assert len(errors) >= 6
    assert max(float(e.split(")")[0].split(" ")[0]) for e in errors) < 1.5e-2


def test_a_ratio_is_judged_by_its_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    from bench.interleaved import Timing, judge, ratios, table

    assert ratios([2.0, 6.0, 4.0], [1.0, 2.0, 4.0]) == (2.0, 1.0, 3.0)
    goals = [judge(1.9, (2, 3)), judge(2.0, (2, 3)), judge(3.0, (2, 3)), judge(9.0, None)]
    assert [g.split(": ")[-1] for g in goals] == ["FAIL", "pass", "stretch", ""]
    timings = {"a": Timing([4.0], [4.0]), "b": Timing([2.0], [1.0])}
    text = table("Title", timings, {"b": "note"}, {"b": (1.5, 3)})
    assert "| b | 2.000 | 1.000 | 2.00 (2.00 to 2.00) | 4.00 | 1.5 / 3: pass | note |" in text
