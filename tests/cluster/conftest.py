"""A Ray cluster of several nodes on this machine."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Start a head that works on nothing and two nodes of one CPU each; join them."""
    import ray
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        started.nodes = [started.add_node(num_cpus=1) for _ in range(2)]
        ray.init(started.address, log_to_driver=False, logging_level="error")
        yield started
    finally:
        ray.shutdown()
        started.shutdown()
