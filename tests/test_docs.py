"""The website of the documentation, and the tools that check the repository."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.helpers.documents import DOCUMENTS, PAGES
from tests.test_structure import ROOMS

SITE = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())
RESOURCE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(https?:[^\"\s>]+)")


def pages_of(nav: object) -> Iterator[str]:
    """Yield the files that a navigation tree names."""
    if isinstance(nav, str):
        yield nav
    else:
        for child in nav.values() if isinstance(nav, dict) else nav:  # type: ignore[attr-defined]
            yield from pages_of(child)


def test_every_page_is_in_the_navigation_and_linked_from_the_readme():
    names = [page.name for page in PAGES]
    assert len(names) > 8
    assert sorted(pages_of(SITE["nav"])) == names
    readme = (REPOSITORY / "README.md").read_text()
    assert [name for name in names if f"](docs/{name})" not in readme] == []


def test_contributing_has_the_rooms_in_the_order_of_the_import_law():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    section = text.partition("## The import law")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == ROOMS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_lines_have_at_most_100_columns(path: Path):
    """A row of a table is one line by the syntax, and an API page has names."""
    lines = path.read_text().splitlines()
    assert len(lines) > 20
    long = [n for n, line in enumerate(lines, 1) if len(line) > 100 and not line.startswith("|")]
    assert long == []


def test_the_site_builds_without_warnings_and_loads_nothing_from_another_host(tmp_path: Path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    pages = {path.stem: path.read_text() for path in tmp_path.glob("*.html")}
    assert {page.stem for page in PAGES} <= set(pages)
    external = {name: RESOURCE.findall(text) for name, text in pages.items()}
    assert not any(external.values()), external
    styles = [path.read_text() for path in tmp_path.rglob("*.css")]
    assert styles
    assert not any(re.search(r"(@import|url\()[\"']?\s*[\"']?https?:", style) for style in styles)
    for name in ("load_params", "ShardReader", "AvsModel", "estimate", "AvsynthError"):
        assert f'id="avsynth.{name}' in pages["api"] or re.search(
            rf'id="avsynth\.[a-z_.]+\.{name}"', pages["api"]
        ), name


def test_one_version_of_ruff():
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    development = settings["project"]["optional-dependencies"]["dev"]
    pinned = [one.removeprefix("ruff==") for one in development if re.match(r"ruff\b", one)]
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    hook = [one["rev"] for one in hooks if one["repo"].endswith("/ruff-pre-commit")]
    assert hook == [f"v{pinned[0]}"]
    shown = subprocess.run(
        [sys.executable, "-m", "ruff", "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["ruff", pinned[0]]


def test_types_are_checked_for_the_oldest_python():
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    oldest = settings["project"]["requires-python"].removeprefix(">=")
    assert settings["tool"]["mypy"]["python_version"] == oldest
    ignored = [m for one in settings["tool"]["mypy"]["overrides"] for m in one["module"]]
    assert "lvis.*" in ignored
    assert "torch.*" not in ignored


def test_the_hosted_ci_runs_the_script_of_the_repository():
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert job["container"].startswith("python:3.11")
    script = (REPOSITORY / ".ci/run").read_text()
    targets = re.findall(r"^make ([a-z-]+)$", script, re.MULTILINE)
    assert {"setup", "check", "docs", "test", "test-slow"} <= set(targets)
    assert os.access(REPOSITORY / ".ci/run", os.X_OK)
