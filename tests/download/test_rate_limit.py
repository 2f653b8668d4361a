"""Spacing, slowing down, recovering, breaking the circuit; on a clock of the test's own."""

import pytest

from avsynth.download.rate_limit import CircuitOpenError, Governor, StopLoss
from avsynth.runtime.errors import DropLimitError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_turns_are_spaced() -> None:
    governor = Governor(3.0, clock=Clock())
    assert [governor.reserve() for _ in range(4)] == [0, 3, 6, 9]


def test_time_that_passed_counts() -> None:
    clock = Clock()
    governor = Governor(3.0, clock=clock)
    governor.reserve()
    clock.now += 10
    assert [governor.reserve() for _ in range(2)] == [0, 3]


def test_a_refusal_doubles_the_interval_and_holds_everybody() -> None:
    clock = Clock()
    governor = Governor(3.0, clock=clock)
    governor.refused(wait_s=60)
    assert governor.interval_s == 6
    assert [governor.reserve() for _ in range(2)] == [60, 66]


def test_the_interval_recovers_slowly_and_never_below_its_floor() -> None:
    governor = Governor(3.0, clock=Clock())
    governor.refused()
    governor.refused()
    assert governor.interval_s == 12
    governor.content()
    assert governor.interval_s == pytest.approx(10.8)
    for _ in range(100):
        governor.content()
    assert governor.interval_s == 3.0


def test_the_interval_has_a_ceiling() -> None:
    governor = Governor(3.0, max_interval_s=20, breaker=99, clock=Clock())
    for _ in range(10):
        governor.refused(wait_s=10_000)
    assert governor.interval_s == 20
    assert governor.reserve() == 20


def test_refusals_in_a_row_open_the_circuit_and_one_success_closes_the_count() -> None:
    governor = Governor(0.0, breaker=3, clock=Clock())
    for _ in range(2):
        governor.refused()
    governor.content()
    for _ in range(2):
        governor.refused()
    governor.check()
    governor.refused()
    with pytest.raises(CircuitOpenError, match="3 refusals in a row"):
        governor.check()


def test_no_spacing_means_no_waiting() -> None:
    governor = Governor(0.0, clock=Clock())
    assert [governor.reserve() for _ in range(100)] == [0] * 100


def test_stop_loss_waits_for_evidence_and_then_stops() -> None:
    loss = StopLoss(0.5, window=200)
    for _ in range(49):
        loss.add("gone")
    with pytest.raises(DropLimitError, match=r"50 of the last 50 items failed, the last as 'geo'"):
        loss.add("geo")


def test_stop_loss_bears_what_it_is_told_to_bear() -> None:
    loss = StopLoss(0.5, window=200)
    for n in range(2000):
        loss.add("gone" if n % 2 else "ok")
    every = StopLoss(1.0)
    for _ in range(2000):
        every.add("transient")


def test_stop_loss_looks_at_the_last_items_only() -> None:
    loss = StopLoss(0.5, window=200)
    for _ in range(10_000):
        loss.add("ok")
    with pytest.raises(DropLimitError):
        for _ in range(101):
            loss.add("transient")
