"""Commands to look at what there is: data, scores and models."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from avsynth.cli.options import with_project
from avsynth.core.paths import AVS_SYNTHETIC
from avsynth.core.project import Project

looking = typer.Typer()


@looking.command()
@with_project
def compare(
    project: Project,
    run_a: Annotated[str, typer.Argument(help="As below reports/scores, e.g. zeroshot/save-s4.")],
    run_b: Annotated[str, typer.Argument(help="What is compared with it.")],
    measure: Annotated[str, typer.Option(help="miou, meter_iou, meter_f, f_frame ...")] = "miou",
) -> None:
    """Compare two scored runs on the same samples, per category, with intervals."""
    from rich.console import Console

    from avsynth.commands.compare import compare as run
    from avsynth.inspection.stats import terminal_table

    tables = run(run_a, run_b, project.params, project.layout, project.runtime, measure)
    for table in tables:
        Console().print(terminal_table(table))


@looking.command()
@with_project
def segment(
    project: Project,
    image: Annotated[Path, typer.Argument(help="A JPEG or PNG.")],
    audio: Annotated[Path, typer.Argument(help="A sound file or video.")],
    model: Annotated[str, typer.Option(help="A folder below runs/, e.g. train/save.")],
    second: Annotated[
        int | None, typer.Option(min=0, help="Of the sound; the loudest without.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path(),
) -> None:
    """Write the mask of what sounds in a picture, and an overlay."""
    from avsynth.commands.segment import Sound
    from avsynth.commands.segment import segment as run

    params, layout, runtime = project.params, project.layout, project.runtime
    done = run(image, Sound(audio, second), model, params, layout, runtime, out)
    typer.echo(f"second {done.second} of the sound: {done.covered_frac:.1%} of the picture sounds")
    typer.echo(f"wrote {done.mask_png} and {done.overlay_png}")


@looking.command()
@with_project
def gallery(
    project: Project,
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = AVS_SYNTHETIC,
    split: Annotated[str | None, typer.Option(help="Only this one.", show_default=False)] = None,
    cards: Annotated[int, typer.Option(min=1, help="Samples per category.")] = 6,
    out: Annotated[Path | None, typer.Option(help="The page.", show_default=False)] = None,
) -> None:
    """Write one offline page of a dataset: samples to see and hear, funnel, balance."""
    from avsynth.commands.gallery import gallery as run

    typer.echo(f"wrote {run(dataset, split, cards, project.params, project.layout, out)}")


@looking.command()
@with_project
def stats(
    project: Project,
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = AVS_SYNTHETIC,
) -> None:
    """Print what a dataset holds per category and split."""
    from rich.console import Console

    from avsynth.inspection.stats import dataset_table, terminal_table

    Console().print(terminal_table(dataset_table(project.layout.shards(dataset))))


@looking.command()
@with_project
def show(
    project: Project,
    key: Annotated[str, typer.Argument(help="A sample's key; its beginning is enough.")],
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = AVS_SYNTHETIC,
    out: Annotated[Path, typer.Option(help="Folder for the overlay.")] = Path(),
) -> None:
    """Print one sample: what it is, where it comes from, its sound; write its overlay."""
    from avsynth.inspection.show import show_sample

    typer.echo(show_sample(project.layout.shards(dataset), key, out))


class _OpenUnlessNamed(TyperGroup):
    """A group whose first command runs when none is named: ``avsynth inspect --max 10``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["open", *args])


inspecting = typer.Typer(
    cls=_OpenUnlessNamed,
    help="Look at samples in FiftyOne (open), and bring what you tagged back (pull).",
)
looking.add_typer(inspecting, name="inspect")


@inspecting.command("open")
@with_project
def inspect_open(
    project: Project,
    dataset: Annotated[
        str, typer.Option(help="A folder below data/shards; or dropped: what the tables dropped.")
    ] = AVS_SYNTHETIC,
    category: Annotated[str | None, typer.Option(help="Only this.", show_default=False)] = None,
    where: Annotated[
        str | None,
        typer.Option(help="A condition: area_frac < 0.01 and split == 'test'", show_default=False),
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max", min=1, help="At most so many.", show_default=False)
    ] = None,
    brain: Annotated[
        bool, typer.Option("--brain", help="Find duplicates, leaky splits, similar pictures.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Write samples and files to a new folder instead.", show_default=False),
    ] = None,
) -> None:
    """Open the App on pictures with masks, spectrograms and previews with sound; Ctrl-C stops."""
    from avsynth.commands.inspect import Looked
    from avsynth.commands.inspect import inspect as run
    from avsynth.inspection.fiftyone_app.samples import Selection

    looked = Looked(dataset, Selection(category, where, most), brain, export)
    run(looked, project.params, project.layout, project.runtime, typer.echo)


@inspecting.command("pull")
@with_project
def inspect_pull(
    project: Project,
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = AVS_SYNTHETIC,
    exported: Annotated[
        Path | None,
        typer.Option("--from", help="An exported folder to read instead.", show_default=False),
    ] = None,
) -> None:
    """Write what was tagged "bad mask", "bad sound" ... to reviews.csv, which match drops."""
    from avsynth.commands.inspect import pull

    path, lines = pull(dataset, exported, project.params, project.layout)
    for line in lines:
        typer.echo(line)
    typer.echo(f"wrote {path}")
