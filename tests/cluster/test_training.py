"""Training as documented, under Ray Train and on two nodes: the same bytes."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.ray, pytest.mark.slow]

OUTPUTS = ("weights.safetensors", "metrics.json", "live/plots/metrics/val/miou.tsv")
DOCUMENT = (REPOSITORY / "docs" / "scale.md").read_text()


def script_for_ray() -> str:
    found = re.search(r"### Ray Train.*?```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found
    return found[1]


def commands_for_two_nodes() -> list[list[str]]:
    """Return the documented lines; both nodes are this machine, with one process each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {"HEAD": "127.0.0.1", "29500": str(port), "node=8": "node=1", " --device cuda": ""}
    joined = re.sub(r"\\\n\s*", "", DOCUMENT)
    lines = re.findall(r"^torchrun --nnodes.*$", joined, re.MULTILINE)
    for old, new in here.items():
        assert all(old in line for line in lines)
        lines = [line.replace(old, new) for line in lines]
    return [["-m", "torch.distributed.run", *shlex.split(line)[1:]] for line in lines]


def project(built: Path, root: Path) -> Path:
    """Copy a built project and train its models briefly."""
    shutil.copytree(built, root)
    text = (root / "params.yaml").read_text()
    text = re.sub(r"input_size: \d+", "input_size: 32", text)
    (root / "params.yaml").write_text(re.sub(r"epochs: \d+, batch", "epochs: 1, batch", text))
    return root


def train(root: Path, commands: Sequence[Sequence[str]], **environment: str) -> None:
    """Run commands at once in a project; what they say goes to its file ``said``."""
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)} | environment
    with (root / "said").open("w") as said:
        started = [
            subprocess.Popen([sys.executable, *c], cwd=root, env=quiet, stdout=said, stderr=said)
            for c in commands
        ]
        codes = [process.wait() for process in started]
    assert not any(codes), (root / "said").read_text()


def test_ray_train_gives_the_bytes_of_two_nodes(cluster: Any, built: Path, tmp_path: Path):
    nodes, ray = project(built, tmp_path / "nodes"), project(built, tmp_path / "ray")
    commands = commands_for_two_nodes()
    assert len(commands) == 2
    train(nodes, commands)
    script = tmp_path / "train_on_ray.py"
    script.write_text(script_for_ray())
    by_ray = [[str(script), str(ray), "sama_avs", "2", "cpu"]]
    train(ray, by_ray, RAY_ADDRESS=cluster.address)
    for name in OUTPUTS:
        first, second = (root / "runs/train/sama_avs" / name for root in (nodes, ray))
        assert first.read_bytes() == second.read_bytes(), name
    said = (ray / "said").read_text()
    assert "world_size=2" in said
