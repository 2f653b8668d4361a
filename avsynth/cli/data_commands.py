"""Commands that set up a project, and commands that move data into and out of it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from avsynth.cli.options import (
    CORES,
    Categories,
    Dataset,
    Workers,
    with_categories,
    with_project,
)
from avsynth.cli.panels import SET_UP, TRANSFER, PanelGroup, add_command
from avsynth.core.paths import AVS_SYNTHETIC
from avsynth.core.project import Project


def add_data_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    add_command(app, SET_UP, "avsynth init my-project --preset paper")(init)
    add_command(app, SET_UP, "avsynth toy data/raw --scale 0.1")(toy)
    add_command(app, SET_UP, "avsynth plan --categories 46 --sample 100")(plan)
    add_command(app, SET_UP, "avsynth check")(check)
    add_command(app, SET_UP, "avsynth probe vggsound --n 500")(probe)
    add_command(app, TRANSFER, "avsynth publish s3://bucket/avs-synthetic")(publish)
    add_command(app, TRANSFER, "avsynth download s3://bucket/avs-synthetic")(download)
    exports = typer.Typer(no_args_is_help=True, cls=PanelGroup)
    add_command(exports, None, "avsynth export avs-synthetic released", "avs-synthetic")(
        export_avs_synthetic
    )
    add_command(exports, None, "avsynth export coco instances.json", "coco")(export_coco)
    app.add_typer(
        exports,
        name="export",
        help="Write the shards in another layout.",
        epilog="Example: avsynth export avs-synthetic released",
        rich_help_panel=TRANSFER,
    )


def toy(
    directory: Annotated[Path, typer.Argument(help="The folder to write; must be new.")],
    scale: Annotated[float, typer.Option(min=0.01, help="Size; 1 is about 700 images.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    workers: Workers = CORES,
) -> None:
    """Draw a small raw world in the official layout of every source."""
    from avsynth.toy import write_toy_world

    typer.echo(write_toy_world(directory, scale=scale, seed=seed, workers=workers))


def init(
    directory: Annotated[Path, typer.Argument(help="The project folder; created if absent.")],
    preset: Annotated[
        Literal["toy", "paper", "save256"], typer.Option(help="Which params.yaml to write.")
    ] = "toy",
) -> None:
    """Start a project: write params.yaml, dvc.yaml and .dvcignore."""
    from avsynth.building.new_project import init_project

    for path in init_project(directory, preset):
        typer.echo(f"wrote {path}")


@with_project
def plan(
    project: Project,
    categories: Categories = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="At most this many per category.", show_default=False),
    ] = None,
    rate: Annotated[float, typer.Option(min=0.01, help="Download rate in MB/s.")] = 10.0,
) -> None:
    """Print files, sizes and hours of a build; download nothing."""
    from rich.console import Console

    from avsynth.commands.plan import plan as run
    from avsynth.commands.plan import plan_table

    project = with_categories(project, categories)
    made = run(project.params, project.layout, project.runtime, sample, rate)
    Console().print(plan_table(made))


@with_project
def check(project: Project) -> None:
    """Check which datasets and checkpoints are complete.

    The table names the publisher of each missing one. The exit code is 1 when params.yaml needs
    something that is not complete.
    """
    from rich.console import Console

    from avsynth.commands.check import check as run
    from avsynth.commands.check import check_table

    findings = run(project.params, project.layout, project.runtime)
    Console().print(check_table(findings))
    if any(f.needed and f.status != "found" for f in findings):
        raise typer.Exit(1)


@with_project
def probe(
    project: Project,
    source: Annotated[str, typer.Argument(help="An audio source: vggsound.")],
    n: Annotated[int, typer.Option("--n", min=1, help="Number of videos to ask for.")] = 500,
) -> None:
    """Estimate the share of a list's videos that is still online."""
    from rich.console import Console

    from avsynth.commands.probe import probe as run
    from avsynth.commands.probe import probe_table

    found = run(source, project.params, project.layout, project.runtime, n)
    Console().print(probe_table(source, found))


@with_project
def publish(
    project: Project,
    url: Annotated[str, typer.Argument(help="URL of a folder, e.g. s3://bucket/avs-synthetic.")],
    dataset: Dataset = AVS_SYNTHETIC,
) -> None:
    """Upload a dataset to a URL.

    Shards that are complete there are not sent again; the index is written last.
    """
    from avsynth.formats.remote_shards import publish as run

    done = run(project.layout.shards(dataset), url, project.runtime)
    typer.echo(f"sent {done.shards} shards, {done.bytes / 1e6:,.1f} MB; {done.kept} were there")


@with_project
def download(
    project: Project,
    url: Annotated[str, typer.Argument(help="URL of a published dataset.")],
    dataset: Dataset = AVS_SYNTHETIC,
) -> None:
    """Download a published dataset and check its checksums."""
    from avsynth.formats.remote_shards import pull as run

    done = run(url, project.layout.shards(dataset), project.runtime)
    typer.echo(
        f"downloaded {done.shards} shards, {done.bytes / 1e6:,.1f} MB; {done.kept} were there"
    )


@with_project
def export_avs_synthetic(
    project: Project,
    directory: Annotated[Path, typer.Argument(help="The folder to write; must be new.")],
    dataset: Dataset = AVS_SYNTHETIC,
) -> None:
    """Write the layout of the AVS-Synthetic release."""
    from avsynth.exports.avs_synthetic import export_avs_synthetic as run

    count = run(project.layout.shards(dataset), directory)
    typer.echo(f"wrote {count:,} samples to {directory}")


@with_project
def export_coco(
    project: Project,
    path: Annotated[Path, typer.Argument(help="The JSON file to write.")],
    dataset: Dataset = AVS_SYNTHETIC,
) -> None:
    """Write the masks as COCO instances JSON."""
    from avsynth.exports.coco import export_coco as run

    count = run(project.layout.shards(dataset), path)
    typer.echo(f"wrote {count:,} instances to {path}")
