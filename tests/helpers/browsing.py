"""A headless Chromium for tests: a page's log, images and audio, and screenshots of it."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


@contextmanager
def browser(profile: Path) -> Iterator[Any]:
    """Yield a Chromium with a profile of its own; skip the test if it is not installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no headless browser: install chromium and chromium-driver")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def open_page(chrome: Any, path: Path, width_px: int) -> list[str]:
    """Open a file offline at a width; return the messages of the console."""
    metrics = {"width": width_px, "height": 900, "deviceScaleFactor": 1, "mobile": width_px < 500}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    chrome.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    chrome.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    chrome.get(path.as_uri())
    return [entry["message"] for entry in chrome.get_log("browser")]


def screenshot(chrome: Any, path: Path, top_px: int = 0, height_px: int = 1800) -> None:
    """Write a part of the page as PNG."""
    width = chrome.execute_script("return document.documentElement.clientWidth")
    clip = {"x": 0, "y": top_px, "width": width, "height": height_px, "scale": 1}
    options = {"captureBeyondViewport": True, "clip": clip}
    shot = chrome.execute_cdp_cmd("Page.captureScreenshot", options)
    path.write_bytes(base64.b64decode(shot["data"]))


BROKEN_IMAGES = """
return [...document.images].filter(i => !i.complete || i.naturalWidth === 0).map(i => i.alt)"""
WITHOUT_ALT = """
return [...document.querySelectorAll('img, [role=img]')]
  .filter(e => !(e.getAttribute('alt') || e.getAttribute('aria-label') || '').trim()).length"""
DOUBLE_IDS = """
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
return ids.filter((id, i) => ids.indexOf(id) !== i)"""
OUTSIDE = """
return [...document.querySelectorAll('[src], link[href]')]
  .map(e => e.getAttribute('src') || e.getAttribute('href')).filter(u => !u.startsWith('data:'))"""
WIDER_THAN_SCREEN = """
return document.documentElement.scrollWidth - document.documentElement.clientWidth"""
PLAY_ALL = """
const done = arguments[arguments.length - 1];
Promise.all([...document.querySelectorAll('audio')].map(async a => {
  a.muted = true;
  await a.play();
  await new Promise(r => a.addEventListener('timeupdate', r, {once: true}));
  a.pause();
  return a.duration;
})).then(done, e => done(String(e)))"""
