"""The probe of listed videos: real workers against a local host with every kind of response."""

from collections import Counter
from pathlib import Path

import pytest

from avsynth.building.new_project import init_project
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.download.items import Item
from avsynth.download.probe import Probe, probe_clips, read_probe, summarise, wilson
from avsynth.download.requirements import DownloadBatch, Request, make_request
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.options import Runtime
from tests.helpers.local_host import Host


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Computed by hand from the formula, to four digits.
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (8, 10, 0.4902, 0.9433),
        (400, 500, 0.7627, 0.8327),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=6e-5)


def test_robot_checks_are_excluded_from_the_live_share() -> None:
    probed = summarise(Counter(ok=80, gone=15, private=5, bot=300, transient=7), stopped=False)
    assert (probed.asked, probed.live) == (407, 0.8)
    assert (probed.low, probed.high) == pytest.approx(wilson(80, 100))
    robot_checks = summarise(Counter(bot=50), stopped=True)
    assert (robot_checks.live, robot_checks.low, robot_checks.high) == (0.0, 0.0, 1.0)


def request_for(host: Host, root: Path, *, accept: bool = True) -> Request:
    init_project(root, "toy")
    raw = load_params(root).model_dump()
    raw["fetch"] |= {"mirrors": {"https://www.youtube.com": host.url}}
    raw["fetch"]["youtube"] |= {"accept_terms": accept, "interval_s": 0.0}
    params = type(load_params(root)).model_validate(raw)
    return make_request(params, Layout(root), Runtime(workers=2, quiet=True))


def make_batch(root: Path, count: int) -> DownloadBatch:
    url = "https://www.youtube.com/watch?v="
    items = [
        Item(f"{n:011d}_000000", f"{url}{n:011d}", f"{n}.flac", start_s=0) for n in range(count)
    ]
    return DownloadBatch("clips", root / "audio", items)


def test_probe_requests_a_sample_and_downloads_nothing(host: Host, tmp_path: Path) -> None:
    (tmp_path / "p/audio").mkdir(parents=True)
    request, batch = request_for(host, tmp_path / "p"), make_batch(tmp_path / "p", 40)
    for n in range(0, 40, 2):
        host.files[f"/watch?v={n:011d}"] = b"\x00\x00\x00 ftypisom" + bytes(1000)
    host.misbehave("/watch?v=00000000001", *["status=429"] * 9)
    found = probe_clips(batch, request, 24)
    assert found.asked == 24 == sum(found.counts.values())
    assert found.counts["ok"] + found.counts["gone"] + found.counts.get("bot", 0) == 24
    assert found.low < found.live < found.high
    assert read_probe(batch.root) == found
    assert [p.name for p in batch.root.iterdir()] == [".fetch"]
    assert len(host.requests) == 24, "no video is requested twice"


def test_probe_requires_accepted_terms(host: Host, tmp_path: Path) -> None:
    request = request_for(host, tmp_path / "p", accept=False)
    with pytest.raises(ConfigError, match="accept_terms"):
        probe_clips(make_batch(tmp_path, 3), request, 3)
    assert host.requests.total() == 0


def test_an_absent_or_damaged_probe_is_none(tmp_path: Path) -> None:
    assert read_probe(tmp_path) is None
    (tmp_path / ".fetch").mkdir()
    (tmp_path / ".fetch/probe.json").write_text('{"asked": 3')
    assert read_probe(tmp_path) is None
    assert Probe(1, {"ok": 1}, 1.0, 0.2, 1.0, False).live == 1.0
