"""How many videos are still there: real workers against a host that says so in every way."""

from collections import Counter
from pathlib import Path

import pytest

from avsynth.building.new_project import init_project
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.download.items import Item
from avsynth.download.probe import Probe, probe_clips, read_probe, summarise, wilson
from avsynth.download.requirements import Parcel, Wish, wish
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.options import Runtime
from tests.helpers.local_host import Host


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Worked out by hand from the formula, to four digits.
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


def test_a_wall_says_nothing_about_the_video() -> None:
    told = summarise(Counter(ok=80, gone=15, private=5, bot=300, transient=7), stopped=False)
    assert (told.asked, told.live) == (407, 0.8)
    assert (told.low, told.high) == pytest.approx(wilson(80, 100))
    walls = summarise(Counter(bot=50), stopped=True)
    assert (walls.live, walls.low, walls.high) == (0.0, 0.0, 1.0)


def make_wish(host: Host, root: Path, *, accept: bool = True) -> Wish:
    init_project(root, "toy")
    raw = load_params(root).model_dump()
    raw["fetch"] |= {"mirrors": {"https://www.youtube.com": host.url}}
    raw["fetch"]["youtube"] |= {"accept_terms": accept, "interval_s": 0.0}
    params = type(load_params(root)).model_validate(raw)
    return wish(params, Layout(root), Runtime(workers=2, quiet=True))


def make_parcel(root: Path, count: int) -> Parcel:
    url = "https://www.youtube.com/watch?v="
    items = [
        Item(f"{n:011d}_000000", f"{url}{n:011d}", f"{n}.flac", start_s=0) for n in range(count)
    ]
    return Parcel("clips", root / "audio", items)


def test_probe_asks_for_a_sample_and_fetches_nothing(host: Host, tmp_path: Path) -> None:
    (tmp_path / "p/audio").mkdir(parents=True)
    wished, parcel = make_wish(host, tmp_path / "p"), make_parcel(tmp_path / "p", 40)
    for n in range(0, 40, 2):
        host.files[f"/watch?v={n:011d}"] = b"\x00\x00\x00 ftypisom" + bytes(1000)
    host.misbehave("/watch?v=00000000001", *["status=429"] * 9)
    found = probe_clips(parcel, wished, 24)
    assert found.asked == 24 == sum(found.counts.values())
    assert found.counts["ok"] + found.counts["gone"] + found.counts.get("bot", 0) == 24
    assert found.low < found.live < found.high
    assert read_probe(parcel.root) == found
    assert [p.name for p in parcel.root.iterdir()] == [".fetch"]
    assert len(host.seen) == 24, "the same video is asked for once"


def test_probe_needs_leave(host: Host, tmp_path: Path) -> None:
    wished = make_wish(host, tmp_path / "p", accept=False)
    with pytest.raises(ConfigError, match="accept_terms"):
        probe_clips(make_parcel(tmp_path, 3), wished, 3)
    assert host.seen.total() == 0


def test_a_probe_that_was_never_made_or_is_damaged_is_none(tmp_path: Path) -> None:
    assert read_probe(tmp_path) is None
    (tmp_path / ".fetch").mkdir()
    (tmp_path / ".fetch/probe.json").write_text('{"asked": 3')
    assert read_probe(tmp_path) is None
    assert Probe(1, {"ok": 1}, 1.0, 0.2, 1.0, False).live == 1.0
