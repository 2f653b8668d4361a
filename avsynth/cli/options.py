"""What every command shares: the options, and the `Project` that they open."""

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
        help="Processes to work with; changes no byte.",
    ),
]
Executor = Annotated[
    Literal["serial", "process", "ray"],
    typer.Option("--executor", envvar="AVSYNTH_EXECUTOR", help="Who does the work."),
]
Device = Annotated[
    str, typer.Option("--device", envvar="AVSYNTH_DEVICE", help="cpu, cuda or cuda:N.")
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", help="Where what can be computed again is kept.", show_default=False
    ),
]
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def size_in_bytes(text: str) -> int:
    """Read a size: ``20GB``, ``1.5 TB``, ``0``; units are powers of 1000.

    Raises:
        typer.BadParameter: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(KB|MB|GB|TB)?", text.strip().upper())
    if found is None:
        fault = f"{text!r} is no size; write e.g. 20GB, 500MB or 0."
        raise typer.BadParameter(fault, param_hint="'--cache-limit'")
    return int(float(found[1]) * _UNITS.get(found[2], 1))


CacheLimit = Annotated[
    str,
    typer.Option(
        "--cache-limit",
        metavar="SIZE",
        envvar="AVSYNTH_CACHE_LIMIT",
        help="Most that image embeddings may take in the cache; 0 keeps none. Changes no byte.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "-S", metavar="KEY=VALUE", help="Override a value of params.yaml.", show_default=False
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


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
    """Read params.yaml and gather the runtime options; its signature is every stage's options."""
    from avsynth.core.params.load import load_params
    from avsynth.core.paths import Layout
    from avsynth.runtime.options import Runtime

    runtime = Runtime(workers, executor, device, cache_dir, quiet, size_in_bytes(cache_limit))
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
