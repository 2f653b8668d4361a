"""The App's server, which makes a sample's files when the App requests them.

FiftyOne's own server returns any file of the machine whose path a page requests. This one returns
the files of the inspection only.
"""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from avsynth.core.paths import Layout
from avsynth.formats.shards import ShardReader
from avsynth.inspection.fiftyone_app.media import make_file
from avsynth.inspection.fiftyone_app.samples import dataset_of_tar
from avsynth.runtime.errors import AvsynthError

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Media:
    """The files that the App may read; absent ones are made on request.

    Args:
        layout: the project's paths.
        folder: the inspection's folder in the cache.
        images: image folders of the mask sources, which the App reads directly.
    """

    def __init__(self, layout: Layout, folder: Path, images: Iterable[Path]) -> None:
        self.layout, self.folder = layout, folder
        self.readable = [*images, layout.predictions]
        self._reader = lru_cache(maxsize=None)(self._open)

    def provide(self, path: Path) -> bool:
        """Make a file if it is absent; return False if the App may not read it."""
        if ".." in path.parts or not path.is_absolute():
            return False
        if any(path.is_relative_to(folder) for folder in self.readable):
            return path.is_file()
        if not path.is_relative_to(self.folder):
            return False
        return path.is_file() or self._make(path)

    def _make(self, path: Path) -> bool:
        parts = path.relative_to(self.folder).parts
        reader = self._reader(parts[0]) if len(parts) == 3 else None
        if reader is None:
            return False
        try:
            make_file(reader, parts[1], path)
        except AvsynthError:
            return False
        return True

    def _open(self, tar: str) -> ShardReader | None:
        folder = dataset_of_tar(self.layout, tar)
        return None if folder is None else ShardReader(folder)


def serve(media: Media, listener: socket.socket) -> None:
    """Serve the App until Ctrl-C or SIGTERM.

    Args:
        media: the files that the App may read.
        listener: socket bound to the address of the App; closed at the end.
    """
    from fiftyone.server.app import app
    from fiftyone.server.events import set_port
    from hypercorn.asyncio import serve as run
    from hypercorn.config import Config

    async def with_media(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/media":
            requested = parse_qs(scope["query_string"].decode()).get("filepath", [""])[0]
            if not await asyncio.to_thread(media.provide, Path(requested)):
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b"no such file"})
                return
        await app(scope, receive, send)

    config = Config()
    set_port(listener.getsockname()[1])
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = config.errorlog = None
    config.graceful_timeout = 1.0
    asyncio.run(_until_stopped(run, with_media, config))


async def _until_stopped(run: Any, app: Any, config: Any) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await run(app, config, shutdown_trigger=stopped.wait)
