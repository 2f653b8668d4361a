"""The App's server, which makes a sample's files when the App requests them.

FiftyOne's own server returns any file of the machine whose path a page requests. This one returns
the files of the inspection only. It accepts requests only from the browser that opened the printed
address, whose token it keeps as a cookie. Pages of other sites, host names of other DNS records
that point to this machine, and other users of the machine are refused.
"""

import asyncio
import re
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from avsynth.core.paths import Layout
from avsynth.formats.images import ImageError, open_image
from avsynth.formats.shards import ShardReader
from avsynth.inspection.fiftyone_app.media import make_file
from avsynth.inspection.fiftyone_app.samples import dataset_of_tar
from avsynth.runtime.errors import AvsynthError

Receive = Callable[[], Awaitable[Any]]
Headers = list[tuple[bytes, str]]
Send = Callable[[Any], Awaitable[None]]
_HOSTS = ("127.0.0.1", "localhost", "::1")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".mp4")
_MEDIA_ROUTE = re.compile(r"[\s/]*media[\s/]*")
"""FiftyOne's router also accepts the route with a line break after it."""


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
        if ".." in path.parts or not path.is_absolute() or path.suffix.lower() not in _SUFFIXES:
            return False
        try:
            if any(path.is_relative_to(folder) for folder in self.readable):
                return _is_image(path)
            if not path.resolve().is_relative_to(self.folder.resolve()):
                return False
            return path.is_file() or self._make(path)
        except (OSError, ValueError):  # an invalid file name
            return False

    def _make(self, path: Path) -> bool:
        parts = path.relative_to(self.folder).parts if path.is_relative_to(self.folder) else ()
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


def _is_image(path: Path) -> bool:
    """Check that a path is a file with the header of a JPEG or PNG."""
    try:
        with open_image(path):
            return path.is_file()
    except ImageError:
        return False


class Guard:
    """An ASGI application that forwards only the requests of the inspection's own browser.

    Args:
        app: FiftyOne's server.
        media: the files that the App may read.
        token: the secret in the printed address.
        cookie: name of the cookie that holds the token.
    """

    def __init__(self, app: Any, media: Media, token: str, cookie: str) -> None:
        self.app, self.media, self.token, self.cookie = app, media, token, cookie

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Respond to one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = [(k.lower(), v.decode("latin-1")) for k, v in scope["headers"]]
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not _is_local(headers):
            await _respond(send, 403, b"not an address of this inspection")
        elif scope["type"] == "http" and self._is_token(dict(query).get("token", "")):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            path = "/" + scope["path"].lstrip("/\\")  # "//host" would lead to another site
            location = quote(path) + (f"?{rest}" if rest else "")
            cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            await _respond(send, 303, b"", {"location": location, "set-cookie": cookie})
        elif not self._has_cookie(headers):
            await _respond(send, 403, b"open the address that avsynth inspect printed")
        elif scope["type"] == "http" and _MEDIA_ROUTE.fullmatch(scope["path"]):
            await self._media(scope, receive, send, [v for k, v in query if k == "filepath"])
        else:
            await self.app(scope, receive, send)

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(), self.token.encode())

    def _has_cookie(self, headers: Headers) -> bool:
        cookies = [text.strip() for k, v in headers if k == b"cookie" for text in v.split(";")]
        pairs = [text.partition("=") for text in cookies]
        return any(self._is_token(value) for name, _, value in pairs if name == self.cookie)

    async def _media(
        self, scope: dict[str, Any], receive: Receive, send: Send, paths: list[str]
    ) -> None:
        """Return the requested file; FiftyOne receives exactly the path that was checked."""
        if len(paths) != 1 or not await asyncio.to_thread(self.media.provide, Path(paths[0])):
            await _respond(send, 404, b"no such file")
            return
        query = urlencode({"filepath": paths[0]}).encode()
        await self.app({**scope, "path": "/media", "query_string": query}, receive, send)


def _is_local(headers: Headers) -> bool:
    """Check that a request has this machine as its host, and no page of another site as origin."""
    hosts = [v for k, v in headers if k == b"host"]
    origins = [v for k, v in headers if k == b"origin"]
    try:
        local = len(hosts) == 1 and urlsplit(f"//{hosts[0]}").hostname in _HOSTS
        return local and all(urlsplit(origin).netloc == hosts[0] for origin in origins)
    except ValueError:
        return False


async def _respond(
    send: Send, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> None:
    pairs = [(k.encode(), v.encode("latin-1")) for k, v in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def serve(media: Media, listener: socket.socket, token: str) -> None:
    """Serve the App until Ctrl-C or SIGTERM.

    Args:
        media: the files that the App may read.
        listener: socket bound to the address of the App; closed at the end.
        token: the secret in the printed address.
    """
    from fiftyone.server.app import app
    from fiftyone.server.events import set_port
    from hypercorn.asyncio import serve as run
    from hypercorn.config import Config

    config = Config()
    port = listener.getsockname()[1]
    set_port(port)
    guard = Guard(app, media, token, f"avsynth-{port}")
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = config.errorlog = None
    config.graceful_timeout = 1.0
    asyncio.run(_until_stopped(run, guard, config))


async def _until_stopped(run: Any, app: Any, config: Any) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await run(app, config, shutdown_trigger=stopped.wait)
