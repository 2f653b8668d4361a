"""`avsynth inspect` in a process of its own, which serves until it is stopped."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import psutil
import pytest

from avsynth.core.paths import Layout
from avsynth.inspection.fiftyone_app.database import URI_VARIABLE


def linked_project(built: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Return a copy of a finished build (hard links), with a cache of its own."""
    shutil.copytree(built, folder / "project", copy_function=os.link)
    monkeypatch.setenv("AVSYNTH_CACHE", str(folder / "cache"))
    return Layout(folder / "project")


class Inspection:
    """``avsynth inspect`` on a project; ``printed`` is its output, ``url`` the App's address."""

    def __init__(self, root: Path, *arguments: str) -> None:
        environment = {k: v for k, v in os.environ.items() if k != URI_VARIABLE}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "avsynth", "inspect", "--root", str(root), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self.printed: list[str] = []
        while not (self.printed and self.printed[-1].startswith("http")):
            line = self.process.stdout.readline().strip()
            assert line, self.process.communicate()[1]
            self.printed.append(line)
        self.url = self.printed[-1]
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._has_cookie = False

    def get(self, path: str, limit_s: float = 30.0) -> tuple[int, bytes]:
        """Return status and content of a path; wait until the server answers."""
        if not self._has_cookie:
            self._has_cookie = True
            self.get(self.url, limit_s)
        address = urllib.parse.urljoin(self.url, path)
        limit = time.monotonic() + limit_s
        while True:
            try:
                with self._opener.open(address, timeout=30) as response:
                    return response.status, response.read()
            except urllib.error.HTTPError as error:
                return error.code, b""
            except OSError:
                assert time.monotonic() < limit
                time.sleep(0.1)

    def media(self, path: Path | str) -> tuple[int, bytes]:
        """Return status and content of a media file, as the App requests it."""
        return self.get("/media?" + urllib.parse.urlencode({"filepath": str(path)}))

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Stop the inspection; return its exit code and its stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


def remaining_processes(root: Path, limit_s: float = 20.0) -> list[str]:
    """Return the command lines of a project's processes that run after ``limit_s``."""
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        found = [line for line in lines if str(root) in line]
        if not found:
            return []
        time.sleep(0.2)
    return found
