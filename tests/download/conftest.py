from collections.abc import Iterator

import pytest

from tests.helpers.local_host import Host, RunningHost


@pytest.fixture
def host() -> Iterator[Host]:
    with RunningHost(Host()) as running:
        yield running
