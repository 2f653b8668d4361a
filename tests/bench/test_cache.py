"""The cache bench: cached results are faster than computing them again."""

from pathlib import Path

import pytest
import torch

from bench import cache
from bench.rows import FILE_VARIABLE, recorded


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "rows"
    monkeypatch.setenv(FILE_VARIABLE, str(path))
    torch.set_num_threads(1)
    return path


def test_embeddings_from_disk_are_compared_with_our_encoder(rows: Path, tmp_path: Path):
    cache.embeddings(tmp_path / "cache", "tiny", 2)
    found = {row.what: row for row in recorded(rows)}
    line = found["image embedding from disk vs our encoder"]
    assert (line.area, len(line.ratios), line.must) == ("cache", 2, 30)
    assert min(line.ratios) > 0
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 4


@pytest.mark.slow
def test_a_second_build_is_compared_with_the_first(rows: Path, tmp_path: Path):
    cache.rebuild(tmp_path, 0.05, 1)
    (line,) = recorded(rows)
    assert (line.area, line.must) == ("cache", 2)
    assert line.ratios[0] > 0
