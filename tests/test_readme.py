"""The commands and code in README, CONTRIBUTING and docs/ exist and parse as printed."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY, TOY_SCALE
from tests.helpers.command_lines import parse
from tests.helpers.documents import (
    COMMAND,
    DOCUMENTS,
    Block,
    blocks,
    inline_commands,
    prose,
    shell_commands,
)

BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]
SHELL = [block for block in BLOCKS if block.language == "sh"]
PYTHON = [block for block in BLOCKS if block.language == "python"]
EXTERNAL = {"cd", "ray"}
"""Programs of other projects, whose arguments are not checked."""


def name_of(block: Block) -> str:
    return f"{block.document}:{block.line}"


def _settings() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def check_make(arguments: list[str]) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert arguments
    assert set(arguments) <= targets, arguments


def check_dvc(arguments: list[str]) -> None:
    stages = set(yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"])
    assert arguments[:1] == ["repro"], arguments
    assert {stage.partition("@")[0] for stage in arguments[1:]} <= stages, arguments


def check_pip(arguments: list[str]) -> None:
    assert arguments[0] == "install"
    for extra in re.findall(r"avsynth\[(.+)\]", " ".join(arguments)):
        assert set(extra.split(",")) <= set(_settings()["project"]["optional-dependencies"])


def check_python(arguments: list[str], path: Path) -> None:
    if arguments[:2] == ["-m", "avsynth"]:
        return parse(arguments[2:])
    if arguments[0] == "-m":
        module = REPOSITORY / Path(*arguments[1].split("."))
        script = module / "__main__.py" if module.is_dir() else module.with_suffix(".py")
    else:
        script = REPOSITORY / arguments[0]
        if f"`{arguments[0]}`" in prose(path):  # a script that the document prints
            return None
    code = script.read_text()
    for option in (a for a in arguments[1:] if a.startswith("--")):
        assert f'"{option}"' in code, f"{script.name} has no {option}"
    return None


def check_command(words: list[str], path: Path) -> None:
    """Raise when a command names a program, target, stage, script or option that is absent."""
    program, *arguments = words
    if program == "avsynth":
        parse(arguments)
    elif program == "torchrun":
        check_python(arguments[arguments.index("-m") :], path)
    elif program == "python":
        check_python(arguments, path)
    elif program == "make":
        check_make(arguments)
    elif program == "dvc":
        check_dvc(arguments)
    elif program == "pip":
        check_pip(arguments)
    else:
        assert program in EXTERNAL, f"{path.name}: unknown program {program}"


def path_of(block: Block) -> Path:
    return next(path for path in DOCUMENTS if path.name == block.document)


def test_the_documents_have_blocks_of_every_kind():
    assert len(SHELL) > 20
    assert len(PYTHON) > 4
    assert {path.name for path in DOCUMENTS} >= {"README.md", "CONTRIBUTING.md", "scale.md"}


@pytest.mark.parametrize("block", SHELL, ids=name_of)
def test_the_commands_of_a_shell_block_exist(block: Block):
    commands = list(shell_commands(block.content))
    assert commands
    for words in commands:
        check_command(words, path_of(block))
    assert max(map(len, block.content.splitlines())) <= 100


def test_the_commands_in_the_text_exist():
    checked = 0
    for path in DOCUMENTS:
        for words in inline_commands(path):
            checked += 1
            try:
                check_command(words, path)
            except Exception as error:
                # In a sentence the name of a command stands for itself, without its arguments.
                if type(error).__name__ != "MissingParameter":
                    raise AssertionError(f"{path.name}: {' '.join(words)}: {error}") from error
    assert checked > 20


def test_commands_stand_in_shell_blocks_only():
    for block in BLOCKS:
        assert block.language in {"sh", "python", "yaml", "text"}, name_of(block)
        if block.language != "sh":
            lines = [line for line in block.content.splitlines() if COMMAND.match(line)]
            assert not lines, (name_of(block), lines)


@pytest.mark.parametrize(
    "command",
    ["avsynth stat", "avsynth stats --datset s4", "avsynth masks", "make bnech", "make",
     "dvc repro mach", "dvc run", "pip install 'avsynth[trian]'", "python -m bench --onyl audio",
     "python -m benhc", "python bench/gpu.py --tyni", "torchrun -m avsynth tarin save", "rm -rf x"],
)  # fmt: skip
def test_a_wrong_command_is_found(command: str):
    (words,) = shell_commands(command)
    with pytest.raises(Exception):  # noqa: B017, PT011 -- each kind of command has its own
        check_command(words, REPOSITORY / "README.md")


def test_shell_lines_are_split_as_a_shell_does():
    block = "a=1\nA_B=1 avsynth stats # no\ncd x && avsynth \\\n    match -q | dvc repro\n"
    expected = [["a=1"], ["avsynth", "stats"], ["cd", "x"], ["avsynth", "match", "-q"]]
    assert list(shell_commands(block)) == [*expected, ["dvc", "repro"]]


@pytest.mark.parametrize("block", PYTHON, ids=name_of)
def test_the_python_of_a_document_imports_what_exists(block: Block):
    found = 0
    for node in ast.walk(ast.parse(block.content)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("avsynth"):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module}.{alias.name}"
        found += isinstance(node, ast.Import | ast.ImportFrom)
    assert found


def resolves(name: str) -> bool:
    """Return whether a dotted name is a module, or an attribute of the longest module in it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_names_and_paths_in_the_text_exist():
    names, paths = set(), set()
    for path in DOCUMENTS:
        for span in re.findall(r"`([^`\s]+)`", prose(path)):
            if re.match(r"avsynth(\.\w+)+", span):
                names.add(re.match(r"[\w.]+", span)[0])  # type: ignore[index]
            if re.fullmatch(r"(avsynth|models|pipelines|tests|bench|presets)/[\w./]*", span):
                paths.add(span)
    assert len(names) > 4
    assert len(paths) > 20
    assert [name for name in sorted(names) if not resolves(name)] == []
    assert [path for path in sorted(paths) if not (REPOSITORY / path).exists()] == []
    assert not resolves("avsynth.metrics.bootstrap.ScoreRows")


def test_every_link_between_documents_leads_somewhere():
    checked = 0
    inline, reference = r"\]\(([^)#:\s,]+)(?:#[^)]*)?\)", r"^\[[^\]]+\]: ([^#:\s]+)$"
    for path in DOCUMENTS:
        for target in re.findall(f"{inline}|{reference}", prose(path), re.MULTILINE):
            assert (path.parent / "".join(target)).exists(), f"{path.name}: {target}"
            checked += 1
    assert checked > 20


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
