"""The command line: every command builds its three arguments and calls one function.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from avsynth import __version__
from avsynth.errors import AvsynthError
from avsynth.pipelines import STAGES

if TYPE_CHECKING:
    from avsynth.config import Params, Runtime
    from avsynth.paths import Layout

app = typer.Typer(
    name="avsynth",
    help="Build audio-visual segmentation data and judge models on it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Root = Annotated[
    Path, typer.Option("--root", help="Project folder that holds params.yaml.", show_default=False)
]
Workers = Annotated[int, typer.Option("--workers", "-j", min=1, help="Processes to work with.")]
Executor = Annotated[
    Literal["serial", "process", "ray"], typer.Option("--executor", help="Who does the work.")
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N.")]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", help="Where what can be computed again is kept.", show_default=False
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "-S", metavar="KEY=VALUE", help="Override a value of params.yaml.", show_default=False
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


@dataclass(frozen=True, slots=True)
class Project:
    """The three arguments of every stage."""

    params: "Params"
    layout: "Layout"
    runtime: "Runtime"


def open_project(
    root: Root = Path(),
    workers: Workers = 1,
    executor: Executor = "process",
    device: Device = "cpu",
    cache_dir: CacheDir = None,
    settings: Settings = None,
    quiet: Quiet = False,
) -> Project:
    """Read params.yaml and gather the runtime options; its signature is every stage's options."""
    from avsynth.config import Runtime, load_params
    from avsynth.paths import Layout

    runtime = Runtime(workers, executor, device, cache_dir, quiet)
    return Project(load_params(root, settings or []), Layout(root.resolve()), runtime)


def with_project(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options, and the opened `Project` as its first argument."""
    own = list(inspect.signature(function).parameters.values())[1:]
    shared = list(inspect.signature(open_project).parameters.values())

    def command(**options: Any) -> None:
        project = open_project(**{p.name: options.pop(p.name) for p in shared})
        function(project, **options)

    keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared)]
    command.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    return command


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

    params = project.params
    if categories is not None:
        number = categories.removeprefix("-").isdecimal()
        choose = int(categories) if number else tuple(c.strip() for c in categories.split(","))
        chosen = params.categories.model_copy(update={"choose": choose})
        params = params.model_copy(update={"categories": chosen})
    funnels = {}
    for stage, funnel in run(params, project.layout, project.runtime):
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
