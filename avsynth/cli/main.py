"""The command line: every command builds its three arguments and calls one function.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import inspect
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import typer

from avsynth import __version__
from avsynth.cli.inspect_commands import looking
from avsynth.cli.options import CORES, Workers, with_categories, with_project
from avsynth.core.paths import AVS_SYNTHETIC
from avsynth.core.project import Project
from avsynth.pipelines import STAGES
from avsynth.runtime.environment import explain_missing_extras
from avsynth.runtime.errors import AvsynthError

app = typer.Typer(
    name="avsynth",
    help="Build audio-visual segmentation data and judge models on it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
exports = typer.Typer(no_args_is_help=True, help="Write our shards in other layouts.")
app.add_typer(exports, name="export")
app.add_typer(looking)
catalogue = typer.Typer(help="The six systems: parameters, and cards of trained ones.")
app.add_typer(catalogue, name="models")


def _stage_command(name: str) -> Callable[..., None]:
    """Make the command of a stage: its items as arguments, then the shared options."""
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
            annotation=Annotated[str, typer.Argument(show_default=False)],
        )
        for item in stage.items
    ]
    first = inspect.Parameter("project", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([first, *items])  # type: ignore[attr-defined]
    run.__doc__ = stage.help
    return with_project(run)


@app.command(help=STAGES["fetch"].help)
@with_project
def fetch(
    project: Project,
    source: Annotated[str, typer.Argument(show_default=False)],
    retry: Annotated[
        str, typer.Option(help="Only what ended so, e.g. transient,bot.", show_default=False)
    ] = "",
) -> None:
    """Bring raw data; what is there already stays."""
    from avsynth.core.funnel import summary_line
    from avsynth.pipelines.fetch import fetch as run

    statuses = tuple(one.strip() for one in retry.split(",") if one.strip())
    funnel = run(source, project.params, project.layout, project.runtime, statuses)
    typer.echo(summary_line(f"fetch {source}", funnel))


for _name in STAGES:
    if _name != "fetch":
        app.command(_name)(_stage_command(_name))


@app.command()
@with_project
def build(
    project: Project,
    categories: Annotated[
        str | None,
        typer.Option(help="How many (46), or names (dog,cat,bird).", show_default=False),
    ] = None,
) -> None:
    """Run fetch, categories, masks, audio, match and shard, and print the funnel."""
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


@app.command()
def toy(
    directory: Annotated[Path, typer.Argument(help="Where to write it; a new folder.")],
    scale: Annotated[float, typer.Option(min=0.01, help="Size; 1 is some 700 pictures.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another world.")] = 0,
    workers: Workers = CORES,
) -> None:
    """Draw a small raw world in the official layout of every source."""
    from avsynth.toy import write_toy_world

    typer.echo(write_toy_world(directory, scale=scale, seed=seed, workers=workers))


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="The project folder; made when absent.")],
    preset: Annotated[
        Literal["toy", "paper", "save256"], typer.Option(help="Which params.yaml to write.")
    ] = "toy",
) -> None:
    """Start a project: write params.yaml, dvc.yaml and .dvcignore."""
    from avsynth.building.new_project import init_project

    for path in init_project(directory, preset):
        typer.echo(f"wrote {path}")


@app.command()
@with_project
def plan(
    project: Project,
    categories: Annotated[
        str | None, typer.Option(help="As for build.", show_default=False)
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="At most so many per category.", show_default=False)
    ] = None,
    rate: Annotated[float, typer.Option(min=0.01, help="MB/s of the line.")] = 10.0,
) -> None:
    """Say what a build needs, how large it is and how long it takes; download nothing."""
    from rich.console import Console

    from avsynth.commands.plan import plan as run
    from avsynth.commands.plan import plan_table

    project = with_categories(project, categories)
    made = run(project.params, project.layout, project.runtime, sample, rate)
    Console().print(plan_table(made))


@app.command()
@with_project
def check(project: Project) -> None:
    """Say of every dataset and checkpoint whether it is there, whole, or where to ask for it.

    Exit code 1 when something that params.yaml needs is not whole.
    """
    from rich.console import Console

    from avsynth.commands.check import check as run
    from avsynth.commands.check import check_table

    findings = run(project.params, project.layout, project.runtime)
    Console().print(check_table(findings))
    if any(f.needed and f.state != "found" for f in findings):
        raise typer.Exit(1)


@app.command()
@with_project
def probe(
    project: Project,
    source: Annotated[str, typer.Argument(help="vggsound.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many videos to ask for.")] = 500,
) -> None:
    """Estimate how much of a list of videos is still there, by asking for some."""
    from rich.console import Console

    from avsynth.commands.probe import probe as run
    from avsynth.commands.probe import probe_table

    found = run(source, project.params, project.layout, project.runtime, n)
    Console().print(probe_table(source, found))


@app.command()
@with_project
def publish(
    project: Project,
    url: Annotated[str, typer.Argument(help="Of a folder, e.g. s3://bucket/avs-synthetic.")],
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = AVS_SYNTHETIC,
) -> None:
    """Upload a dataset; what is there already stays, the index comes last."""
    from avsynth.formats.remote_shards import publish as run

    done = run(project.layout.shards(dataset), url, project.runtime)
    typer.echo(f"sent {done.shards} shards, {done.bytes / 1e6:,.1f} MB; {done.kept} were there")


@app.command()
@with_project
def pull(
    project: Project,
    url: Annotated[str, typer.Argument(help="Where a dataset was published.")],
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = AVS_SYNTHETIC,
) -> None:
    """Bring a published dataset; every tar is held against the index."""
    from avsynth.formats.remote_shards import pull as run

    done = run(url, project.layout.shards(dataset), project.runtime)
    typer.echo(f"brought {done.shards} shards, {done.bytes / 1e6:,.1f} MB; {done.kept} were there")


@exports.command("avs-synthetic")
@with_project
def export_avs_synthetic(
    project: Project,
    directory: Annotated[Path, typer.Argument(help="A new folder.")],
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = AVS_SYNTHETIC,
) -> None:
    """Write the papers' own on-disk layout, which their loaders read."""
    from avsynth.exports.avs_synthetic import export_avs_synthetic as run

    count = run(project.layout.shards(dataset), directory)
    typer.echo(f"wrote {count:,} samples to {directory}")


@exports.command("coco")
@with_project
def export_coco(
    project: Project,
    path: Annotated[Path, typer.Argument(help="The json file.")],
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = AVS_SYNTHETIC,
) -> None:
    """Write the masks as COCO instances json."""
    from avsynth.exports.coco import export_coco as run

    count = run(project.layout.shards(dataset), path)
    typer.echo(f"wrote {count:,} instances to {path}")


@catalogue.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    architecture: Annotated[
        str, typer.Option(help="Backbone: vit_b, vit_l, vit_h or tiny.")
    ] = "vit_b",
    input_size: Annotated[int, typer.Option(help="Side of the input in pixels.")] = 1024,
) -> None:
    """Print what each of the six systems trains and what it leaves frozen."""
    if context.invoked_subcommand is None:
        from avsynth.models.summary import describe, table

        typer.echo(table(describe(architecture, input_size)))


@catalogue.command("export-card")
def export_card(
    checkpoint: Annotated[Path, typer.Argument(help="A .safetensors file of ours.")],
    out: Annotated[Path | None, typer.Option(help="The card.", show_default=False)] = None,
) -> None:
    """Write the model card of a trained checkpoint."""
    from avsynth.core.files import atomic_file
    from avsynth.models.card import model_card

    path = out or checkpoint.with_suffix(".md")
    card = model_card(checkpoint)
    with atomic_file(path) as temporary:
        temporary.write_text(card, encoding="utf-8")
    typer.echo(f"wrote {path}")


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
    # Workers are processes: threads of numpy's products inside each would only be in their way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        with explain_missing_extras():
            app()
    except AvsynthError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
