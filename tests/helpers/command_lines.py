"""Parse command lines of avsynth without running them."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import typer.main
from typer.core import TyperGroup

from avsynth.cli.main import app


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command and group with the words that name it, the application first."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while pending:
        words, command = pending.pop(0)
        yield words, command
        if isinstance(command, TyperGroup):
            pending += [((*words, name), below) for name, below in command.commands.items()]


def parse(arguments: list[str]) -> None:
    """Parse the arguments of a command line as the command would.

    Raises:
        Exception: of typer, for an unknown command or option, or for an invalid or absent value.
    """
    command: Any = typer.main.get_command(app)
    with suppress(typer.Exit):  # of --help and --version
        context = command.make_context("avsynth", list(arguments))
        while isinstance(command, TyperGroup):
            rest = [*context._protected_args, *context.args]
            if not rest and command.invoke_without_command:
                return
            name, command, rest = command.resolve_command(context, rest)
            context = command.make_context(name, rest, parent=context)
