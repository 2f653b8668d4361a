"""The commands of the stages, and ``avsynth build``, which runs the first of them in order."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated

import typer

from avsynth.cli.options import Categories, with_categories, with_project
from avsynth.cli.panels import BUILD, TRAIN, add_command
from avsynth.core.project import Project
from avsynth.pipelines import STAGES

ITEMS = {
    "source": ("A source that params.yaml names.", "lvis"),
    "benchmark": ("A benchmark: s4, ms3, v2, v3 ...", "s4"),
    "model": ("A system: sama_avs, save, ap_sam ...", "sama_avs"),
    "percent": ("Share of the real training data, in per cent.", "10"),
    "shots": ("Training clips of each unseen category.", "5"),
    "name": ("A run of params.yaml: ablate.runs.", "adapters-8"),
}
"""Item of a stage -> its help text and an example."""
EXAMPLES = {
    "audio": "avsynth audio vggsound",
    "match": "avsynth match -S match.pairing=fixed",
    "shard": "avsynth shard --workers 8",
    "train": "avsynth train sama_avs --device cuda",
}
"""Examples that are not the stage with an example of each item."""
_BUILD_STAGES = {
    "fetch", "categories", "masks", "audio", "exclusions", "inputs", "match", "shard", "convert",
}  # fmt: skip


def add_stage_commands(app: typer.Typer) -> None:
    """Add one command for each stage, and ``build``."""
    add_command(app, BUILD, "avsynth build --categories 46")(build)
    for name in STAGES:
        panel = BUILD if name in _BUILD_STAGES else TRAIN
        run = fetch if name == "fetch" else _stage_command(name)
        add_command(app, panel, example_of(name), name, STAGES[name].help)(run)


def example_of(name: str) -> str:
    """Return a command line that runs a stage."""
    items = (ITEMS[item][1] for item in STAGES[name].items)
    return EXAMPLES.get(name, " ".join(["avsynth", name, *items]))


def _stage_command(name: str) -> Callable[..., None]:
    """Return the command of a stage: its items as arguments, then the shared options."""
    stage = STAGES[name]

    def run(project: Project, **items: str) -> None:
        from avsynth.core.funnel import summary_line

        function = getattr(import_module(f"avsynth.pipelines.{name}"), name)
        chosen = [items[item] for item in stage.items]
        funnel = function(*chosen, project.params, project.layout, project.runtime)
        typer.echo(summary_line(" ".join([name, *chosen]), funnel))

    items = [
        inspect.Parameter(
            item,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[str, typer.Argument(help=ITEMS[item][0], show_default=False)],
        )
        for item in stage.items
    ]
    first = inspect.Parameter("project", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([first, *items])  # type: ignore[attr-defined]
    run.__doc__ = stage.help
    return with_project(run)


@with_project
def fetch(
    project: Project,
    source: Annotated[str, typer.Argument(help=ITEMS["source"][0], show_default=False)],
    retry: Annotated[
        str,
        typer.Option(help="Only items with this status, e.g. transient,bot.", show_default=False),
    ] = "",
) -> None:
    """Download raw data and keep what is complete already."""
    from avsynth.core.funnel import summary_line
    from avsynth.pipelines.fetch import fetch as run

    statuses = tuple(one.strip() for one in retry.split(",") if one.strip())
    funnel = run(source, project.params, project.layout, project.runtime, statuses)
    typer.echo(summary_line(f"fetch {source}", funnel))


@with_project
def build(project: Project, categories: Categories = None) -> None:
    """Run all stages from fetch to shard and print the funnel.

    These are fetch, categories, masks, audio, match and shard.
    """
    from rich.console import Console

    from avsynth.core.funnel import exclusion_line, funnel_table, summary_line
    from avsynth.pipelines.build import build as run

    project = with_categories(project, categories)
    funnels = {}
    for stage, funnel in run(project.params, project.layout, project.runtime):
        typer.echo(summary_line(stage, funnel), err=True)
        funnels[stage] = funnel
    Console().print(funnel_table(funnels))
    typer.echo(exclusion_line(funnels["match"]))
