"""Benchmark of many small downloads, compared with raw sockets and with a thread pool.

The host is a separate process that serves files from memory, with COCO's size distribution
(log-normal, mean 160 kB) or of a few kB. Its own pace is the rate at which ``CONNECTIONS`` raw
sockets can read and discard the files. Peer: the method of img2dataset (a thread pool of urllib
requests, each file written to disk). Ours also hashes every file, renames it into place and keeps
a ledger.

Run: ``python -m bench.fetch [--files 5000] [--bytes 160000]``. Rounds are interleaved.
"""

import argparse
import asyncio
import hashlib
import io
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image

from avsynth.download.http import Web, WebSettings
from avsynth.download.items import Item, Outcome
from avsynth.download.ledger import Ledger
from avsynth.download.rate_limit import StopLoss
from avsynth.download.worker_pool import run_jobs
from bench.rows import Row, record

CONNECTIONS = 16
FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""In memory, so that the transfer is measured and not the disk."""
ROUNDS = 3
GOAL = 0.9


def main() -> int:
    """Print rates and ratios; return 0 if ours reaches the goal, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--bytes", type=int, default=160_000)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="delay of each response")
    arguments = parser.parse_args()
    sizes = sample_sizes(arguments.files, arguments.bytes)
    ours_end, theirs_end = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    host = context.Process(
        target=serve, args=(sizes, arguments.delay_ms / 1e3, theirs_end), daemon=True
    )
    host.start()
    port = ours_end.recv()
    methods: dict[str, Callable[[int, list[int], Path], None]] = {
        "host's own pace": read_raw,
        "threads + urllib": download_with_threads,
        "ours": download_with_stage,
    }
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(ROUNDS):
        for name, method in methods.items():
            with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
                begun = time.perf_counter()
                method(port, sizes, Path(folder))
                seconds[name].append(time.perf_counter() - begun)
    host.terminate()
    total = sum(sizes)
    print(f"{len(sizes)} files, {total / 1e6:.0f} MB, {CONNECTIONS} connections")
    print(f"{'way':20}{'s (median)':>12}{'files/s':>10}{'MB/s':>8}{'of pace':>9}  rounds")
    for name, took in seconds.items():
        median = statistics.median(took)
        ratios = [a / b for a, b in zip(seconds["host's own pace"], took, strict=True)]
        rounds = " ".join(f"{r:.2f}" for r in ratios)
        print(
            f"{name:20}{median:12.2f}{len(sizes) / median:10.0f}{total / median / 1e6:8.0f}"
            f"{statistics.median(ratios):9.2f}  {rounds}"
        )
    took = zip(
        seconds["host's own pace"], seconds["threads + urllib"], seconds["ours"], strict=True
    )
    pace, threads = zip(*((raw / ours, peer / ours) for raw, peer, ours in took), strict=True)
    record(Row("fetch", "files over HTTP vs the host's own pace", pace, GOAL))
    record(Row("fetch", "files over HTTP vs threads and urllib", threads))
    return 0 if statistics.median(pace) >= GOAL else 1


def sample_sizes(files: int, mean_bytes: int) -> list[int]:
    """Sample file sizes: log-normal with the spread of COCO's images."""
    rng = np.random.default_rng(0)
    drawn = rng.lognormal(0.0, 0.5, files)
    return [max(1000, int(x)) for x in drawn / drawn.mean() * mean_bytes]


def serve(sizes: list[int], delay_s: float, pipe: Connection) -> None:
    """Serve /<n> from memory, with ETag and keep-alive, until killed."""
    asyncio.run(_serve(sizes, delay_s, pipe))


def _small_jpeg() -> bytes:
    """Return a JPEG of less than 1,000 bytes: fetch refuses files that do not decode."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG")
    return buffer.getvalue()


async def _serve(sizes: list[int], delay_s: float, pipe: Connection) -> None:
    content = memoryview(_small_jpeg().ljust(max(sizes), b"\0"))

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                number = int(line.split()[1][1:])
                while await reader.readline() not in {b"\r\n", b""}:
                    pass
                if delay_s:
                    await asyncio.sleep(delay_s)
                size = sizes[number]
                head = f'HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: "{number}"\r\n\r\n'
                writer.write(head.encode())
                writer.write(content[:size])
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def read_raw(port: int, sizes: list[int], folder: Path) -> None:
    """Read all files over raw sockets and discard them."""
    numbers = iter(range(len(sizes)))

    def work(_: int) -> None:
        buffer = bytearray(1 << 20)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for number in numbers:
                connection.sendall(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                got = connection.recv(65536)
                left = len(got.partition(b"\r\n\r\n")[2]) - sizes[number]
                while left < 0:
                    left += connection.recv_into(buffer)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(work, range(CONNECTIONS)))


def download_with_threads(port: int, sizes: list[int], folder: Path) -> None:
    """Download as img2dataset does: a thread pool, one urllib request per file."""

    def one(number: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=30) as respond:
            body = respond.read()
        hashlib.sha256(body).hexdigest()
        (folder / f"{number}.jpg").write_bytes(body)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(one, range(len(sizes))))


def download_with_stage(port: int, sizes: list[int], folder: Path) -> None:
    """Download as the fetch stage does."""
    url = f"http://127.0.0.1:{port}"
    items = [Item(str(n), f"{url}/{n}", f"{n}.jpg") for n in range(len(sizes))]

    async def download(web: Web, item: Item) -> list[tuple[Item, Outcome]]:
        return [(item, await web.download(item, folder))]

    async def run() -> None:
        with Ledger(folder, "images") as ledger:
            async with Web(WebSettings(connections=CONNECTIONS)) as web:
                jobs = [partial(download, web, item) for item in items]
                await run_jobs(jobs, ledger, concurrency=CONNECTIONS, stop_loss=StopLoss(0.5))
            assert all(row.status == "ok" for row in ledger.rows.values())

    asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
