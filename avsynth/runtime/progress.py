"""A progress bar on stderr; silent when stderr is not a terminal."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from avsynth.runtime.options import Runtime

Item = TypeVar("Item")


def track(items: Iterable[Item], what: str, total: int | None, runtime: Runtime) -> Iterator[Item]:
    """Yield items and show the progress towards ``total`` and the remaining time."""
    if runtime.quiet or not sys.stderr.isatty():
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            yield item
            bar.advance(task)
