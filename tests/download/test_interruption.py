"""kill -9 and Ctrl-C during a real run in a separate process."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avsynth.download.ledger import read_ledger
from avsynth.runtime.options import Runtime
from tests.helpers.local_host import Host

FILES = 120
RUN = """
import asyncio, signal, sys
from pathlib import Path
from functools import partial
from avsynth.download.worker_pool import run_jobs, select_items
from avsynth.download.rate_limit import StopLoss
from avsynth.download.http import Web, WebSettings
from avsynth.download.items import Item
from avsynth.download.ledger import Ledger

signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup ignores it
url, root, files = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

async def one(web, item):
    return [(item, await web.download(item, root))]

async def main():
    items = [Item(f"{n:04d}", f"{url}/{n:04d}", f"images/{n:04d}") for n in range(files)]
    items.append(Item("big", f"{url}/big", "big"))
    with Ledger(root, "k") as ledger:
        async with Web(WebSettings(connections=4)) as web:
            jobs = [partial(one, web, item) for item in select_items(items, ledger, ())]
            await run_jobs(jobs, ledger, concurrency=4, stop_loss=StopLoss(1.0))

asyncio.run(main())
"""


@pytest.fixture
def slow(host: Host) -> Host:
    host.files = {f"/{n:04d}": b"%04d" % n * 500 for n in range(FILES)}
    host.files["/big"] = bytes(6 << 20)
    host.delay_s = 0.05
    return host


def start(host: Host, root: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", RUN, host.url, str(root), str(FILES)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def wait_for_rows(root: Path, count: int) -> None:
    for _ in range(600):
        if len(read_ledger(root, "k")) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("nothing was fetched")


def finish(host: Host, root: Path) -> None:
    process = start(host, root)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()


def check_complete(host: Host, root: Path) -> None:
    rows = read_ledger(root, "k")
    assert len(rows) == FILES + 1
    assert {row.status for row in rows.values()} == {"ok"}
    for n in range(FILES):
        assert (root / f"images/{n:04d}").read_bytes() == host.files[f"/{n:04d}"]
    assert not list(root.rglob("*.part"))


def test_kill_9_loses_no_finished_file(slow: Host, tmp_path: Path) -> None:
    process = start(slow, tmp_path)
    wait_for_rows(tmp_path, 30)
    process.kill()
    process.communicate()
    done = read_ledger(tmp_path, "k")
    assert 30 <= len(done) < FILES
    finish(slow, tmp_path)
    check_complete(slow, tmp_path)
    again = [path for path, count in slow.requests.items() if count > 1]
    assert len(again) <= 4, "only unfinished files are requested twice"
    assert not [path for path in again if path.strip("/") in done]


def test_ctrl_c_does_not_wait_for_answers_and_loses_nothing(slow: Host, tmp_path: Path) -> None:
    process = start(slow, tmp_path)
    wait_for_rows(tmp_path, 30)
    slow.delay_s = 30.0  # open requests would take half a minute
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)  # less than the answers in flight would take
    assert b"KeyboardInterrupt" in errors
    done = read_ledger(tmp_path, "k")
    assert (tmp_path / ".fetch/k.parquet").exists(), "the journal was merged at exit"
    for row in done.values():
        assert (tmp_path / row.target).stat().st_size == row.bytes
    slow.delay_s = 0.0
    finish(slow, tmp_path)
    check_complete(slow, tmp_path)


def test_no_network_client_is_imported_early() -> None:
    """Check that fetch, plan and check import no client before they need it."""
    code = "import sys, avsynth.pipelines.fetch, avsynth.commands.plan, avsynth.commands.check\n"
    code += (
        "print([m for m in ('aiohttp', 'yt_dlp', 'imageio_ffmpeg', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
    assert Runtime().workers == 1
