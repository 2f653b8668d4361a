"""Spacing, backoff, recovery and the circuit breaker, with a fake clock."""

import pytest

from avsynth.download.rate_limit import CircuitOpenError, RateLimiter, StopLoss
from avsynth.runtime.errors import DropLimitError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_requests_are_spaced() -> None:
    limiter = RateLimiter(3.0, clock=Clock())
    assert [limiter.reserve() for _ in range(4)] == [0, 3, 6, 9]


def test_elapsed_time_counts() -> None:
    clock = Clock()
    limiter = RateLimiter(3.0, clock=clock)
    limiter.reserve()
    clock.now += 10
    assert [limiter.reserve() for _ in range(2)] == [0, 3]


def test_a_refusal_doubles_the_interval_and_pauses_all_workers() -> None:
    clock = Clock()
    limiter = RateLimiter(3.0, clock=clock)
    limiter.on_refusal(wait_s=60)
    assert limiter.interval_s == 6
    assert [limiter.reserve() for _ in range(2)] == [60, 66]


def test_the_interval_recovers_slowly_down_to_its_minimum() -> None:
    limiter = RateLimiter(3.0, clock=Clock())
    limiter.on_refusal()
    limiter.on_refusal()
    assert limiter.interval_s == 12
    limiter.on_success()
    assert limiter.interval_s == pytest.approx(10.8)
    for _ in range(100):
        limiter.on_success()
    assert limiter.interval_s == 3.0


def test_the_interval_has_a_maximum() -> None:
    limiter = RateLimiter(3.0, max_interval_s=20, max_refusals=99, clock=Clock())
    for _ in range(10):
        limiter.on_refusal(wait_s=10_000)
    assert limiter.interval_s == 20
    assert limiter.reserve() == 20


def test_refusals_in_a_row_open_the_circuit_and_a_success_resets_the_count() -> None:
    limiter = RateLimiter(0.0, max_refusals=3, clock=Clock())
    for _ in range(2):
        limiter.on_refusal()
    limiter.on_success()
    for _ in range(2):
        limiter.on_refusal()
    limiter.check()
    limiter.on_refusal()
    with pytest.raises(CircuitOpenError, match="3 refusals in a row"):
        limiter.check()


def test_no_spacing_means_no_waiting() -> None:
    limiter = RateLimiter(0.0, clock=Clock())
    assert [limiter.reserve() for _ in range(100)] == [0] * 100


def test_stop_loss_stops_after_a_quarter_of_the_window() -> None:
    loss = StopLoss(0.5, window=200)
    for _ in range(49):
        loss.add("gone")
    with pytest.raises(DropLimitError, match=r"50 of the last 50 items failed, the last as 'geo'"):
        loss.add("geo")


def test_stop_loss_allows_failures_up_to_its_limit() -> None:
    loss = StopLoss(0.5, window=200)
    for n in range(2000):
        loss.add("gone" if n % 2 else "ok")
    every = StopLoss(1.0)
    for _ in range(2000):
        every.add("transient")


def test_stop_loss_counts_the_last_items_only() -> None:
    loss = StopLoss(0.5, window=200)
    for _ in range(10_000):
        loss.add("ok")
    with pytest.raises(DropLimitError):
        for _ in range(101):
            loss.add("transient")
