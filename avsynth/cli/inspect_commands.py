"""Commands to look at data, scores and models."""

from pathlib import Path
from typing import Annotated

import typer

from avsynth.cli.options import Dataset, with_project
from avsynth.cli.panels import LOOK, TRAIN, PanelGroup, add_command
from avsynth.core.paths import AVS_SYNTHETIC
from avsynth.core.project import Project


def add_inspect_commands(app: typer.Typer) -> None:
    """Add the commands of this module, with the groups ``inspect`` and ``models``."""
    add_command(app, TRAIN, "avsynth compare train/sama_avs train/save")(compare)
    add_command(app, TRAIN, "avsynth semantic predictions --split test")(semantic)
    add_command(app, TRAIN, "avsynth segment dog.jpg dog.wav --model train/save")(segment)
    add_command(app, LOOK, "avsynth gallery --dataset s4 --split test")(gallery)
    add_command(app, LOOK, "avsynth stats --dataset s4")(stats)
    add_command(app, LOOK, "avsynth show dog-0a1b2c --out overlays")(show)
    inspecting = typer.Typer(cls=PanelGroup)
    inspecting.callback(
        invoke_without_command=True, epilog="Example: avsynth inspect --category dog --max 500"
    )(inspect_dataset)
    add_command(inspecting, None, "avsynth inspect pull --dataset s4", "pull")(inspect_pull)
    app.add_typer(inspecting, name="inspect", rich_help_panel=LOOK)
    catalogue = typer.Typer(cls=PanelGroup)
    catalogue.callback(
        invoke_without_command=True, epilog="Example: avsynth models --architecture vit_h"
    )(models)
    card = "avsynth models export-card runs/train/save/weights.safetensors"
    add_command(catalogue, None, card, "export-card")(export_card)
    app.add_typer(catalogue, name="models", rich_help_panel=TRAIN)


@with_project
def compare(
    project: Project,
    run_a: Annotated[str, typer.Argument(help="A run below reports/scores: zeroshot/save-s4.")],
    run_b: Annotated[str, typer.Argument(help="The run to compare it with.")],
    measure: Annotated[str, typer.Option(help="miou, meter_iou, meter_f, f_frame ...")] = "miou",
) -> None:
    """Compare two scored runs on the same samples.

    The table has the difference for each category, with 95 % intervals.
    """
    from rich.console import Console

    from avsynth.commands.compare import compare as run
    from avsynth.inspection.stats import terminal_table

    tables = run(run_a, run_b, project.params, project.layout, project.runtime, measure)
    for table in tables:
        Console().print(terminal_table(table))


@with_project
def semantic(
    project: Project,
    folder: Annotated[Path, typer.Argument(help="Folder of label maps: <uid>/<frame>.png.")],
    split: Annotated[str, typer.Option(help="A split of AVSBench-semantic.")] = "test",
) -> None:
    """Score predicted label maps on AVSBench-semantic's 71 classes."""
    from rich.console import Console

    from avsynth.commands.semantic import semantic as run
    from avsynth.inspection.stats import terminal_table

    table = run(folder, split, project.params, project.layout, project.runtime)
    Console().print(terminal_table(table))


@with_project
def segment(
    project: Project,
    image: Annotated[Path, typer.Argument(help="A JPEG or PNG.")],
    audio: Annotated[Path, typer.Argument(help="An audio file or a video.")],
    model: Annotated[str, typer.Option(help="A folder below runs/, e.g. train/save.")],
    second: Annotated[
        int | None, typer.Option(min=0, help="Second of the audio; default: the loudest.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the two images.")] = Path(),
) -> None:
    """Write the mask of the sounding objects, and an overlay."""
    from avsynth.commands.segment import AudioInput
    from avsynth.commands.segment import segment as run

    params, layout, runtime = project.params, project.layout, project.runtime
    done = run(image, AudioInput(audio, second), model, params, layout, runtime, out)
    typer.echo(f"second {done.second} of the audio: the mask covers {done.covered_frac:.1%}")
    typer.echo(f"wrote {done.mask_png} and {done.overlay_png}")


@with_project
def gallery(
    project: Project,
    dataset: Dataset = AVS_SYNTHETIC,
    split: Annotated[str | None, typer.Option(help="Only this split.", show_default=False)] = None,
    cards: Annotated[int, typer.Option(min=1, help="Samples per category.")] = 6,
    out: Annotated[
        Path | None, typer.Option(help="The HTML file to write.", show_default=False)
    ] = None,
) -> None:
    """Write one offline page: samples with audio, funnel, balance."""
    from avsynth.commands.gallery import gallery as run

    typer.echo(f"wrote {run(dataset, split, cards, project.params, project.layout, out)}")


@with_project
def stats(project: Project, dataset: Dataset = AVS_SYNTHETIC) -> None:
    """Print the samples of a dataset per category and split."""
    from rich.console import Console

    from avsynth.inspection.stats import dataset_table, terminal_table

    Console().print(terminal_table(dataset_table(project.layout.shards(dataset))))


@with_project
def show(
    project: Project,
    key: Annotated[str, typer.Argument(help="A sample's key, or a unique prefix of it.")],
    dataset: Dataset = AVS_SYNTHETIC,
    out: Annotated[Path, typer.Option(help="Folder for the overlay.")] = Path(),
) -> None:
    """Print one sample and its sources, and write its overlay."""
    from avsynth.inspection.show import show_sample

    typer.echo(show_sample(project.layout.shards(dataset), key, out))


@with_project
def inspect_dataset(
    project: Project,
    dataset: Annotated[
        str, typer.Option(help="A folder below data/shards; dropped: the dropped items.")
    ] = AVS_SYNTHETIC,
    category: Annotated[
        str | None, typer.Option(help="Only this category.", show_default=False)
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="A condition: area_frac < 0.01 and split == 'test'", show_default=False),
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max", min=1, help="Maximum number.", show_default=False)
    ] = None,
    brain: Annotated[
        bool, typer.Option("--brain", help="Find duplicates, leaking splits, similar images.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Write samples and files to a new folder instead.", show_default=False),
    ] = None,
) -> None:
    """Open samples in the FiftyOne App; pull your tags from it.

    The App shows images with masks, spectrograms and previews with audio; Ctrl-C stops it.
    """
    from avsynth.commands.inspect import InspectOptions
    from avsynth.commands.inspect import inspect as run
    from avsynth.inspection.fiftyone_app.samples import Selection

    options = InspectOptions(dataset, Selection(category, where, most), brain, export)
    run(options, project.params, project.layout, project.runtime, typer.echo)


@with_project
def inspect_pull(
    project: Project,
    dataset: Dataset = AVS_SYNTHETIC,
    exported: Annotated[
        Path | None,
        typer.Option("--from", help="An exported folder to read instead.", show_default=False),
    ] = None,
) -> None:
    """Write the tags of the App to reviews.csv, which match reads.

    Tags such as "bad mask" and "bad sound" make match drop the item.
    """
    from avsynth.commands.inspect import pull

    path, lines = pull(dataset, exported, project.params, project.layout)
    for line in lines:
        typer.echo(line)
    typer.echo(f"wrote {path}")


def models(
    context: typer.Context,
    architecture: Annotated[
        str, typer.Option(help="Backbone: vit_b, vit_l, vit_h or tiny.")
    ] = "vit_b",
    input_size: Annotated[int, typer.Option(help="Side of the input in pixels.")] = 1024,
) -> None:
    """Print the trained and the frozen parameters of each system."""
    if context.invoked_subcommand is None:
        from avsynth.models.summary import describe, table

        typer.echo(table(describe(architecture, input_size)))


def export_card(
    checkpoint: Annotated[Path, typer.Argument(help="A .safetensors file of a trained model.")],
    out: Annotated[
        Path | None, typer.Option(help="The Markdown file to write.", show_default=False)
    ] = None,
) -> None:
    """Write the model card of a trained checkpoint."""
    from avsynth.core.files import atomic_file
    from avsynth.models.card import model_card

    path = out or checkpoint.with_suffix(".md")
    card = model_card(checkpoint)
    with atomic_file(path) as temporary:
        temporary.write_text(card, encoding="utf-8")
    typer.echo(f"wrote {path}")
