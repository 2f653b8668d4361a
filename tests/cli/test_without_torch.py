"""Without torch: commands that do not need it work; the others name the missing extra."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from avsynth.building.new_project import init_project
from avsynth.formats.shards import ShardReader
from avsynth.runtime.environment import EXTRAS
from tests.conftest import REPOSITORY
from tests.helpers.score_rows import scored_project

BLOCKER = f"""
import importlib.util
import sys

BLOCKED = {set(EXTRAS["train"])!r}
find_spec = importlib.util.find_spec


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


def without(name, package=None):
    return None if name.partition(".")[0] in BLOCKED else find_spec(name, package)


importlib.util.find_spec = without
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment variables of a Python without the packages of the extra train."""
    folder = tmp_path_factory.mktemp("blocker")
    (folder / "sitecustomize.py").write_text(BLOCKER)
    return os.environ | {"COLUMNS": "200", "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}"}


@pytest.fixture(scope="module")
def project(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a built project with its raw data and score rows of two models."""
    root = tmp_path_factory.mktemp("scored") / "project"
    scored_project(built, root)
    shutil.copytree(built / "data/raw", root / "data/raw", copy_function=os.link)
    return root


@pytest.fixture(scope="module")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project without any data."""
    root = tmp_path_factory.mktemp("without-torch") / "project"
    init_project(root, "toy")
    return root


def run(environment: dict[str, str], *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, env=environment
    )


def avsynth(environment, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a project; the command ``models`` needs none."""
    at = () if words[0] == "models" else ("--root", root)
    return run(environment, "-m", "avsynth", *words, *at)


def test_the_packages_are_blocked(blocked):
    for package in EXTRAS["train"]:
        assert "ModuleNotFoundError" in run(blocked, "-c", f"import {package}").stderr


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("stats", "categories"),
        ("gallery", "wrote"),
        ("report", "report:"),
        ("compare zeroshot/sama_avs-s4 zeroshot/save-s4", "miou"),
        ("check", "torch is not installed"),
        ("plan", "vggsound"),
        ("build -S fetch.sources=[] -S match.mask_mode=instance", "found = used + dropped"),
        ("export coco {out}", "instances"),
        ("export avs-synthetic {out}", "wrote"),
    ],
)
def test_what_needs_no_torch_works(blocked, project, tmp_path, command, printed):
    words = command.format(out=tmp_path / "out").split()
    done = avsynth(blocked, project, *words)
    finds_raw_data_missing = command == "check"
    assert done.returncode == finds_raw_data_missing, done.stderr
    assert printed in done.stdout


def test_show_works(blocked, project):
    reader = ShardReader(project / "data/shards/avs-synthetic")
    done = avsynth(blocked, project, "show", reader.keys[0])
    assert done.returncode == 0, done.stderr
    assert reader.keys[0] in done.stdout


def test_the_modules_of_inspect_load(blocked):
    modules = sorted((REPOSITORY / "avsynth/inspection").rglob("*.py"))
    names = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for path in modules
    ]
    program = f"import avsynth.commands.inspect, {', '.join(names)}"
    done = run(blocked, "-c", program)
    assert done.returncode == 0, done.stderr
    assert len(names) > 10


@pytest.mark.parametrize(
    "command",
    [
        "train sama_avs", "zeroshot sama_avs s4", "fewshot sama_avs s4 100",
        "segment image.jpg audio.wav --model train/save", "models",
    ],
)  # fmt: skip
def test_a_command_that_needs_torch_says_how_to_install_it(blocked, new_project, command):
    done = avsynth(blocked, new_project, *command.split())
    assert done.returncode == 2
    assert done.stderr == (
        "error: torch: expected the optional package torch; found it is not installed. "
        "Install it with: pip install 'avsynth[train]'\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        "train sama_avs", "zeroshot sama_avs s4", "fewshot save s4 10", "s4_to_ms3 save",
        "v3_base save", "v3_shots save 1", "segment image.jpg sound.wav --model train/save",
        "models", "convert ms3",
    ],
)  # fmt: skip
def test_what_needs_torch_says_so_in_one_line(blocked, project, command):
    done = avsynth(blocked, project, *command.split())
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "torch" in done.stderr
    assert "pip install 'avsynth[train]'" in done.stderr
