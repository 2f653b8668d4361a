"""Commands that need torch name the missing extra in one line where it is not installed."""

import subprocess
import sys

import pytest

from avsynth.building.new_project import init_project

BLOCKED = """
import sys
sys.modules["torch"] = None
from avsynth.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("without-torch") / "project"
    init_project(root, "toy")
    return root


@pytest.mark.parametrize(
    "command",
    [
        "train sama_avs",
        "zeroshot sama_avs s4",
        "fewshot sama_avs s4 100",
        "segment image.jpg audio.wav --model train/save",
        "models",
    ],
)
def test_a_command_that_needs_torch_says_how_to_install_it(project, command):
    at = [] if command.startswith("models") else ["--root", str(project)]
    run = subprocess.run(
        [sys.executable, "-c", BLOCKED, *command.split(), *at],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == (
        "error: torch: expected the optional package torch; found it is not installed. "
        "Install it with: pip install 'avsynth[train]'\n"
    )
