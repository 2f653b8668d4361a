"""The wheel and the sdist hold all that a user needs: installed from them, a project starts."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, TOY_SCALE

PRESETS = sorted(path.stem for path in (REPOSITORY / "presets").glob("*.yaml"))
STARTED_WITHOUT_OUR_PATH = {
    key: value for key, value in os.environ.items() if key != "PYTHONPATH"
} | {"DVC_NO_ANALYTICS": "1"}

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=STARTED_WITHOUT_OUR_PATH, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel that is built from the sdist of the tracked files."""
    root = tmp_path_factory.mktemp("wheel")
    tracked = run("git", "ls-files", "-z", cwd=REPOSITORY).split("\0")
    tree = root / "tree"
    for name in filter(None, tracked):
        source, copy = REPOSITORY / name, tree / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            copy.symlink_to(source.readlink())
        elif source.exists():
            copy.write_bytes(source.read_bytes())
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", root / "dist", tree, cwd=root)
    (built,) = (root / "dist").glob("*.whl")
    assert list((root / "dist").glob("*.tar.gz"))
    return built


@pytest.fixture(scope="module")
def python(wheel: Path) -> Path:
    """Return the Python of a new environment with the wheel and what this one has installed."""
    folder = wheel.parent.parent / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    (target,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    # The dependencies come from here, and .pth files in that folder are not read: an editable
    # install of this repository stays out.
    (target / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def test_the_wheel_holds_every_module_and_no_other_top_level_name(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"avsynth"}
    modules = {name for name in names if name.endswith(".py")}
    expected = set()
    for folder, prefix in (("avsynth", ""), ("models", "avsynth/"), ("pipelines", "avsynth/")):
        files = (REPOSITORY / folder).rglob("*.py")
        expected |= {f"{prefix}{path.relative_to(REPOSITORY).as_posix()}" for path in files}
    assert modules == expected


def test_every_preset_starts_a_project_and_the_toy_one_is_built(python: Path, tmp_path: Path):
    where = run(python, "-c", "import avsynth; print(avsynth.__file__)", cwd=tmp_path)
    assert "environment" in where
    for preset in PRESETS:
        run(python, "-m", "avsynth", "init", preset, "--preset", preset, cwd=tmp_path)
        assert (tmp_path / preset / "params.yaml").is_file()
        assert "- pipelines/" not in (tmp_path / preset / "dvc.yaml").read_text()
    settings = ("-S", f"fetch.toy.scale={TOY_SCALE}", "--workers", "1")
    printed = run(python, "-m", "avsynth", "build", "--root", "toy", *settings, cwd=tmp_path)
    assert "46 categories" in printed
    assert (tmp_path / "toy/data/shards/avs-synthetic/index.json").is_file()
    run(python, "-m", "avsynth", "stats", "--root", "toy", cwd=tmp_path)
