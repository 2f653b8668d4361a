"""New projects: inside and outside Git, and their version of avsynth."""

import subprocess
from pathlib import Path

import pytest

from avsynth import __version__
from avsynth.building.new_project import init_project
from avsynth.core.params.load import load_params
from avsynth.runtime.errors import ConfigError


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_outside_git_dvc_works_without_it(tmp_path: Path):
    init_project(tmp_path / "p", "toy")
    assert "no_scm = true" in (tmp_path / "p/.dvc/config").read_text()
    assert not (tmp_path / "p/.gitignore").exists()


@pytest.mark.parametrize("place", [".", "below/it"])
def test_in_git_data_is_ignored_and_results_are_not(tmp_path: Path, place: str):
    git(tmp_path, "init", "--quiet")
    root = tmp_path / place
    init_project(root, "toy")
    assert "no_scm" not in (root / ".dvc/config").read_text()
    made = (
        "data/raw/lvis/1.jpg", "data/interim/x.csv", "runs/train/x", "reports/scores/x.csv",
        "reports/tables/x.csv", "reports/metrics.json", "dvc.lock", "reviews.csv",
    )  # fmt: skip
    for name in made:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    git(root, "add", "-A")
    staged = set(git(root, "diff", "--cached", "--name-only", "--relative").split())
    assert staged & set(made) == {
        "reports/tables/x.csv", "reports/metrics.json", "dvc.lock", "reviews.csv",
    }  # fmt: skip


def test_a_folder_that_git_ignores_is_outside_git(tmp_path: Path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("/demo/\n")
    init_project(tmp_path / "demo", "toy")
    assert "no_scm = true" in (tmp_path / "demo/.dvc/config").read_text()


def test_params_for_another_version_are_refused_with_both_ways_out(tmp_path: Path):
    init_project(tmp_path / "p", "toy")
    path = tmp_path / "p/params.yaml"
    path.write_text(path.read_text().replace(f"avsynth: {__version__}", "avsynth: 0.0.9"))
    with pytest.raises(ConfigError) as refusal:
        load_params(tmp_path / "p")
    assert f"Set 'avsynth: {__version__}'" in str(refusal.value)
    assert "pip install avsynth==0.0.9" in str(refusal.value)
