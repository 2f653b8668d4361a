"""The evaluation bench compares two methods that give the same numbers."""

import sys
from pathlib import Path

import pytest

from bench import evaluation
from bench.rows import FILE_VARIABLE, recorded


@pytest.mark.slow
def test_rows_give_the_published_averages_and_less_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "rows"))
    monkeypatch.setattr(sys, "argv", ["bench", "--quick"])
    evaluation.main()
    (line,) = recorded(tmp_path / "rows")
    assert line.ratios[0] > 0
    assert "the same" in capsys.readouterr().out
    monkeypatch.setattr(evaluation, "ours", lambda model, split: (0.5, 0.5))
    with pytest.raises(SystemExit, match="from rows"):
        evaluation.main()
