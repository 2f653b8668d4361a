"""The command line: every command opens the project and calls one function of the library.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import os
import sys
from typing import Annotated

import typer

from avsynth import __version__
from avsynth.cli.data_commands import add_data_commands
from avsynth.cli.inspect_commands import add_inspect_commands
from avsynth.cli.panels import PanelGroup
from avsynth.cli.stage_commands import add_stage_commands
from avsynth.core.names import printable
from avsynth.runtime.environment import explain_missing_extras
from avsynth.runtime.errors import AvsynthError

app = typer.Typer(
    name="avsynth",
    cls=PanelGroup,
    help="Build audio-visual segmentation data and evaluate models on it.",
    epilog="Example: avsynth init my-project --preset toy",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
add_stage_commands(app)
add_data_commands(app)
add_inspect_commands(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an error that the user can fix is one message and exit code 2."""
    # Workers are processes: numpy's threads inside each of them would compete for the same cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        with explain_missing_extras():
            app()
    except AvsynthError as error:
        typer.echo(f"error: {printable(str(error))}", err=True)
        sys.exit(2)
