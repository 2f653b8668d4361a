"""The groups of the command list, `PanelGroup`, and how a command is added to one of them."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

SET_UP = "Set up"
BUILD = "Build data"
TRAIN = "Train and score"
LOOK = "Inspect"
TRANSFER = "Import and export"
PANELS = (SET_UP, BUILD, TRAIN, LOOK, TRANSFER)

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def add_command(app: typer.Typer, panel: str | None, example: str, name: str | None = None,
                summary: str | None = None) -> Decorator:  # fmt: skip
    """Return a decorator that adds a function to an app as a command.

    Args:
        app: the application or group.
        panel: the heading in the command list, one of `PANELS`; None in a group of its own.
        example: one line that a user can type; printed at the end of the help text.
        name: of the command, where it is not the function's.
        summary: the first line of the help text, where it is not the docstring's.
    """
    return app.command(name, help=summary, rich_help_panel=panel, epilog=f"Example: {example}")


class PanelGroup(TyperGroup):
    """A group whose help text lists the commands by panel, none of their lines shortened."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the command list: one section for each panel, in the order of `PANELS`."""
        panels: dict[str, list[tuple[str, str]]] = {}
        width = max(map(len, self.commands))
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            summary = (command.help or "").partition("\n\n")[0]
            panels.setdefault(panel, []).append((name.ljust(width), summary))
        order = {panel: place for place, panel in enumerate(PANELS)}
        for panel in sorted(panels, key=lambda panel: order.get(panel, len(order))):
            with formatter.section(panel):
                formatter.write_dl(panels[panel])
