import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from avsynth import __version__
from avsynth.cli.main import app
from avsynth.cli.options import size_in_bytes
from tests.conftest import make_toy_project


def avsynth(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Type the command as a user would, in a process of its own."""
    command = [sys.executable, "-m", "avsynth", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def refused(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2, result
    assert "Traceback" not in result.stderr
    for part in parts:
        assert re.search(part, result.stderr), result.stderr


def test_version_and_help():
    runner = CliRunner()
    assert runner.invoke(app, ["--version"]).output.strip() == __version__
    text = runner.invoke(app, ["--help"]).output
    for command in ("build", "fetch", "categories", "masks", "audio", "match", "shard", "toy"):
        assert command in text


def test_every_stage_takes_the_same_options():
    from avsynth.pipelines import STAGES

    assert STAGES
    for stage in STAGES:
        text = CliRunner().invoke(app, [stage, "--help"]).output
        for option in ("--root", "--workers", "--executor", "--device", "--cache-dir", "-S",
                       "--cache-limit"):  # fmt: skip
            assert option in text, (stage, option)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("20GB", 20e9), ("1.5 tb", 1.5e12), ("700kb", 7e5), ("12", 12)],
)
def test_a_size_is_read_as_people_write_it(text: str, size: float):
    assert size_in_bytes(text) == size


def test_a_stage_that_dvc_runs_takes_its_device_from_the_environment(
    toy_project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AVSYNTH_DEVICE", "cuda:99")
    refused(avsynth("zeroshot", "sama_avs", "s4", cwd=toy_project), "cuda:99", "cpu")


def test_a_text_that_is_not_a_size_is_refused(tmp_path: Path):
    refused(avsynth("match", "--cache-limit", "20 apples", cwd=tmp_path), "'20 apples'", "20GB")


def test_a_build_typed_at_a_shell_prints_the_funnel(toy_world: Path, tmp_path: Path):
    root = make_toy_project(tmp_path / "project", toy_world)
    result = avsynth("build", "--categories", "46", "-S", "fetch.toy.scale=0.1", cwd=root)
    assert result.returncode == 0, result.stderr
    assert re.search(r"masks lvis: \d+ ok, \d+ dropped \(.*crowd", result.stderr)
    assert re.search(r"dog\s+\d", result.stdout)
    assert "46 categories" in result.stdout
    assert (root / "data/shards/avs-synthetic/index.json").is_file()


@pytest.mark.parametrize(
    ("number", "message"),
    [("0", "from 1 to 116"), ("-1", "from 1 to 116"), ("9999", "from 1 to 116")],
)
def test_an_impossible_number_of_categories(toy_project: Path, number: str, message: str):
    options = ("-S", "fetch.sources=[]", "--root", toy_project)
    refused(avsynth("build", "--categories", number, *options), message)


def test_a_category_that_no_source_has_suggests_the_nearest(toy_project: Path):
    options = ("-S", "fetch.sources=[]", "--root", toy_project)
    refused(avsynth("build", "--categories", "dog,guittar", *options), "guittar", "'guitar'")


def test_a_folder_without_params(tmp_path: Path):
    refused(avsynth("match", cwd=tmp_path), "params.yaml", "avsynth init")


def test_init_writes_a_project_that_is_not_overwritten(tmp_path: Path):
    assert avsynth("init", tmp_path / "p", "--preset", "paper").returncode == 0
    assert {"params.yaml", "dvc.yaml", ".dvcignore"} <= {p.name for p in (tmp_path / "p").iterdir()}
    refused(avsynth("init", tmp_path / "p"), "params.yaml", "a folder without a project")


def test_a_stage_out_of_order_says_which_comes_first(toy_project: Path):
    refused(avsynth("masks", "lvis", "--root", toy_project), "avsynth categories")


def test_an_unknown_source_lists_the_known_ones(toy_project: Path):
    assert avsynth("categories", "--root", toy_project).returncode == 0
    refused(avsynth("masks", "lviss", "--root", toy_project), "lviss", "lvis")
    refused(avsynth("audio", "vgg", "--root", toy_project), "vggsound")


def test_download_of_a_dataset_that_was_not_published(toy_project: Path, tmp_path: Path):
    url = f"file://{tmp_path / 'nowhere'}"
    refused(avsynth("download", url, "--root", toy_project), "nowhere", "index.json")
    refused(avsynth("pull", url, "--root", toy_project), "No such command 'pull'")


def test_an_output_folder_that_cannot_be_written(toy_project: Path):
    """A file stands where the folder should be: refused for root too, unlike missing rights."""
    (toy_project / "data" / "interim").write_text("in the way")
    refused(avsynth("categories", "--root", toy_project), "data/interim", "a writable folder")
