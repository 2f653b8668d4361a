"""The App's server, which makes a sample's files at the moment the App asks for them.

FiftyOne's own server hands out any file of the machine that a page asks for by path; here it
hands out the files of the inspection and refuses the rest. It answers only to the browser that
opened the printed address, whose token becomes a cookie: not to pages of other sites, not to names
that somebody else's DNS points here, and not to other users of the machine.
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
_SHOWN = (".jpg", ".jpeg", ".png", ".mp4")
_MEDIA_ROUTE = re.compile(r"[\s/]*media[\s/]*")
"""FiftyOne's router also takes the route with a line end behind it."""


class Media:
    """Says which files the App may have, and makes those that are not there yet.

    Args:
        layout: of the project.
        folder: the inspection's folder of the cache.
        pictures: folders of the mask sources, whose pictures are shown as they lie.
    """

    def __init__(self, layout: Layout, folder: Path, pictures: Iterable[Path]) -> None:
        self.layout, self.folder = layout, folder
        self.readable = [*pictures, layout.predictions]
        self._reader = lru_cache(maxsize=None)(self._open)

    def ready(self, path: Path) -> bool:
        """Make sure that a file exists; False when it is none that may be handed out."""
        if ".." in path.parts or not path.is_absolute() or path.suffix.lower() not in _SHOWN:
            return False
        try:
            if any(path.is_relative_to(folder) for folder in self.readable):
                return _is_image(path)
            if not path.resolve().is_relative_to(self.folder.resolve()):
                return False
            return path.is_file() or self._made(path)
        except (OSError, ValueError):  # a name that no file system takes
            return False

    def _made(self, path: Path) -> bool:
        place = path.relative_to(self.folder).parts if path.is_relative_to(self.folder) else ()
        reader = self._reader(place[0]) if len(place) == 3 else None
        if reader is None:
            return False
        try:
            make_file(reader, place[1], path)
        except AvsynthError:
            return False
        return True

    def _open(self, tar: str) -> ShardReader | None:
        folder = dataset_of_tar(self.layout, tar)
        return None if folder is None else ShardReader(folder)


def _is_image(path: Path) -> bool:
    try:
        with open_image(path):
            return path.is_file()
    except ImageError:
        return False


class Guard:
    """An ASGI application that passes on only the requests of the inspection's own browser.

    Args:
        app: FiftyOne's server.
        media: the files that may be handed out.
        token: the secret of the printed address.
        cookie: name of the cookie that carries it.
    """

    def __init__(self, app: Any, media: Media, token: str, cookie: str) -> None:
        self.app, self.media, self.token, self.cookie = app, media, token, cookie

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = [(k.lower(), v.decode("latin-1")) for k, v in scope["headers"]]
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not _from_here(headers):
            await _answer(send, 403, b"not an address of this inspection")
        elif scope["type"] == "http" and self._is_token(dict(asked).get("token", "")):
            rest = urlencode([pair for pair in asked if pair[0] != "token"])
            place = "/" + scope["path"].lstrip("/\\")
            location = quote(place) + (f"?{rest}" if rest else "")
            kept = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            await _answer(send, 303, b"", {"location": location, "set-cookie": kept})
        elif not self._has_cookie(headers):
            await _answer(send, 403, b"open the address that avsynth inspect printed")
        elif scope["type"] == "http" and _MEDIA_ROUTE.fullmatch(scope["path"]):
            await self._media(scope, receive, send, [v for k, v in asked if k == "filepath"])
        else:
            await self.app(scope, receive, send)

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(), self.token.encode())

    def _has_cookie(self, headers: Headers) -> bool:
        pairs = [one.strip() for k, v in headers if k == b"cookie" for one in v.split(";")]
        values = [one.partition("=")[2] for one in pairs if one.partition("=")[0] == self.cookie]
        return any(map(self._is_token, values))

    async def _media(
        self, scope: dict[str, Any], receive: Receive, send: Send, paths: list[str]
    ) -> None:
        """Hand out the one file that is asked for; FiftyOne reads the path that was checked."""
        if len(paths) != 1 or not await asyncio.to_thread(self.media.ready, Path(paths[0])):
            await _answer(send, 404, b"no such file")
            return
        query = urlencode({"filepath": paths[0]}).encode()
        await self.app({**scope, "path": "/media", "query_string": query}, receive, send)


def _from_here(headers: Headers) -> bool:
    """Whether a request names this machine, and comes from no page of another origin."""
    hosts = [v for k, v in headers if k == b"host"]
    origins = [v for k, v in headers if k == b"origin"]
    try:
        named = len(hosts) == 1 and urlsplit(f"//{hosts[0]}").hostname in _HOSTS
        return named and all(urlsplit(origin).netloc == hosts[0] for origin in origins)
    except ValueError:
        return False


async def _answer(
    send: Send, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> None:
    pairs = [(k.encode(), v.encode("latin-1")) for k, v in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def serve(media: Media, listener: socket.socket, token: str) -> None:
    """Serve the App until Ctrl-C or SIGTERM.

    Args:
        media: what may be handed out.
        listener: bound to the address to serve on; closed in the end.
        token: the secret of the printed address.
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
