"""The command line: every command builds its three arguments and calls one function.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from avsynth import __version__
from avsynth.command import Project, Workers, with_project
from avsynth.errors import AvsynthError
from avsynth.pipelines import STAGES

app = typer.Typer(
    name="avsynth",
    help="Build audio-visual segmentation data and judge models on it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
exports = typer.Typer(no_args_is_help=True, help="Write our shards in other layouts.")
app.add_typer(exports, name="export")
catalogue = typer.Typer(help="The six systems: parameters, and cards of trained ones.")
app.add_typer(catalogue, name="models")


def _stage_command(name: str) -> Callable[..., None]:
    """Make the command of a stage: its items as arguments, then the shared options."""
    stage = STAGES[name]

    def run(project: Project, **items: str) -> None:
        from avsynth.funnel import summary_line

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


for _name in STAGES:
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

    from avsynth.funnel import exclusion_line, funnel_table, summary_line
    from avsynth.pipelines.build import build as run

    project = project.with_categories(categories)
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
    workers: Workers = 1,
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
    from avsynth.project import init_project

    for path in init_project(directory, preset):
        typer.echo(f"wrote {path}")


@app.command()
@with_project
def compare(
    project: Project,
    run_a: Annotated[str, typer.Argument(help="As below reports/scores, e.g. zeroshot/save-s4.")],
    run_b: Annotated[str, typer.Argument(help="What is compared with it.")],
    measure: Annotated[str, typer.Option(help="miou, meter_iou, meter_f, f_frame ...")] = "miou",
) -> None:
    """Compare two scored runs on the same samples, per category, with intervals."""
    from rich.console import Console

    from avsynth.pipelines.compare import compare as run
    from avsynth.stats import terminal_table

    tables = run(run_a, run_b, project.params, project.layout, project.runtime, measure)
    for table in tables:
        Console().print(terminal_table(table))


@app.command()
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
    from avsynth.pipelines.segment import Sound
    from avsynth.pipelines.segment import segment as run

    params, layout, runtime = project.params, project.layout, project.runtime
    done = run(image, Sound(audio, second), model, params, layout, runtime, out)
    typer.echo(f"second {done.second} of the sound: {done.covered_frac:.1%} of the picture sounds")
    typer.echo(f"wrote {done.mask_png} and {done.overlay_png}")


@app.command()
@with_project
def gallery(
    project: Project,
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = "avs-synthetic",
    split: Annotated[str | None, typer.Option(help="Only this one.", show_default=False)] = None,
    cards: Annotated[int, typer.Option(min=1, help="Samples per category.")] = 6,
    out: Annotated[Path | None, typer.Option(help="The page.", show_default=False)] = None,
) -> None:
    """Write one offline page of a dataset: samples to see and hear, funnel, balance."""
    from avsynth.pipelines.gallery import gallery as run

    typer.echo(f"wrote {run(dataset, split, cards, project.params, project.layout, out)}")


@app.command()
@with_project
def stats(
    project: Project,
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = "avs-synthetic",
) -> None:
    """Print what a dataset holds per category and split."""
    from rich.console import Console

    from avsynth.stats import dataset_table, terminal_table

    Console().print(terminal_table(dataset_table(project.layout.shards(dataset))))


@app.command()
@with_project
def show(
    project: Project,
    key: Annotated[str, typer.Argument(help="A sample's key; its beginning is enough.")],
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = "avs-synthetic",
    out: Annotated[Path, typer.Option(help="Folder for the overlay.")] = Path(),
) -> None:
    """Print one sample: what it is, where it comes from, its sound; write its overlay."""
    from avsynth.show import show_sample

    typer.echo(show_sample(project.layout.shards(dataset), key, out))


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

    from avsynth.pipelines.plan import plan as run
    from avsynth.pipelines.plan import plan_table

    project = project.with_categories(categories)
    made = run(project.params, project.layout, project.runtime, sample, rate)
    Console().print(plan_table(made))


@app.command()
@with_project
def check(project: Project) -> None:
    """Say of every dataset and checkpoint whether it is there, whole, or where to ask for it."""
    from rich.console import Console

    from avsynth.pipelines.check import check as run
    from avsynth.pipelines.check import check_table

    Console().print(check_table(run(project.params, project.layout, project.runtime)))


@exports.command("avs-synthetic")
@with_project
def export_avs_synthetic(
    project: Project,
    directory: Annotated[Path, typer.Argument(help="A new folder.")],
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = "avs-synthetic",
) -> None:
    """Write the papers' own on-disk layout, which their loaders read."""
    from avsynth.pipelines.export import export_avs_synthetic as run

    count = run(project.layout.shards(dataset), directory)
    typer.echo(f"wrote {count:,} samples to {directory}")


@exports.command("coco")
@with_project
def export_coco(
    project: Project,
    path: Annotated[Path, typer.Argument(help="The json file.")],
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = "avs-synthetic",
) -> None:
    """Write the masks as COCO instances json."""
    from avsynth.pipelines.export import export_coco as run

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
    from avsynth.models.card import model_card
    from avsynth.tables import whole_file

    path = out or checkpoint.with_suffix(".md")
    card = model_card(checkpoint)
    with whole_file(path) as temporary:
        temporary.write_text(card, encoding="utf-8")
    typer.echo(f"wrote {path}")


class _OpenUnlessNamed(TyperGroup):
    """A group whose first command runs when none is named: ``avsynth inspect --max 10``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["open", *args])


inspecting = typer.Typer(
    cls=_OpenUnlessNamed,
    help="Look at samples in FiftyOne (open), and bring what you tagged back (pull).",
)
app.add_typer(inspecting, name="inspect")


@inspecting.command("open")
@with_project
def inspect_open(
    project: Project,
    dataset: Annotated[
        str, typer.Option(help="A folder below data/shards; or dropped: what the tables dropped.")
    ] = "avs-synthetic",
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
    from avsynth.pipelines.inspect import Looked
    from avsynth.pipelines.inspect import inspect as run
    from avsynth.viewer.rows import Selection

    looked = Looked(dataset, Selection(category, where, most), brain, export)
    run(looked, project.params, project.layout, project.runtime, typer.echo)


@inspecting.command("pull")
@with_project
def inspect_pull(
    project: Project,
    dataset: Annotated[str, typer.Option(help="A folder below data/shards.")] = "avs-synthetic",
    exported: Annotated[
        Path | None,
        typer.Option("--from", help="An exported folder to read instead.", show_default=False),
    ] = None,
) -> None:
    """Write what was tagged "bad mask", "bad sound" ... to reviews.csv, which match drops."""
    from avsynth.pipelines.inspect import pull

    path, lines = pull(dataset, exported, project.params, project.layout)
    for line in lines:
        typer.echo(line)
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
    """Run the command line; a fault that the user can mend is one message and exit code 2."""
    try:
        app()
    except AvsynthError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
