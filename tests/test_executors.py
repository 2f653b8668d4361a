import os
import time

import pytest

from avsynth.config import Runtime
from avsynth.errors import DataError
from avsynth.executors import map_items

SERIAL, PROCESSES = Runtime(), Runtime(workers=2, executor="process")


def square_slowly(x: int) -> int:
    time.sleep(0.01 * (x % 3))
    return x * x


def where(x: int) -> int:
    return os.getpid()


def fail_at_five(x: int) -> int:
    if x == 5:
        raise DataError("here", "a number below 5", str(x), "Mend it.")
    return x


@pytest.mark.parametrize("runtime", [SERIAL, PROCESSES])
def test_results_come_in_the_order_of_the_items(runtime: Runtime):
    assert list(map_items(square_slowly, range(30), runtime)) == [x * x for x in range(30)]


def test_more_workers_are_more_processes():
    assert set(map_items(where, range(5), SERIAL)) == {os.getpid()}
    assert os.getpid() not in set(map_items(where, range(5), PROCESSES))


@pytest.mark.parametrize("runtime", [SERIAL, PROCESSES])
def test_an_error_crosses_the_process_whole_at_its_items_turn(runtime: Runtime):
    done = []
    with pytest.raises(DataError, match=r"here: expected a number below 5; found 5\. Mend it\."):
        done.extend(map_items(fail_at_five, range(30), runtime))
    assert done == [0, 1, 2, 3, 4]


def test_items_are_taken_as_they_are_needed():
    taken = []

    def items():
        for x in range(1000):
            taken.append(x)
            yield x

    results = map_items(square_slowly, items(), PROCESSES)
    assert next(results) == 0
    assert len(taken) < 50
    results.close()
