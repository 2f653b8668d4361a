"""What the documents tell a reader to type works as printed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from avsynth.cli.main import app
from tests.conftest import REPOSITORY, TOY_SCALE

DOCUMENTS = sorted(
    [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").glob("*.md")]
)


def shell_lines(path: Path) -> list[str]:
    """Return the commands of a document's ```sh blocks, one a line, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    lines = [
        shlex.join(shlex.split(line, comments=True)) for b in blocks for line in b.splitlines()
    ]
    return [part.strip() for line in lines for part in line.split("'&&'") if part.strip()]


def test_every_command_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    checked = 0
    for path in DOCUMENTS:
        for line in shell_lines(path):
            program, *arguments = shlex.split(line)
            if program == "make":
                assert set(arguments) <= targets, f"{path.name}: {line}"
            elif program == "avsynth":
                words = [a for a in arguments if not a.startswith("-")][:1]
                result = CliRunner().invoke(app, [*words, "--help"])
                assert result.exit_code == 0, f"{path.name}: {line}\n{result.output}"
                for option in re.findall(r"--[a-z-]+", line):
                    assert option in result.output or len(arguments) > 1, f"{path.name}: {line}"
            else:
                continue
            checked += 1
    assert checked > 10


def test_every_link_between_documents_leads_somewhere():
    checked = 0
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:\s,]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
            checked += 1
    assert checked > 5


@pytest.mark.slow
def test_the_tour_runs_as_printed(tmp_path: Path):
    tour = (REPOSITORY / "README.md").read_text().partition("## A tour")[2]
    block = re.search(r"^```sh\n(.*?)^```", tour, re.MULTILINE | re.DOTALL)
    assert block
    script = block[1].replace("dvc repro", "dvc repro shard")
    script = script.replace(
        "cd my-project", f"cd my-project && sed -i 's/scale: 1.0/scale: {TOY_SCALE}/' params.yaml"
    )
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
    }
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "my-project" / "released" / "annotations.csv").is_file()
