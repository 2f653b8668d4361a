"""`RateLimiter` for the requests to one host, and `StopLoss` for a run with too many failures.

The rate limiter spaces requests, slows down after a refusal, recovers slowly after successes, and
opens the circuit after too many refusals in a row. The stop-loss ends a run early if the list or
the network is broken.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from avsynth.runtime.errors import DropLimitError


class CircuitOpenError(DropLimitError):
    """The host keeps refusing requests; further requests would prolong the block."""


class RateLimiter:
    """Space the requests of all workers to one host.

    Args:
        interval_s: shortest time between two requests; 0 for hosts that need no spacing.
        max_interval_s: longest time between two requests.
        max_refusals: number of refusals in a row, without a success between them, that open the
            circuit.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        interval_s: float,
        max_interval_s: float = 600.0,
        max_refusals: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._min_interval_s, self._max_interval_s, self._max_refusals = (
            interval_s,
            max_interval_s,
            max_refusals,
        )
        self._clock = clock
        self._next_s = self._paused_until = clock()
        self.interval_s = interval_s
        self.refusals = 0

    def reserve(self) -> float:
        """Reserve the next request slot and return the seconds until it starts."""
        now = self._clock()
        start = max(now, self._next_s, self._paused_until)
        self._next_s = start + self.interval_s
        return start - now

    async def acquire(self) -> None:
        """Wait for the next request slot.

        Raises:
            CircuitOpenError: the circuit is open.
        """
        self.check()
        wait = self.reserve()
        while wait > 0:
            await asyncio.sleep(wait)
            self.check()
            wait = self._paused_until - self._clock()

    def on_success(self) -> None:
        """Shorten the interval by a tenth, down to its minimum, after a success."""
        self.refusals = 0
        self.interval_s = max(self._min_interval_s, 0.9 * self.interval_s)

    def on_refusal(self, wait_s: float = 0.0) -> None:
        """Double the interval after a refusal, and pause all workers for the host's wait."""
        self.refusals += 1
        self.interval_s = min(self._max_interval_s, max(2 * self.interval_s, 0.05))
        pause = min(max(wait_s, self.interval_s), self._max_interval_s)
        self._paused_until = max(self._paused_until, self._clock() + pause)

    def check(self) -> None:
        """Check that the circuit is closed.

        Raises:
            CircuitOpenError: the circuit is open.
        """
        if self.refusals >= self._max_refusals:
            raise CircuitOpenError(
                "fetch",
                "a host that answers",
                f"{self.refusals} refusals in a row",
                "Try again in some hours with --retry bot, name a folder with the files in "
                "fetch.have, or give your own cookies file in fetch.youtube.cookies. Finished "
                "files are kept.",
            )


class StopLoss:
    """End a run if too large a share of the last items failed.

    Args:
        limit: highest allowed share of failures, 0..1; 1 never stops.
        window: number of last items considered; the check starts after a quarter of them.
    """

    def __init__(self, limit: float, window: int = 200) -> None:
        self._limit, self._window = limit, window
        self._failed: deque[bool] = deque(maxlen=window)

    def add(self, status: str) -> None:
        """Add one outcome.

        Raises:
            DropLimitError: too many of the last items failed.
        """
        self._failed.append(status != "ok")
        count = len(self._failed)
        failures = sum(self._failed)
        if 4 * count >= self._window and failures > self._limit * count:
            raise DropLimitError(
                "fetch",
                f"at most {self._limit:.0%} failures (fetch.stop_loss)",
                f"{failures} of the last {count} items failed, the last as {status!r}",
                "Read the reasons in the ledger; then fix the cause or raise fetch.stop_loss.",
            )
