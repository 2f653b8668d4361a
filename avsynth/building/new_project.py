"""New project folders: params.yaml, dvc.yaml and the settings of DVC."""

import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from avsynth.building.reviews import COLUMNS, REVIEWS_FILE
from avsynth.core.files import atomic_file
from avsynth.runtime.errors import ConfigError

_GITIGNORE = """\
/data/
/runs/
/reports/*
!/reports/tables/
!/reports/metrics.json
__pycache__/
*.tmp
"""
"""Ignores outputs of the pipeline and downloads, but not the tables and metrics."""
_NOT_IGNORED = 1
"""Exit code of ``git check-ignore`` in a repository; 128 outside one."""
_CODE_FOLDERS = ("avsynth/", "models/", "pipelines/")


def init_project(directory: Path, preset: str) -> list[Path]:
    """Write the files that make a folder a project.

    Args:
        directory: created when absent; must not contain a params.yaml or dvc.yaml.
        preset: ``toy``, ``paper`` or ``save256``.

    In a Git repository, DVC uses Git and the project gets a .gitignore.

    Returns:
        The files written.

    Raises:
        ConfigError: the folder is a project already.
    """
    packaged = resources.files("avsynth.resources")
    in_git = _is_tracked_by_git(directory)
    contents = {
        "params.yaml": (packaged / "presets" / f"{preset}.yaml").read_text(encoding="utf-8"),
        "dvc.yaml": _without_code((packaged / "pipeline.yaml").read_text(encoding="utf-8")),
        REVIEWS_FILE: ",".join(COLUMNS) + "\n",
        ".dvcignore": "__pycache__\n*.tmp\n.staging\n.fetch\n",
        ".dvc/config": "[core]\n    analytics = false\n"
        + ("" if in_git else "    no_scm = true\n"),
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }
    if in_git:
        contents[".gitignore"] = _GITIGNORE
    paths = {directory / name: text for name, text in contents.items()}
    if existing := [path for path in paths if path.exists()]:
        raise ConfigError(
            str(directory),
            "a folder without a project",
            ", ".join(path.name for path in existing),
            "Name another folder, or remove these files.",
        )
    for path, text in paths.items():
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(paths)


def _is_tracked_by_git(directory: Path) -> bool:
    """Return whether Git would track files of this folder, which may not exist yet.

    False outside a repository, in a folder that Git ignores, and without Git.
    """
    existing = next(path for path in (directory, *directory.absolute().parents) if path.is_dir())
    command = ["git", "-C", str(existing), "check-ignore", "--quiet"]
    try:
        run = subprocess.run(
            [*command, str(directory.absolute() / "params.yaml")], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return run.returncode == _NOT_IGNORED


def _without_code(pipeline: str) -> str:
    """Remove the dependencies on this repository's source, which a project does not contain."""
    content = yaml.safe_load(pipeline)
    for stage in content["stages"].values():
        body: dict[str, Any] = stage.get("do", stage)
        body["deps"] = [d for d in body["deps"] if not d.startswith(_CODE_FOLDERS)]
        if not body["deps"]:
            del body["deps"]
    text: str = yaml.safe_dump(content, sort_keys=False, width=100)
    return text
