"""An inspection as a user starts it: a process of its own that serves until it is stopped."""

import os
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

from avsynth.inspection.fiftyone_app.database import URI_VARIABLE


class Inspection:
    """``avsynth inspect`` on a project; ``url`` is what it printed."""

    def __init__(self, root: Path, *arguments: str) -> None:
        environment = {k: v for k, v in os.environ.items() if k != URI_VARIABLE}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "avsynth", "inspect", "--root", str(root), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self.said: list[str] = []
        while not (self.said and self.said[-1].startswith("http")):
            line = self.process.stdout.readline().strip()
            assert line, self.process.communicate()[1]
            self.said.append(line)
        self.url = self.said[-1]
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._entered = False

    def get(self, path: str, limit_s: float = 30.0) -> tuple[int, bytes]:
        """Ask the server; wait while it does not answer yet."""
        if not self._entered:
            self._entered = True
            self.get(self.url, limit_s)
        address = urllib.parse.urljoin(self.url, path)
        limit = time.monotonic() + limit_s
        while True:
            try:
                with self._opener.open(address, timeout=30) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, b""
            except OSError:
                assert time.monotonic() < limit
                time.sleep(0.1)

    def media(self, path: Path | str) -> tuple[int, bytes]:
        return self.get("/media?" + urllib.parse.urlencode({"filepath": str(path)}))

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Stop it; give its exit code and what it wrote to stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


def left_over(root: Path, limit_s: float = 20.0) -> list[str]:
    """Name the processes that still have to do with a project."""
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        found = [line for line in lines if str(root) in line]
        if not found:
            return []
        time.sleep(0.2)
    return found
