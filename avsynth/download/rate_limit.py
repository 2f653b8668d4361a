"""How fast one may ask, and when to stop asking.

`Governor` spaces requests, slows down when the host objects, recovers slowly when it is content,
and breaks the circuit when the host keeps objecting. `StopLoss` ends a run in which too much
fails, so that a broken list or network does not burn a night.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from avsynth.runtime.errors import DropLimitError


class CircuitOpenError(DropLimitError):
    """The host keeps refusing us; going on would only make it worse."""


class Governor:
    """Space the turns of all workers that talk to one host.

    Args:
        interval_s: the shortest time between two turns; 0 for hosts that need no spacing.
        max_interval_s: the longest that it may grow to.
        breaker: how many refusals in a row, without a success between them, open the circuit.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        interval_s: float,
        max_interval_s: float = 600.0,
        breaker: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._floor, self._ceiling, self._breaker = interval_s, max_interval_s, breaker
        self._clock = clock
        self._next = self._held_until = clock()
        self.interval_s = interval_s
        self.refusals = 0

    def reserve(self) -> float:
        """Take the next turn and say how many seconds away it is."""
        now = self._clock()
        start = max(now, self._next, self._held_until)
        self._next = start + self.interval_s
        return start - now

    async def turn(self) -> None:
        """Wait for one's turn.

        Raises:
            CircuitOpenError: the circuit is open.
        """
        self.check()
        wait = self.reserve()
        while wait > 0:
            await asyncio.sleep(wait)
            self.check()
            wait = self._held_until - self._clock()

    def content(self) -> None:
        """Note a success: a tenth faster, never below the floor."""
        self.refusals = 0
        self.interval_s = max(self._floor, 0.9 * self.interval_s)

    def refused(self, wait_s: float = 0.0) -> None:
        """Note a refusal: twice slower, and nobody's turn before the host's own wait is over."""
        self.refusals += 1
        self.interval_s = min(self._ceiling, max(2 * self.interval_s, 0.05))
        pause = min(max(wait_s, self.interval_s), self._ceiling)
        self._held_until = max(self._held_until, self._clock() + pause)

    def check(self) -> None:
        """Raise when the circuit is open.

        Raises:
            CircuitOpenError: it is.
        """
        if self.refusals >= self._breaker:
            raise CircuitOpenError(
                "fetch",
                "a host that answers",
                f"{self.refusals} refusals in a row",
                "Stopped so as not to be shut out for longer; all that came is kept. Try again in "
                "some hours with --retry bot, from a mirror (fetch.have), or with your own cookies "
                "file (fetch.youtube.cookies).",
            )


class StopLoss:
    """End a run in which more than a share of the last items failed.

    Args:
        limit: the share of failures, 0..1, that is still borne; 1 never stops.
        window: over how many of the last items; nothing is judged before a quarter of them.
    """

    def __init__(self, limit: float, window: int = 200) -> None:
        self._limit, self._window = limit, window
        self._failed: deque[bool] = deque(maxlen=window)

    def add(self, status: str) -> None:
        """Count one outcome.

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
                "Look at the ledger's reasons; then mend the cause or raise fetch.stop_loss.",
            )
