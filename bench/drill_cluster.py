"""Test of a node failure during a build: ``python -m bench.drill_cluster``.

It writes a toy world, builds it on this machine, then on a Ray cluster of a head and three nodes of
one CPU each, and kills one node with SIGKILL once the first shards are finished. It prints the
events with times, how many shards were started more than once, and whether the bytes are the same.
The exit code is 1 if they are not.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
SCALE = 0.5
STAGING = Path("data/shards/.staging/avs-synthetic")
SETTINGS = ("-S", "fetch.sources=[]", "-S", "shard.samples_per_shard=20", "--quiet")
BEGUN = time.monotonic()


def log(what: str) -> None:
    """Print a line of the transcript."""
    print(f"{time.monotonic() - BEGUN:6.1f} s  {what}", flush=True)


def build(root: Path, address: str, *options: str) -> subprocess.Popen[str]:
    """Start a build with the command line."""
    command = [sys.executable, "-m", "avsynth", "build", "--root", str(root), *SETTINGS, *options]
    environment = {**os.environ, "RAY_ADDRESS": address, "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def relay(process: subprocess.Popen[str], name: str) -> threading.Thread:
    """Print the messages of a build with the time."""

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            log(f"{name}: {line.rstrip()}")

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def record_attempts(staging: Path, attempts: dict[str, set[str]]) -> int:
    """Record the current attempts by shard; return the number of finished shards."""
    for folder in staging.glob("tmp*"):
        for tar in folder.glob("*.tar*"):
            attempts.setdefault(tar.name.partition(".")[0], set()).add(folder.name)
    return len(list(staging.glob("*.tar")))


def digests(root: Path) -> dict[str, str]:
    """Hash the files of a finished build."""
    folders = (root / "data" / "shards" / "avs-synthetic", root / "data" / "interim")
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for folder in folders
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def on_a_cluster(root: Path) -> dict[str, set[str]]:
    """Build on a cluster and kill one node during the build; return the attempts by shard."""
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    attempts: dict[str, set[str]] = {}
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
        for node in nodes:
            log(f"node {node.node_id[:8]} with one CPU has joined")
        process = build(root, cluster.address, "--executor", "ray")
        talk, alive = relay(process, "cluster"), True
        while process.poll() is None:
            finished = record_attempts(root / STAGING, attempts)
            if alive and finished >= 6:
                log(f"{finished} shards are finished: node {nodes[0].node_id[:8]} is killed")
                cluster.remove_node(nodes[0], allow_graceful=False)
                alive = False
            time.sleep(0.005)
        talk.join()
        assert process.returncode == 0, "the build failed"
        assert not alive, "the build ended before a node was killed"
    finally:
        cluster.shutdown()
    return attempts


def main() -> int:
    """Run the drill."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from avsynth.building.new_project import init_project
    from avsynth.toy import write_toy_world

    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        one, many = Path(name) / "one", Path(name) / "many"
        for root in (one, many):
            init_project(root, "toy")
        write_toy_world(one / "data" / "raw", scale=SCALE)
        shutil.copytree(one / "data" / "raw", many / "data" / "raw", copy_function=os.link)
        alone = build(one, "")
        relay(alone, "alone").join()
        alone.wait()
        attempts = on_a_cluster(many)
        again = sum(len(folders) > 1 for folders in attempts.values())
        expected, found = digests(one), digests(many)
        shards = sum(file.endswith(".tar") for file in expected)
        log(f"{shards} shards; begun more than once: {again}")
        same = bool(expected) and expected == found
        log(f"{len(expected)} files, bytes of one machine: {'the same' if same else 'DIFFERENT'}")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
