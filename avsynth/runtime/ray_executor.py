"""`ray_map`: `avsynth.runtime.executors.map_items` on a Ray cluster.

With ``RAY_ADDRESS`` set, that cluster is joined; otherwise one is started on this machine. It
listens on 127.0.0.1 alone, and stops with the process. A task that is lost with its node runs again
on another one, so a function must return the same result, and write the same file, when it is
called twice.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from avsynth.runtime.errors import AvsynthError, ConfigError, MissingExtra

Item = TypeVar("Item")
Result = TypeVar("Result")

_RETRIES = 5
"""Number of times that a task may be lost with its worker or node."""
_CONNECT_TIMEOUT_S = 10.0
_TASKS_PER_CPU = 16
_COUNT_AGAIN_S = 1.0
"""Reading the cluster's size takes a millisecond, too long for each item."""
_OBJECT_STORE_BYTES = 512 << 20
"""For a cluster on this machine; results are small, and what does not fit goes to disk."""


def ray_map(fn: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield ``fn(item)`` for every item, in the order of the items; see `map_items`.

    An idle worker gets the next item. The cluster's size is read again every second, so nodes that
    join later get work too.

    Args:
        fn: a picklable function.
        items: taken lazily; a few for each CPU of the cluster are in flight.
        workers: CPUs of the cluster that is started when there is none to join.

    Raises:
        MissingExtra: Ray is not installed.
        ConfigError: there is no cluster at ``RAY_ADDRESS``.
        AvsynthError: an item was lost with its worker too often.
    """
    ray = _connect(workers)
    # SPREAD: every node reads and writes over a link of its own.
    task = ray.remote(_call).options(max_retries=_RETRIES, scheduling_strategy="SPREAD")
    function = ray.put(fn)
    in_flight: deque[Any] = deque()
    window, counted_at = 0, -_COUNT_AGAIN_S
    try:
        for item in items:
            in_flight.append(task.remote(function, item))
            if (now := time.monotonic()) - counted_at > _COUNT_AGAIN_S:
                window, counted_at = _window(ray), now
            if len(in_flight) >= window:
                yield _result(ray, in_flight.popleft())
        while in_flight:
            yield _result(ray, in_flight.popleft())
    finally:
        for left in in_flight:
            ray.cancel(left)


def _call(fn: Callable[[Item], Result], item: Item) -> Result:
    return fn(item)


def _connect(workers: int) -> Any:
    """Return Ray, connected to a cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        # Ray's servers run whatever they are sent. Its switch for a cluster of one machine, named
        # after the systems where it is the default, keeps them from listening on every interface.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError:
        raise MissingExtra("ray", "cluster") from None
    if ray.is_initialized():
        return ray
    quietly = {"log_to_driver": False, "logging_level": "error"}
    if not address:
        # Without "local" a cluster that another run has started would be joined.
        ray.init(
            "local",
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            **quietly,
        )
        return ray
    try:
        _check_address(address)
        ray.init(address, **quietly)
    except (OSError, RuntimeError, ValueError) as error:
        found = " ".join(str(error).split())[:200]
        fix = "Start one with: ray start --head; or unset RAY_ADDRESS to use this machine alone."
        raise ConfigError("RAY_ADDRESS", f"a Ray cluster at {address}", found, fix) from None
    return ray


def _check_address(address: str) -> None:
    """Raise OSError unless a server listens at ``host:port``; Ray itself waits for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S).close()


def _window(ray: Any) -> int:
    return _TASKS_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))


def _result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None  # What ``fn`` raised, without Ray's wrapping.
    except ray.exceptions.RayError as error:
        raise _lost(error) from error


def _lost(error: Exception) -> AvsynthError:
    return AvsynthError(
        "Ray cluster",
        "a worker that runs to the end of its task",
        f"{type(error).__name__} after {_RETRIES + 1} attempts",
        "Read Ray's logs; a worker that is killed for its memory needs fewer CPUs per node.",
    )
