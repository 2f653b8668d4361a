"""The pages in a real browser, offline, at two widths: nothing breaks, everything plays."""

from pathlib import Path

import pytest

from avsynth.commands.gallery import gallery
from avsynth.core.params.load import load_params
from tests.helpers.browsing import (
    BROKEN_IMAGES,
    DOUBLE_IDS,
    OUTSIDE,
    PLAY_ALL,
    WIDER_THAN_SCREEN,
    WITHOUT_ALT,
    browser,
    open_page,
    screenshot,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.set_script_timeout(60)
        yield opened


@pytest.fixture(scope="module")
def pages(reported, tmp_path_factory):
    out = tmp_path_factory.mktemp("pages") / "gallery.html"
    params = load_params(reported.root)
    gallery("avs-synthetic", "test", 1, params, reported, out)
    return {"report": reported.reports / "index.html", "gallery": out}


@pytest.mark.parametrize("width_px", [1280, 400])
@pytest.mark.parametrize("name", ["report", "gallery"])
def test_a_page_is_whole_at_both_widths(chrome, pages, name, width_px, tmp_path):
    assert open_page(chrome, pages[name], width_px) == []
    run = chrome.execute_script
    assert run("return document.images.length") > 10
    assert run(BROKEN_IMAGES) == []
    assert run(WITHOUT_ALT) == 0
    assert run(DOUBLE_IDS) == []
    assert run(OUTSIDE) == []
    assert run(WIDER_THAN_SCREEN) <= 0
    shot = tmp_path / f"{name}-{width_px}.png"
    screenshot(chrome, shot)
    assert shot.stat().st_size > 20_000


@pytest.mark.parametrize("name", ["report", "gallery"])
def test_every_sound_plays(chrome, pages, name):
    open_page(chrome, pages[name], 1280)
    durations = chrome.execute_async_script(PLAY_ALL)
    assert isinstance(durations, list), durations
    assert len(durations) >= 10
    assert all(0.9 < duration < 1.1 for duration in durations)


def test_a_damaged_picture_would_be_seen(chrome, pages, tmp_path):
    text = Path(pages["report"]).read_text()
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("data:image/jpeg;base64,/9j/", "data:image/jpeg;base64,AAAA", 1))
    open_page(chrome, broken, 1280)
    assert len(chrome.execute_script(BROKEN_IMAGES)) == 1
