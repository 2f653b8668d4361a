"""Concurrent download jobs: a bounded pool of tasks that records outcomes in the ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from avsynth.download.items import Item, Outcome
from avsynth.download.ledger import Ledger
from avsynth.download.rate_limit import StopLoss
from avsynth.runtime.errors import AvsynthError

Job = Callable[[], Awaitable[list[tuple[Item, Outcome]]]]
"""A coroutine function that processes one or more items and returns the outcome of each."""


def select_items(items: Iterable[Item], ledger: Ledger, retry: tuple[str, ...]) -> list[Item]:
    """Return the items that this run downloads.

    Args:
        items: all items of the batch.
        ledger: the earlier outcomes.
        retry: empty for the items without an outcome and those whose file is missing; else only
            the items whose last status is one of these.
    """
    chosen = []
    for item in items:
        row = ledger.rows.get(item.item_id)
        if retry:
            selected = row is not None and row.status in retry
        else:
            selected = row is None or (row.status == "ok" and not ledger.is_complete(item))
        if selected:
            chosen.append(item)
    return chosen


async def run_jobs(
    jobs: Iterable[Job],
    ledger: Ledger,
    *,
    concurrency: int,
    stop_loss: StopLoss,
) -> None:
    """Run every job, ``concurrency`` at a time, and record each outcome at once.

    Raises:
        AvsynthError: the disk is full, the circuit is open, or too many items failed. The ledger
            holds every outcome up to then.
    """
    queue = iter(jobs)

    async def run_worker() -> None:
        for job in queue:
            for item, outcome in await job():
                ledger.add(item, outcome)
                stop_loss.add(outcome.status)
            # Let the event loop handle Ctrl-C also when no job waits.
            await asyncio.sleep(0)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(run_worker())
    except BaseExceptionGroup as errors:
        raise _first_error(errors) from None


def _first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one of the errors that ended the tasks, an `AvsynthError` if there is one."""
    user_errors, others = errors.split(AvsynthError)
    chosen: Any = user_errors if user_errors is not None else others
    while isinstance(chosen, BaseExceptionGroup):
        chosen = chosen.exceptions[0]
    assert isinstance(chosen, BaseException)
    return chosen
