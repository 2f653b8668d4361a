"""`ClipWorkers`: a pool of processes that cut clips; a process that hangs is killed."""

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

from avsynth.core.files import atomic_file
from avsynth.core.names import inside
from avsynth.download.items import Item, Outcome, check_file
from avsynth.download.partial_file import disk_errors
from avsynth.download.rate_limit import RateLimiter
from avsynth.download.youtube import ClipJob, ClipResult, ffmpeg
from avsynth.runtime.errors import MissingExtra

CLIP_S = 10.0
HANG_S = 180.0
"""Time limit of one clip. Private and live videos can hang longer."""


class ClipWorkers:
    """A pool of worker processes; use it as an async context manager.

    Args:
        count: number of clips cut at the same time.
        limiter: spaces the requests to the video host.
        scratch: folder on the same file system as the clips; deleted at the start and the end.
        hang_s: time after which a worker is killed.
    """

    def __init__(
        self, count: int, limiter: RateLimiter, scratch: Path, hang_s: float = HANG_S
    ) -> None:
        self._limiter, self._hang_s = limiter, hang_s
        self._scratch = scratch
        self._idle: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        for _ in range(count):
            self._idle.put_nowait(None)
        self._all: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        if importlib.util.find_spec("yt_dlp") is None:
            raise MissingExtra("yt-dlp", "download")
        shutil.rmtree(self._scratch, ignore_errors=True)
        with disk_errors(self._scratch):
            # yt-dlp looks for an executable of exactly this name on the PATH.
            tools = self._scratch / "bin"
            tools.mkdir(parents=True)
            (tools / "ffmpeg").symlink_to(ffmpeg())
        self._env = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
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
        """Create an empty folder for one clip."""
        with disk_errors(self._scratch):
            return Path(tempfile.mkdtemp(dir=self._scratch))

    async def probe(self, job: ClipJob) -> ClipResult:
        """Check whether a clip could be cut, without downloading it."""
        return await self.cut(replace(job, folder=str(self._scratch), probe_only=True))

    async def cut(self, job: ClipJob) -> ClipResult:
        """Send a clip to the next idle worker and return its result.

        Raises:
            CircuitOpenError: the host answered too often with a robot check.
        """
        async with self._worker() as process:
            await self._limiter.acquire()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
            try:
                async with asyncio.timeout(self._hang_s):
                    line = await process.stdout.readline()
            except TimeoutError:
                await _kill(process)
                return ClipResult("transient", f"no answer within {self._hang_s:.0f} s")
            if not line:
                return ClipResult("transient", f"worker ended with {await process.wait()}")
        result = ClipResult(**json.loads(line))
        if result.status == "bot":
            self._limiter.on_refusal()
        elif result.status == "ok":
            self._limiter.on_success()
        return result

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
        # The new session makes a process group: a hanging worker is killed together with its
        # ffmpeg, and Ctrl-C in the terminal reaches only the parent process.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "avsynth.download.youtube",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._env,
            start_new_session=True,
        )
        self._all.append(process)
        return process


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def download_clip(
    clip_workers: ClipWorkers, job: ClipJob, item: Item, root: Path
) -> list[tuple[Item, Outcome]]:
    """Cut a clip, check it and move it to its target."""
    target = inside(root, item.target)
    folder = clip_workers.folder()
    try:
        result = await clip_workers.cut(replace(job, folder=str(folder)))
        if result.status != "ok":
            return [(item, Outcome(result.status, result.reason))]
        output = Path(result.path)
        fault, size, sha256 = check_file(output, item)
        if fault:
            return [(item, Outcome("corrupt", fault))]
        with disk_errors(target), atomic_file(target, concurrent=True) as temporary:
            output.replace(temporary)
        return [(item, Outcome("ok", "", size, sha256))]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
