"""Help texts: complete at 80 columns, with an example that works, by -h and --help."""

import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from avsynth.cli.main import app
from avsynth.cli.panels import PANELS
from avsynth.cli.stage_commands import EXAMPLES
from avsynth.pipelines import STAGES
from tests.conftest import REPOSITORY
from tests.helpers.command_lines import commands, parse

COMMANDS = list(commands())
NAMES = [" ".join(words) or "avsynth" for words, _ in COMMANDS]


def help_of(*words: str, option: str = "--help") -> str:
    result = CliRunner().invoke(app, [*words, option], env={"COLUMNS": "80"}, prog_name="avsynth")
    assert result.exit_code == 0, result.output
    return result.output


def test_all_commands_are_found():
    assert len(COMMANDS) > 30
    assert {"inspect pull", "export coco", "models export-card", "download"} <= set(NAMES)
    assert set(EXAMPLES) < set(STAGES) <= set(NAMES)


@pytest.mark.parametrize("words", [words for words, _ in COMMANDS], ids=NAMES)
def test_a_help_text_fits_80_columns_and_is_complete(words: tuple[str, ...]):
    text = help_of(*words)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "…" not in text
    assert help_of(*words, option="-h") == text


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=NAMES)
def test_a_help_text_ends_with_one_example_that_parses(words: tuple[str, ...], command):
    example = help_of(*words).rstrip().splitlines()[-1].strip()
    assert help_of(*words).count("Example:") == 1
    assert example == command.epilog
    program, *arguments = shlex.split(example.removeprefix("Example: "))
    assert program == "avsynth"
    assert tuple(arguments[: len(words)]) == words
    parse(arguments)


def test_commands_are_grouped_and_each_takes_one_line():
    lines = help_of().splitlines()
    headings = [line.removesuffix(":") for line in lines if line.endswith(":")]
    assert headings == ["Options", *PANELS]
    listed = {line.split()[0]: line for line in lines if line.startswith("  ")}
    top = [(words[0], command) for words, command in COMMANDS if len(words) == 1]
    for name, command in top:
        assert command.rich_help_panel in PANELS, name
        summary = command.help.partition("\n\n")[0]
        assert listed[name].split(maxsplit=1)[1].strip() == summary, name


def test_help_piped_from_a_process_has_80_columns():
    run = subprocess.run(
        [sys.executable, "-m", "avsynth", "fewshot", "-h"],
        capture_output=True, text=True, check=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert "Example: avsynth fewshot sama_avs s4 10" in run.stdout


def test_inspect_shows_its_own_options():
    text = help_of("inspect")
    for option in ("--category", "--where", "--max", "--brain", "--export", "--root"):
        assert option in text, option
    assert "pull" in text


def test_options_before_a_subcommand_are_refused():
    result = CliRunner().invoke(app, ["inspect", "--max", "3", "pull"])
    assert result.exit_code == 2
    assert "write inspect pull --max ..." in result.output


@pytest.mark.parametrize("arguments", [["inspect", "pull"], ["inspect"], ["inspect", "--max", "3"]])
def test_inspect_and_its_subcommand_open_the_project_once(tmp_path, arguments):
    result = CliRunner().invoke(app, [*arguments, "--root", str(tmp_path)])
    assert "params.yaml: expected a project folder" in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [["stat"], ["stats", "--datset", "s4"], ["masks"], ["build", "--workers", "0"], ["export"],
     ["inspect", "show"]],
    ids=" ".join,
)  # fmt: skip
def test_the_parser_of_these_tests_refuses_what_the_command_refuses(arguments: list[str]):
    with pytest.raises(Exception, match=r".") as caught:
        parse(arguments)
    assert getattr(caught.value, "exit_code", None) == 2, repr(caught.value)
