"""The App in a real browser: grid with masks, sample with spectrogram and audio, saved views.

Screenshots are written to the folder in AVSYNTH_SCREENSHOTS, if that is set.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from avsynth.building.reviews import read_reviews
from tests.helpers.browsing import browser
from tests.helpers.inspections import Inspection, remaining_processes
from tests.helpers.score_rows import scored_project

pytestmark = [
    pytest.mark.browser, pytest.mark.fiftyone, pytest.mark.slow,
    pytest.mark.xdist_group("fiftyone"),
]  # fmt: skip
EXPECTED_MESSAGES = (
    "fonts.googleapis.com", "react-spring", "preloaded using link preload", "sample not attached",
)  # fmt: skip
"""Messages of the App itself: fonts that it cannot load offline, advice of an animation library, a
sample that was closed while it was drawn."""

PLAYS = """
const done = arguments[arguments.length - 1];
const seen = [];
const all = root => [...root.querySelectorAll('*')].flatMap(
  e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
const url = all(document).filter(e => e.tagName === 'VIDEO').map(e => e.src || e.currentSrc)[0]
  || performance.getEntriesByType('resource').map(r => r.name).find(n => n.includes('preview.mp4'));
const video = document.createElement('video');
video.src = url; video.muted = true;
video.addEventListener('ended', () => done(
  {url, duration: video.duration, height: video.videoHeight, width: video.videoWidth,
   audio: video.webkitAudioDecodedByteCount}));
video.addEventListener('error', () => done({url, error: String(video.error?.message)}));
video.play().catch(e => done({url, error: String(e)}));"""


@pytest.fixture(scope="module")
def layout(built, tmp_path_factory):
    return scored_project(built, tmp_path_factory.mktemp("browsed") / "project")


@pytest.fixture(scope="module")
def app(layout, tmp_path_factory):
    """Yield the App on scored shards, open in a browser."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))
        with browser(tmp_path_factory.mktemp("profile")) as chrome:
            inspection = Inspection(layout.root, "--where", "split == 'test'")
            try:
                chrome.set_window_size(1280, 900)
                chrome.set_script_timeout(60)
                yield App(chrome, inspection, tmp_path_factory.mktemp("screenshots"))
            finally:
                inspection.stop()
    assert remaining_processes(layout.root) == []


class App:
    """The actions of a reviewer in the App."""

    def __init__(self, chrome, inspection, folder):
        self.chrome, self.inspection = chrome, inspection
        self.folder = Path(os.environ.get("AVSYNTH_SCREENSHOTS", folder))
        self.folder.mkdir(parents=True, exist_ok=True)

    def open(self, url):
        self.chrome.get(url)
        self.wait(lambda: len(self.cells()) > 0)
        for button in self.texts("Dismiss"):
            button.click()
        time.sleep(3)  # Canvases of images and masks fire no event when they are drawn.

    def cells(self):
        return self.chrome.find_elements("css selector", "[data-cy='looker']")

    def texts(self, text):
        path = f"//*[normalize-space(text())={text!r}]"
        return [e for e in self.chrome.find_elements("xpath", path) if e.is_displayed()]

    def inputs(self, word):
        fields = self.chrome.find_elements("css selector", f"input[placeholder*='{word}']")
        return [field for field in fields if field.is_displayed()]

    def page(self):
        return self.chrome.find_element("tag name", "body").text

    def wait(self, condition, limit_s=60.0):
        limit = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < limit, self.page()[:2000]
            time.sleep(0.2)

    def click_on(self, element):
        from selenium.webdriver.common.action_chains import ActionChains

        low = element.size["height"] // 4
        ActionChains(self.chrome).move_to_element_with_offset(element, 0, low).click().perform()

    def shot(self, name):
        path = self.folder / f"{name}.png"
        self.chrome.save_screenshot(str(path))
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    def unexpected_messages(self):
        logged = [entry["message"] for entry in self.chrome.get_log("browser")]
        return [m for m in logged if not any(word in m for word in EXPECTED_MESSAGES)]


def test_the_grid_shows_images_with_their_masks(app, layout):
    app.open(app.inspection.url)
    rows = pd.read_csv(layout.scores / "test" / "save.csv")
    assert f"{len(rows)} groups" in app.page()
    with_masks = app.shot("grid")
    (box,) = app.chrome.find_elements("css selector", "[data-cy='checkbox-truth']")
    box.click()
    time.sleep(2)
    without = app.shot("grid-without-masks")
    box.click()  # The App keeps the setting for the next page.
    assert (np.abs(with_masks - without).sum(axis=2) > 30).mean() > 0.01
    assert app.unexpected_messages() == []


def test_a_sample_shows_its_spectrogram_and_plays_its_audio(app):
    app.open(app.inspection.url)
    app.click_on(app.cells()[0])
    app.wait(lambda: "Annotate" in app.page())
    time.sleep(3)
    app.shot("sample")
    loaded = app.chrome.execute_script(
        "return performance.getEntriesByType('resource').map(r => decodeURIComponent(r.name))"
    )
    for name in ("spectrogram.png", "preview.mp4"):
        assert any(name in url for url in loaded), name
    played = app.chrome.execute_async_script(PLAYS)
    assert "error" not in played, played
    assert 0.9 < played["duration"] < 1.2
    assert played["audio"] > 1000
    assert app.unexpected_messages() == []


def test_a_saved_view_of_the_worst_samples_opens_by_its_address(app):
    base = app.inspection.url.split("&view=")[0]
    app.open(f"{base}&view=worst-of-test-save")
    assert "worst of test save" in app.chrome.page_source
    app.shot("worst")
    app.click_on(app.cells()[0])
    app.wait(lambda: "iou_test_save" in app.page())
    app.shot("worst-sample")
    assert app.unexpected_messages() == []


def test_a_tag_given_in_the_app_is_pulled_as_a_review(app, layout):
    from selenium.webdriver.common.keys import Keys

    app.open(app.inspection.url)
    app.click_on(app.cells()[0])
    app.wait(lambda: "Annotate" in app.page())
    time.sleep(2)
    tag = app.chrome.find_elements("css selector", "[data-cy='action-tag-sample-labels']")[-1]
    tag.click()
    app.wait(lambda: app.inputs("tag") and "Loading" not in app.page())
    field = app.inputs("tag")[-1]
    field.click()
    field.send_keys("bad mask", Keys.ENTER)
    time.sleep(1)
    app.shot("tagging")
    for button in app.texts("Apply"):
        button.click()
    time.sleep(3)
    app.shot("tagged")
    command = [sys.executable, "-m", "avsynth", "inspect", "pull", "--root", str(layout.root)]
    pulled = subprocess.run(command, capture_output=True, text=True, check=True)
    assert pulled.stdout.startswith("1 reviews of ")
    (review,) = read_reviews(layout.root / "reviews.csv")
    assert (review.verdict, review.item) == ("bad_mask", "mask")
