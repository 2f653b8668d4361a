"""`dvc repro` in real projects: what has changed runs again, and nothing else."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from avsynth.formats.shards import read_index
from tests.conftest import REPOSITORY, TOY_SCALE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SHARDS = Path("data/shards/avs-synthetic")
LISTS = ("avsbench/Single-source", "avsbench/Multi-sources", "avss")
EVERY_TIME = {"categories", "exclusions", "inputs"}
NAMES = ("airplane", "bird", "cat", "dog", "horse", "lion")


def change_params(root: Path, *settings: tuple[str, object]) -> None:
    """Set dotted keys of a project's params.yaml."""
    raw = yaml.safe_load((root / "params.yaml").read_text())
    for dotted, value in settings:
        *parents, last = dotted.split(".")
        node = raw
        for name in parents:
            node = node[name]
        node[last] = value
    (root / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def dvc(root: Path, *arguments: str, code: Path = REPOSITORY) -> str:
    """Run DVC in a project; its stages run the avsynth of the folder ``code``."""
    programs = root.parent / f"programs of {code.name}"
    programs.mkdir(exist_ok=True)
    script = programs / "avsynth"
    script.write_text(
        f"#!{sys.executable}\nfrom avsynth.cli.main import main\n\n"
        'if __name__ == "__main__":\n    main()\n'
    )
    script.chmod(0o755)
    environment = os.environ | {
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(code),
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    result = subprocess.run(
        ["dvc", *arguments], cwd=root, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def repro(root: Path, *targets: str, code: Path = REPOSITORY) -> set[str]:
    """Run ``dvc repro``; return the stages that ran, without those that always run."""
    lines = dvc(root, "repro", *targets, code=code).splitlines()
    ran = {line.split("'")[1] for line in lines if line.startswith("Running stage")}
    return ran - EVERY_TIME


def digests(root: Path) -> dict[str, str]:
    return {shard.file: shard.sha256 for shard in read_index(root / SHARDS)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a new toy project of five categories; outside Git."""
    root = tmp_path / "project"
    subprocess.run([sys.executable, "-m", "avsynth", "init", str(root)], check=True)
    change_params(root, ("fetch.toy.scale", TOY_SCALE), ("categories.choose", list(NAMES[:-1])))
    return root


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the repository as a project of two categories; stages run its own code."""
    root = tmp_path / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if name.startswith(("tests/", "docs/")) or not (REPOSITORY / name).exists():
            continue
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, root / name, follow_symlinks=False)
    (root / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    (root / "dvc.lock").unlink(missing_ok=True)
    change_params(root, ("fetch.toy.scale", TOY_SCALE), ("categories.choose", ["cat", "dog"]))
    return root


def test_changed_data_runs_what_reads_it(project: Path):
    assert {"fetch@toy", "match", "shard"} < repro(project, "shard")
    built = digests(project)
    assert repro(project, "shard") == set()

    lists = [p for name in LISTS for p in (project / "data/raw" / name).rglob("*.csv")]
    away = {path: path.read_bytes() for path in lists}
    for path in lists:
        path.unlink()
    assert {"match", "shard"} < repro(project, "shard")
    assert banned_clips(project) == 0
    for path, content in away.items():
        path.write_bytes(content)
    repro(project, "shard")
    assert banned_clips(project) > 0, "lists that arrive after match are used"
    assert digests(project) == built

    used = pd.read_csv(project / "data/interim/files/masks/lvis.csv")["file"][0]
    with Image.open(project / "data/raw/lvis" / used) as image:
        image.load()
    image.save(project / "data/raw/lvis" / used, quality=40)
    ran = repro(project, "shard")
    assert ran == {"fetch@toy", "masks@lvis", "shard"}
    assert digests(project) != built

    shutil.rmtree(project / "data/raw")
    assert "fetch@toy" in repro(project, "shard")
    assert digests(project) == built


def banned_clips(root: Path) -> int:
    clips = pd.read_csv(root / "data/interim/clips.csv")
    return int((clips["reason"] == "benchmark_video").sum())


def test_a_new_category_writes_its_tars_only(project: Path):
    repro(project, "shard")
    before = set(digests(project).values())
    change_params(project, ("categories.choose", list(NAMES)))
    assert {"match", "shard"} < repro(project, "shard")
    after = {shard.sha256: shard for shard in read_index(project / SHARDS)}
    new = [shard for digest, shard in after.items() if digest not in before]
    assert before < set(after), "the tars of the other categories are as they were"
    assert {key.rsplit("-", 1)[0] for shard in new for key in shard.keys} == {NAMES[-1]}


def test_a_category_table_of_ones_own_is_read_again(project: Path):
    table = (REPOSITORY / "avsynth/resources/categories.csv").read_text()
    (project / "mine.csv").write_text(table)
    change_params(project, ("categories.table", "mine.csv"), ("categories.choose", ["cat", "dog"]))
    repro(project, "match")
    lines = [line.replace("cat purring;", "") if line.startswith("cat,") else line
             for line in table.splitlines()]  # fmt: skip
    (project / "mine.csv").write_text("\n".join(lines) + "\n")
    assert "audio@vggsound" in repro(project, "match")


def test_data_put_there_by_hand_needs_no_fetch(project: Path, toy_world: Path):
    shutil.copytree(toy_world, project / "data/raw")
    change_params(project, ("fetch.sources", []))
    assert not [stage for stage in repro(project, "shard") if stage.startswith("fetch")]
    assert digests(project)


def test_changed_code_that_makes_samples_writes_the_tars_again(checkout: Path):
    repro(checkout, "shard", code=checkout)
    built = digests(checkout)
    (checkout / "avsynth/formats/__pycache__").mkdir(exist_ok=True)
    (checkout / "avsynth/formats/__pycache__/other.pyc").write_bytes(b"0")
    assert repro(checkout, "shard", code=checkout) == set()

    front_end = checkout / "avsynth/formats/logmel.py"
    original = front_end.read_text()
    front_end.write_text(original + "\n_exact = logmel\n\n\ndef logmel(w):\n"
                         "    return _exact(w) * 2\n")  # fmt: skip
    assert "shard" in repro(checkout, "shard", code=checkout)
    assert set(digests(checkout).values()).isdisjoint(built.values())

    front_end.write_text(original)
    dvc(checkout, "repro", "-f", "-s", "shard", code=checkout)
    assert digests(checkout) == built


def test_changed_code_of_models_and_metrics_runs_training_and_scoring_again(checkout: Path):
    change_params(
        checkout,
        ("categories.choose", 46),
        ("train.models", ["sam_oracle"]),
        ("zeroshot.models", ["sam_oracle"]),
        ("zeroshot.benchmarks", ["s4"]),
    )
    targets = ("train@sam_oracle", "zeroshot@sam_oracle-s4")
    repro(checkout, *targets, code=checkout)

    def changed() -> set[str]:
        status = json.loads(dvc(checkout, "status", "--json", *targets, code=checkout))
        return set(status) - EVERY_TIME

    assert changed() == set()
    both = (
        "avsynth/metrics/frames.py", "models/backbones/encoder.py", "models/parts/adapters.py",
        "models/parts/losses.py", "models/backbones/vggish.py", "models/checkpoints.py",
        "avsynth/loading/dataset.py", "avsynth/evaluation/evaluate.py", "models/sam_oracle.py",
    )  # fmt: skip
    for name in both:
        assert edited(checkout / name, changed) == set(targets), name
    for name in ("models/save.py", "models/__init__.py", "avsynth/cli/main.py"):
        assert edited(checkout / name, changed) == set(), name
    raw = (checkout / "params.yaml").read_text()
    change_params(checkout, ("models.save.train.lr", 1.0e-4))
    assert changed() == set(), "another model's section"
    (checkout / "params.yaml").write_text(raw)
    change_params(checkout, ("avsynth", "0.0.1"))
    assert set(targets) <= changed(), "another version of avsynth"


def edited(path: Path, changed: Callable[[], set[str]]) -> set[str]:
    """Return the stages that are changed while a file has one more line."""
    original = path.read_text()
    path.write_text(original + "# one more line\n")
    found = changed()
    path.write_text(original)
    return found


def test_a_project_in_git_works_with_dvc(tmp_path: Path):
    root = tmp_path / "project"
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(root))
    root.mkdir()
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([sys.executable, "-m", "avsynth", "init", str(root)], check=True)
    change_params(root, ("fetch.toy.scale", TOY_SCALE), ("categories.choose", ["cat", "dog"]))
    repro(root, "match")
    (root / "reports/metrics.json").write_text('{"miou": 0.1}\n')
    subprocess.run([*git, "add", "-A"], check=True)
    staged = subprocess.run(
        [*git, "diff", "--cached", "--name-only"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"params.yaml", "dvc.yaml", "dvc.lock", ".gitignore"} <= set(staged)
    assert len(staged) < 100
    subprocess.run([*git, "commit", "--quiet", "-m", "built"], check=True)
    change_params(root, ("match.quiet_second_db", -40.0))
    assert "match.quiet_second_db" in dvc(root, "params", "diff")
    (root / "reports/metrics.json").write_text('{"miou": 0.2}\n')
    assert "miou" in dvc(root, "metrics", "diff")
    subprocess.run([*git, "checkout", "--quiet", "params.yaml", "reports"], check=True)
    dvc(root, "exp", "run", "-S", "match.quiet_second_db=-30.0", "match")
    assert "quiet_second_db: -30" in (root / "params.yaml").read_text()
