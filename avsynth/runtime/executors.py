"""`map_items`: one contract for running a function over items, in one process or many."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.context import BaseContext
from typing import TypeVar

from avsynth.runtime.errors import AvsynthError
from avsynth.runtime.options import Runtime

_CLEAN_UP_S = 2.0
"""From Ctrl-C until a worker ends, whatever it does."""
Item = TypeVar("Item")
Result = TypeVar("Result")


def map_items(
    fn: Callable[[Item], Result], items: Iterable[Item], runtime: Runtime
) -> Iterator[Result]:
    """Yield ``fn(item)`` for every item, in the order of the items.

    The result never depends on the executor or the number of workers. An exception raised by
    ``fn`` is raised here, at its item's turn.

    Args:
        fn: a picklable function.
        items: taken lazily; at most a few per worker are in flight.
        runtime: number and kind of workers.
    """
    if runtime.executor == "ray":
        from avsynth.runtime.ray_executor import ray_map

        yield from ray_map(fn, items, runtime.workers)
    elif runtime.executor == "process" and runtime.workers > 1:
        yield from _process_map(fn, items, runtime.workers)
    else:
        yield from map(fn, items)


def _process_map(
    fn: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    # forkserver: a forked child would inherit the parent's threads' locks (BLAS, progress bar).
    context = multiprocessing.get_context("forkserver")
    # What the workers need is imported once, by the server that they are forked from.
    context.set_forkserver_preload([getattr(fn, "func", fn).__module__])
    with open_pool(workers, context) as pool:
        yield from _in_order(lambda item: pool.submit(fn, item), items, window=4 * workers)


@contextmanager
def open_pool(workers: int, context: BaseContext) -> Iterator[ProcessPoolExecutor]:
    """Open a pool whose processes end with this one.

    Raises:
        AvsynthError: a worker was killed.
    """
    try:
        with ProcessPoolExecutor(workers, context, initializer=_prepare_worker) as pool:
            try:
                yield pool
            except KeyboardInterrupt:
                workers_left = list((pool._processes or {}).values())  # shutdown forgets them
                pool.shutdown(wait=False, cancel_futures=True)
                # A signal to this process alone does not reach its workers.
                for pid in (worker.pid for worker in workers_left if worker.pid):
                    with suppress(OSError):
                        os.kill(pid, signal.SIGINT)
                raise
    except BrokenProcessPool:
        found = "one was killed, as when memory runs out"
        fix = "Use fewer --workers and run the command again; finished work is kept."
        raise AvsynthError("workers", f"{workers} that run to the end", found, fix) from None


def _prepare_worker() -> None:
    """End this worker with its parent process, and without a traceback on Ctrl-C."""
    signal.signal(signal.SIGINT, _on_interrupt)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)  # A softer exit would wait for the task in progress.

    threading.Thread(target=watch, daemon=True).start()


def _on_interrupt(number: int, frame: object) -> None:
    """End this worker: at once where it waits, else after its task has removed temporary files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    last = threading.Timer(_CLEAN_UP_S, os._exit, (128 + signal.SIGINT,))
    last.daemon = True
    last.start()
    raise SystemExit(128 + signal.SIGINT)


def _in_order(
    submit: Callable[[Item], "Future[Result]"], items: Iterable[Item], window: int
) -> Iterator[Result]:
    """Keep ``window`` tasks in flight and yield their results in the items' order."""
    queue: list[Future[Result]] = []
    try:
        for item in items:
            queue.append(submit(item))
            if len(queue) >= window:
                wait(queue[:1], return_when=FIRST_COMPLETED)
                yield queue.pop(0).result()
        while queue:
            yield queue.pop(0).result()
    finally:
        for future in queue:
            future.cancel()
