"""Bring many items at once: a bounded crew of tasks, the ledger, the stop-loss, a progress bar."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from avsynth.download.items import Item, Outcome
from avsynth.download.ledger import Ledger
from avsynth.download.rate_limit import StopLoss
from avsynth.runtime.errors import AvsynthError

Job = Callable[[], Awaitable[list[tuple[Item, Outcome]]]]
"""A piece of work on one or more items; says how each of them went."""


def to_try(items: Iterable[Item], ledger: Ledger, retry: tuple[str, ...]) -> list[Item]:
    """Choose what this run asks for.

    Args:
        items: everything that is wanted.
        ledger: what is known of it.
        retry: empty for what was never tried or lies there no longer; else only the items that
            last ended with one of these statuses.
    """
    chosen = []
    for item in items:
        row = ledger.rows.get(item.item_id)
        if retry:
            wanted = row is not None and row.status in retry
        else:
            wanted = row is None or (row.status == "ok" and not ledger.holds(item))
        if wanted:
            chosen.append(item)
    return chosen


async def bring_all(
    jobs: Iterable[Job],
    ledger: Ledger,
    *,
    crew: int,
    stop_loss: StopLoss,
) -> None:
    """Do every job, ``crew`` at a time, and write each outcome down as it comes.

    Raises:
        AvsynthError: the disk is full, the circuit is open, too much fails. Everything that was
            done until then is in the ledger.
    """
    queue = iter(jobs)

    async def work() -> None:
        for job in queue:
            for item, outcome in await job():
                ledger.add(item, outcome)
                stop_loss.add(outcome.status)
            # Jobs that never wait must not keep Ctrl-C waiting.
            await asyncio.sleep(0)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(crew):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise _first(errors) from None


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of the errors that ended the crew, take the one that speaks to the user."""
    ours, others = errors.split(AvsynthError)
    chosen: Any = ours if ours is not None else others
    while isinstance(chosen, BaseExceptionGroup):
        chosen = chosen.exceptions[0]
    assert isinstance(chosen, BaseException)
    return chosen
