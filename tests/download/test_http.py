"""The real client against a local server with every failure of real hosts."""

import asyncio
import hashlib
import os
import resource
import signal
from collections.abc import Awaitable
from pathlib import Path

import pytest

from avsynth.download.http import Web, WebSettings
from avsynth.download.http_responses import parse_retry_after
from avsynth.download.items import Item, Outcome
from avsynth.download.rate_limit import CircuitOpenError
from avsynth.runtime.errors import DataError, SpaceError
from tests.helpers.local_host import Host

SETTINGS = WebSettings(attempts=3, timeout_s=1.0, backoff_s=0.01)
BIG = os.urandom(5 << 20)


def download(item: Item, root: Path, settings: WebSettings = SETTINGS) -> Outcome:
    async def run() -> Outcome:
        async with Web(settings) as web:
            return await web.download(item, root)

    return asyncio.run(run())


def hidden(root: Path) -> list[str]:
    return sorted(p.name for p in root.rglob(".*"))


def test_downloads_a_small_file_with_its_hash(host: Host, tmp_path: Path) -> None:
    host.files["/a/b.bin"] = b"sound" * 100
    digest = "md5:" + hashlib.md5(b"sound" * 100).hexdigest()
    item = Item("b", f"{host.url}/a/b.bin", "deep/b.bin", bytes=500, digest=digest)
    outcome = download(item, tmp_path)
    assert outcome == Outcome("ok", "", 500, hashlib.sha256(b"sound" * 100).hexdigest(), attempts=1)
    assert (tmp_path / "deep/b.bin").read_bytes() == b"sound" * 100
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("status=404", "gone"),
        ("status=410", "gone"),
        ("status=401", "private"),
        ("status=403", "private"),
        ("status=451", "geo"),
    ],
)
def test_a_permanent_failure_is_not_retried(
    host: Host, tmp_path: Path, fault: str, status: str
) -> None:
    host.misbehave("/x", fault)
    outcome = download(Item("x", f"{host.url}/x", "x"), tmp_path)
    assert (outcome.status, outcome.attempts, host.requests["/x"]) == (status, 1, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["status=500", "status=503,0", "cut=0.3", "silent=3"])
def test_a_temporary_fault_is_retried(host: Host, tmp_path: Path, fault: str) -> None:
    host.files["/x"] = b"x" * 1000
    host.misbehave("/x", fault)
    outcome = download(Item("x", f"{host.url}/x", "x"), tmp_path)
    assert (outcome.status, outcome.attempts) == ("ok", 2)
    assert (tmp_path / "x").read_bytes() == b"x" * 1000


def test_a_persistent_server_error_is_transient(host: Host, tmp_path: Path) -> None:
    host.misbehave("/x", *["status=500"] * 5)
    outcome = download(Item("x", f"{host.url}/x", "x"), tmp_path)
    assert (outcome.status, outcome.reason, outcome.attempts) == ("transient", "HTTP 500", 3)
    assert host.requests["/x"] == 3


def test_retry_after_is_obeyed(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits, sleep = [], asyncio.sleep

    def noted(seconds: float) -> Awaitable[None]:
        waits.append(seconds)
        return sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", noted)
    host.files["/x"] = b"x"
    host.misbehave("/x", "status=429,1")
    assert download(Item("x", f"{host.url}/x", "x"), tmp_path).status == "ok"
    assert host.requests["/x"] == 2
    assert 0.1 < max(waits) <= 1.0, "the host's second, not the client's 0.01 s"


def test_retry_after_parses_seconds_dates_and_invalid_values() -> None:
    now = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
    assert parse_retry_after("7", now) == 7
    assert parse_retry_after("Tue, 14 Nov 2023 22:13:50 GMT", now) == 30
    assert parse_retry_after("Tue, 14 Nov 2023 22:00:00 GMT", now) == 0
    assert parse_retry_after("99999", now) == 600
    assert parse_retry_after("soon", now) == parse_retry_after("", now) == 0


def test_a_large_file_resumes_after_an_interruption(host: Host, tmp_path: Path) -> None:
    host.files["/big"] = BIG
    host.misbehave("/big", "cut=0.6")
    outcome = download(Item("big", f"{host.url}/big", "big"), tmp_path)
    assert (outcome.status, outcome.attempts) == ("ok", 2)
    assert outcome.sha256 == hashlib.sha256(BIG).hexdigest()
    (_, first), (_, second) = host.ranges
    assert first == ""
    assert int(second.removeprefix("bytes=").rstrip("-")) > 2 << 20, second
    assert hidden(tmp_path) == []


def test_a_later_run_resumes_an_earlier_download(host: Host, tmp_path: Path) -> None:
    host.files["/big"] = BIG
    host.misbehave("/big", "cut=0.6")
    item = Item("big", f"{host.url}/big", "big")
    once = WebSettings(attempts=1, timeout_s=1.0)
    assert download(item, tmp_path, once).status == "transient"
    assert hidden(tmp_path) == [".big.etag", ".big.part"]
    assert download(item, tmp_path, once).status == "ok"
    assert host.ranges[1][1] != ""
    assert (tmp_path / "big").read_bytes() == BIG


def test_a_changed_file_is_downloaded_from_the_start(host: Host, tmp_path: Path) -> None:
    host.files["/big"] = BIG
    host.misbehave("/big", "cut=0.6")
    item = Item("big", f"{host.url}/big", "big")
    download(item, tmp_path, WebSettings(attempts=1, timeout_s=1.0))
    host.files["/big"] = BIG[::-1]
    assert download(item, tmp_path).status == "ok"
    assert (tmp_path / "big").read_bytes() == BIG[::-1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"digest": "md5:" + "0" * 32}, "md5 is"),
        ({"digest": "sha256:00000000"}, "sha256 is"),
        ({"bytes": 7}, "6 bytes"),
        ({"target": "x.jpg"}, "does not begin like a .jpg file"),
    ],
)
def test_a_file_unlike_its_published_facts_is_rejected(
    host: Host, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    host.files["/x"] = b"<html>"
    fields = {"item_id": "x", "url": f"{host.url}/x", "target": "x"} | changes
    outcome = download(Item(**fields), tmp_path)  # type: ignore[arg-type]
    assert outcome.status == "corrupt"
    assert outcome.reason.startswith(reason)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_large_corrupt_file_is_deleted(host: Host, tmp_path: Path) -> None:
    host.files["/big"] = BIG
    item = Item("big", f"{host.url}/big", "big", digest="sha256:abcd")
    assert download(item, tmp_path).status == "corrupt"
    assert list(tmp_path.iterdir()) == []


def test_google_checksum_header_is_checked(host: Host, tmp_path: Path) -> None:
    host.files["/x"] = b"sound"
    host.misbehave("/x", "google=another file", "google=another file", "google=another file")
    outcome = download(Item("x", f"{host.url}/x", "x"), tmp_path)
    assert (outcome.status, outcome.reason[:6]) == ("corrupt", "md5 is")
    host.misbehave("/x", "google")
    assert download(Item("x", f"{host.url}/x", "x"), tmp_path).status == "ok"


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x", "gopher://x"]
)
def test_a_redirect_to_another_scheme_is_refused(host: Host, tmp_path: Path, location: str) -> None:
    host.misbehave("/x", f"redirect={location}")
    outcome = download(Item("x", f"{host.url}/x", "x"), tmp_path)
    assert outcome.status == "corrupt"
    assert "refused a redirect" in outcome.reason
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_on_the_same_host_is_followed_and_a_loop_is_not(
    host: Host, tmp_path: Path
) -> None:
    host.files["/there"] = b"found"
    host.misbehave("/x", "redirect=/there")
    assert download(Item("x", f"{host.url}/x", "x"), tmp_path).status == "ok"
    host.misbehave("/loop", *["redirect=/loop"] * 20)
    outcome = download(Item("l", f"{host.url}/loop", "l"), tmp_path)
    assert (outcome.status, outcome.reason) == ("corrupt", "more than 5 redirects")


def test_a_host_that_refuses_every_request_opens_the_circuit(host: Host, tmp_path: Path) -> None:
    host.misbehave("*", *["status=429,0"] * 500)
    settings = WebSettings(attempts=100, timeout_s=1.0, connections=1)

    with pytest.raises(CircuitOpenError, match="32 refusals in a row"):
        asyncio.run(_hammer(host, tmp_path, settings))


async def _hammer(host: Host, root: Path, settings: WebSettings) -> None:
    async with Web(settings) as web:
        limiter = web._limiter(host.url)
        limiter._max_interval_s = (
            0.001  # the waits are tested with a fake clock in test_rate_limit.py
        )
        await web.download(Item("x", f"{host.url}/x", "x"), root)


@pytest.mark.parametrize("target", ["../x", "/etc/x", "a/../../x", "", "a\\..\\x", "a\nb"])
def test_no_item_writes_outside_its_folder(host: Host, tmp_path: Path, target: str) -> None:
    host.files["/x"] = b"x"
    root = tmp_path / "root"
    with pytest.raises(DataError, match="stays inside"):
        download(Item("x", f"{host.url}/x", target), root)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_body_is_aborted(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avsynth.download.http.MAX_UNANNOUNCED_BYTES", 3 << 20)
    host.misbehave("/x", "endless")
    outcome = download(Item("x", f"{host.url}/x", "x"), tmp_path)
    assert (outcome.status, outcome.attempts) == ("corrupt", 1)
    assert "announced: None" in outcome.reason
    assert not (tmp_path / "x").exists()


def test_a_full_disk_ends_the_run_and_keeps_the_partial_file(host: Host, tmp_path: Path) -> None:
    host.files["/big"] = BIG
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, old[1]))
    try:
        with pytest.raises(SpaceError, match=r"File too large.*Free some space"):
            download(Item("big", f"{host.url}/big", "big"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert hidden(tmp_path) == [".big.etag", ".big.part"]
    assert download(Item("big", f"{host.url}/big", "big"), tmp_path).status == "ok"
    assert (tmp_path / "big").read_bytes() == BIG
    assert host.ranges[-1][1] == f"bytes={2 << 20}-"


@pytest.mark.parametrize("size", [10 * 10**12, 10**18])
def test_a_length_beyond_any_file_is_an_outcome_of_its_item(
    host: Host, tmp_path: Path, size: int
) -> None:
    host.misbehave("/x", f"huge={size}")
    outcome = download(Item("x", f"{host.url}/x", "x"), tmp_path)
    assert (outcome.status, outcome.attempts) == ("corrupt", 1)


def test_headers_that_drip_have_a_deadline(host: Host, tmp_path: Path) -> None:
    host.misbehave("/x", "drip")
    host.files["/x"] = b"sound"
    settings = WebSettings(attempts=2, timeout_s=0.3, backoff_s=0.01)
    outcome = download(Item("x", f"{host.url}/x", "x"), tmp_path, settings)
    assert (outcome.status, outcome.attempts) == ("ok", 2)


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://[zz]/x", "http://a:99999999/x", "http:///x", "http://\udcff/x", "http://x..y/x",
     f"http://{'a' * 300}/x"],
)  # fmt: skip
def test_a_url_that_is_none_is_an_outcome_of_its_item(tmp_path: Path, url: str) -> None:
    settings = WebSettings(attempts=1, timeout_s=0.5)
    outcome = download(Item("x", url, "x"), tmp_path, settings)
    assert outcome.status in {"corrupt", "transient"}


def test_a_file_larger_than_the_disk_is_not_started(host: Host, tmp_path: Path) -> None:
    host.misbehave("/x", f"huge={10**12}")
    with pytest.raises(SpaceError, match="bytes needed"):
        download(Item("x", f"{host.url}/x", "x"), tmp_path)


def test_connections_are_bounded(host: Host, tmp_path: Path) -> None:
    for n in range(60):
        host.files[f"/{n}"] = b"x"

    async def run() -> None:
        async with Web(WebSettings(connections=4)) as web:
            jobs = (
                web.download(Item(str(n), f"{host.url}/{n}", str(n)), tmp_path) for n in range(60)
            )
            assert {o.status for o in await asyncio.gather(*jobs)} == {"ok"}

    asyncio.run(run())
    assert 1 <= host.most_open <= 4
