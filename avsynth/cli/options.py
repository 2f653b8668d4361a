"""The options that commands share, and the `Project` that they open."""

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from avsynth.core.project import Project

Root = Annotated[
    Path, typer.Option("--root", help="Project folder that holds params.yaml.", show_default=False)
]
CORES = min(len(os.sched_getaffinity(0)), 16)
Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        "-j",
        min=1,
        envvar="AVSYNTH_WORKERS",
        show_default="one per core",
        help="Number of processes; changes no byte.",
    ),
]
Executor = Annotated[
    Literal["serial", "process", "ray"],
    typer.Option("--executor", envvar="AVSYNTH_EXECUTOR", help="How the work is spread."),
]
Device = Annotated[
    str, typer.Option("--device", envvar="AVSYNTH_DEVICE", help="cpu, cuda or cuda:N.")
]
CacheDir = Annotated[
    Path | None,
    typer.Option("--cache-dir", help="Folder of cached files, safe to delete.", show_default=False),
]
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def size_in_bytes(text: str) -> int:
    """Read a size: ``20GB``, ``1.5 TB``, ``0``; units are powers of 1000.

    Raises:
        typer.BadParameter: the text is not a size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(KB|MB|GB|TB)?", text.strip().upper())
    if found is None:
        fault = f"{text!r} is not a size; write e.g. 20GB, 500MB or 0."
        raise typer.BadParameter(fault, param_hint="'--cache-limit'")
    return int(float(found[1]) * _UNITS.get(found[2], 1))


CacheLimit = Annotated[
    str,
    typer.Option(
        "--cache-limit",
        metavar="SIZE",
        envvar="AVSYNTH_CACHE_LIMIT",
        help="Size limit of the image-embedding cache; 0: no cache. Changes no byte.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "-S", metavar="KEY=VALUE", help="Override a value of params.yaml.", show_default=False
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
Dataset = Annotated[str, typer.Option("--dataset", help="A folder below data/shards.")]
Categories = Annotated[
    str | None,
    typer.Option(
        "--categories", help="How many (46), or names (dog,cat,bird).", show_default=False
    ),
]


def with_categories(project: Project, wanted: str | None) -> Project:
    """Apply ``--categories``: a number, or names joined by commas; None changes nothing."""
    if wanted is None:
        return project
    number = wanted.removeprefix("-").isdecimal()
    choose = int(wanted) if number else tuple(name.strip() for name in wanted.split(","))
    chosen = project.params.categories.model_copy(update={"choose": choose})
    return replace(project, params=project.params.model_copy(update={"categories": chosen}))


def open_project(  # noqa: PLR0913 -- one argument for each shared option
    root: Root = Path(),
    workers: Workers = CORES,
    executor: Executor = "process",
    device: Device = "cpu",
    cache_dir: CacheDir = None,
    settings: Settings = None,
    quiet: Quiet = False,
    cache_limit: CacheLimit = "20GB",
) -> Project:
    """Read params.yaml and the runtime options; the signature is the options of every command."""
    from avsynth.core.params.load import load_params
    from avsynth.core.paths import Layout
    from avsynth.runtime.options import Runtime

    runtime = Runtime(workers, executor, device, cache_dir, quiet, size_in_bytes(cache_limit))
    return Project(load_params(root, settings or []), Layout(root.resolve()), runtime)


def with_project(function: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the shared options that opens the `Project` for its first argument.

    As the callback of a group it runs only when no subcommand is named.
    """
    own = list(inspect.signature(function).parameters.values())[1:]
    shared = list(inspect.signature(open_project).parameters.values())

    def command(context: typer.Context, **options: Any) -> None:
        if context.invoked_subcommand is not None:
            _refuse_options_before(context, context.invoked_subcommand)
            return
        project = open_project(**{p.name: options.pop(p.name) for p in shared})
        function(project, **options)

    keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared)]
    first = inspect.Parameter(
        "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    command.__signature__ = inspect.Signature([first, *keyword_only])  # type: ignore[attr-defined]
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    return command


def _refuse_options_before(context: typer.Context, subcommand: str) -> None:
    """Raise for options before a subcommand, which would ignore them."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            option = parameter.opts[0]
            fault = f"write {context.info_name} {subcommand} {option} ..., with {option} at the end"
            raise typer.BadParameter(fault, ctx=context, param_hint=option)
