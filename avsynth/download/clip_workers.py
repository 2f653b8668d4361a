"""Worker processes that cut clips: as many as one likes, each killed when it hangs."""

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from avsynth.core.names import inside
from avsynth.download.items import Item, Outcome, file_fault
from avsynth.download.partial_file import disk
from avsynth.download.rate_limit import Governor
from avsynth.download.youtube import Answer, Cut, ffmpeg
from avsynth.runtime.errors import MissingExtra

CLIP_S = 10.0
HANG_S = 180.0
"""A clip that takes longer hangs: private and live videos do that."""


class Cutters:
    """A pool of workers; use as an async context manager.

    Args:
        count: how many clips are cut at once.
        governor: how fast videos may be asked for.
        scratch: a folder on the file system of the clips; emptied at begin and end.
        hang_s: after how long a worker is killed.
    """

    def __init__(
        self, count: int, governor: Governor, scratch: Path, hang_s: float = HANG_S
    ) -> None:
        self._governor, self._hang_s = governor, hang_s
        self._scratch = scratch
        self._idle: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        for _ in range(count):
            self._idle.put_nowait(None)
        self._all: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        if importlib.util.find_spec("yt_dlp") is None:
            raise MissingExtra("yt-dlp", "download")
        shutil.rmtree(self._scratch, ignore_errors=True)
        with disk(self._scratch):
            # yt-dlp finds ffmpeg by this very name, on the PATH.
            tools = self._scratch / "bin"
            tools.mkdir(parents=True)
            (tools / "ffmpeg").symlink_to(ffmpeg())
        self._environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for process in self._all:
            await _kill(process)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def folder(self) -> Path:
        """Make an empty folder for one clip."""
        with disk(self._scratch):
            return Path(tempfile.mkdtemp(dir=self._scratch))

    async def look(self, job: Cut) -> Answer:
        """Ask whether a clip could be cut, and fetch nothing of it."""
        return await self.cut(replace(job, folder=str(self._scratch), look_only=True))

    async def cut(self, job: Cut) -> Answer:
        """Have a clip cut by the next idle worker.

        Raises:
            CircuitOpenError: the host took us for a robot too often.
        """
        async with self._worker() as process:
            await self._governor.turn()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
            try:
                async with asyncio.timeout(self._hang_s):
                    line = await process.stdout.readline()
            except TimeoutError:
                await _kill(process)
                return Answer("transient", f"no answer within {self._hang_s:.0f} s")
            if not line:
                return Answer("transient", f"worker ended with {await process.wait()}")
        answer = Answer(**json.loads(line))
        if answer.status == "bot":
            self._governor.refused()
        elif answer.status == "ok":
            self._governor.content()
        return answer

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await self._idle.get()
        try:
            if process is None or process.returncode is not None:
                process = await self._start()
            yield process
        finally:
            alive = process is not None and process.returncode is None
            self._idle.put_nowait(process if alive else None)

    async def _start(self) -> asyncio.subprocess.Process:
        # A session of its own, so that a hanging worker is killed together with its ffmpeg, and
        # Ctrl-C in the terminal reaches us and not it.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "avsynth.download.youtube",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
        )
        self._all.append(process)
        return process


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def bring_clip(
    cutters: Cutters, job: Cut, item: Item, root: Path
) -> list[tuple[Item, Outcome]]:
    """Cut a clip, check it, and give it its name."""
    target = inside(root, item.target)
    folder = cutters.folder()
    try:
        answer = await cutters.cut(replace(job, folder=str(folder)))
        if answer.status != "ok":
            return [(item, Outcome(answer.status, answer.reason))]
        made = Path(answer.path)
        fault, size, sha256 = file_fault(made, item)
        if fault:
            return [(item, Outcome("corrupt", fault))]
        with disk(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(made, target)  # noqa: PTH105 - atomic, and says so
        return [(item, Outcome("ok", "", size, sha256))]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
