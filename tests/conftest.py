"""Fixtures that many tests share: the toy world, a finished build, the real data when present."""

import ipaddress
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

# The tests share the cores already: a command that they type works alone unless it says otherwise.
os.environ["AVSYNTH_WORKERS"] = "1"
REPOSITORY = Path(__file__).resolve().parent.parent
TOY_SCALE = 0.1
TOY_SETTINGS = (f"fetch.toy.scale={TOY_SCALE}", "match.mask_mode=instance")
"""What the shared build changes in the toy preset."""


@pytest.fixture(autouse=True)
def only_this_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that leave this machine."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            local = host == "localhost" or ipaddress.ip_address(host).is_loopback
            assert local, f"a test tried to reach {host}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def toy_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the raw folder of a small toy world; read only."""
    from avsynth.toy import write_toy_world

    root = tmp_path_factory.mktemp("toy") / "raw"
    write_toy_world(root, scale=TOY_SCALE)
    return root


@pytest.fixture
def toy_project(toy_world: Path, tmp_path: Path) -> Path:
    """Return a project folder of its own with the toy preset, a copy of the toy world."""
    return make_toy_project(tmp_path / "project", toy_world)


def make_toy_project(root: Path, toy_world: Path) -> Path:
    """Start a project with a copy of the toy world, which a test may change."""
    from avsynth.building.new_project import init_project

    init_project(root, "toy")
    shutil.copytree(toy_world, root / "data" / "raw")
    return root


@pytest.fixture(scope="session")
def built(toy_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project folder with a finished toy build; read only."""
    from avsynth.core.params.load import load_params
    from avsynth.core.paths import Layout
    from avsynth.pipelines.build import build
    from avsynth.runtime.options import Runtime

    root = make_toy_project(tmp_path_factory.mktemp("built") / "project", toy_world)
    params = load_params(root, TOY_SETTINGS)
    for _ in build(params, Layout(root), Runtime()):
        pass
    return root


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Return the folder of real images, masks and clips in the official layouts."""
    folder = Path(os.environ.get("AVSYNTH_REALDATA", REPOSITORY.parent / "shared" / "realdata"))
    if not folder.is_dir():
        pytest.skip("no real data here: name its folder in AVSYNTH_REALDATA")
    return folder
