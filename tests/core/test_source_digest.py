"""The code behind a module: which files count, and that a change of one changes the digest."""

import shutil
from pathlib import Path

import pytest

from avsynth.core import hashing
from tests.conftest import REPOSITORY


def test_the_code_of_a_sample_is_its_front_end_and_no_more():
    files = hashing.source_files("avsynth.building.samples")
    needed = {"avsynth.building.samples", "avsynth.formats.logmel", "avsynth.formats.waveform"}
    assert needed <= set(files)
    assert not [name for name in files if name.startswith("avsynth.runtime")]
    assert "avsynth.building.matching" not in files
    assert all(path.is_file() for path in files.values())


def test_imports_inside_functions_count_and_those_for_type_checkers_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert "avsynth.toy" in hashing.source_files("avsynth.pipelines.fetch")
    (tmp_path / "a.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import avsynth.b\n"
        "def f():\n    from avsynth import c\n"
    )
    for name in ("b", "c"):
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.setattr(hashing, "_PACKAGE", tmp_path)
    assert set(hashing.source_files("avsynth.a")) == {"avsynth.a", "avsynth.c"}


def append(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line)


def test_a_change_of_one_file_behind_a_module_changes_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "avsynth"
    shutil.copytree(REPOSITORY / "avsynth", package, symlinks=True)
    monkeypatch.setattr(hashing, "_PACKAGE", package)
    monkeypatch.setattr(hashing, "source_digest", hashing.source_digest.__wrapped__)
    first = hashing.source_digest("avsynth.building.samples")
    append(package / "formats/logmel.py", "# another window\n")
    second = hashing.source_digest("avsynth.building.samples")
    append(package / "building/matching.py", "# not behind a sample\n")
    append(package / "runtime/errors.py", "# not behind an output\n")
    assert first != second == hashing.source_digest("avsynth.building.samples")
    monkeypatch.undo()
    assert hashing.source_digest("avsynth.building.samples") == first, "the place does not count"
