import json
from pathlib import Path

import pytest

from avsynth.toy import ToySummary


@pytest.fixture(scope="session")
def world(toy_world: Path) -> Path:
    """The shared toy world; read only."""
    return toy_world


@pytest.fixture(scope="session")
def summary(world: Path) -> ToySummary:
    return ToySummary(json.loads((world / "toy.json").read_text())["counts"])
