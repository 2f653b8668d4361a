"""`Host`, a local HTTP server that can imitate the failures of real hosts.

It serves files with ETag and range requests. `Host.misbehave(path, fault, ...)` queues faults for
a path. Each request uses the next fault; without one the host responds normally.

Run as a script it serves a folder: ``python local_host.py FOLDER [FAULTS.json]`` prints its port.
"""

import asyncio
import base64
import hashlib
import json
import sys
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

Respond = Callable[["Host", web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Host:
    """The served files, the queued faults, and the counts of requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, deque[str]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    ranges: list[tuple[str, str]] = field(default_factory=list)
    delay_s: float = 0.0
    """Delay of every response."""
    open_now: int = 0
    most_open: int = 0
    bytes_sent: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def misbehave(self, path: str, *faults: str) -> None:
        self.faults.setdefault(path, deque()).extend(faults)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        path = request.path_qs
        self.requests[path] += 1
        self.ranges.append((path, request.headers.get("Range", "")))
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            await asyncio.sleep(self.delay_s)
            queue = self.faults.get(path) or self.faults.get("*")
            if queue:
                fault, _, value = queue.popleft().partition("=")
                return await FAULTS[fault](self, request, value)
            return await self.serve(request)
        finally:
            self.open_now -= 1

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = self.files.get(request.path_qs)
        if body is None:
            return web.Response(status=404, text="<html>not found</html>")
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        headers = {
            "ETag": etag,
            "Accept-Ranges": "bytes",
            "Content-Type": content_type(request.path),
        }
        wanted = request.headers.get("Range", "")
        if not wanted or request.headers.get("If-Range", etag) != etag:
            self.bytes_sent += len(body)
            return web.Response(body=body, headers=headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(body) - int(last)
        stop = min(int(last) + 1 if first and last else len(body), len(body))
        if start >= len(body):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
        self.bytes_sent += stop - start
        return web.Response(status=206, body=body[start:stop], headers=headers)


def content_type(path: str) -> str:
    kinds = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".zip": "application/zip"}
    if path.endswith("/watch"):
        return "video/mp4"
    return kinds.get(Path(path).suffix, "application/octet-stream")


async def _status(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    code, _, wait = value.partition(",")
    headers = {"Retry-After": wait} if wait else {}
    return web.Response(status=int(code), headers=headers, text="<html>no</html>")


async def _cut(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Declare the whole body, send a share of it, close the connection."""
    whole = await host.serve(request)
    assert isinstance(whole, web.Response)
    body = whole.body
    assert isinstance(body, bytes)
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    await response.prepare(request)
    sent = body[: int(len(body) * float(value or 0.5))]
    await response.write(sent)
    # Wait until the bytes arrive, so that the client can resume after them.
    await asyncio.sleep(0.05)
    if request.transport is not None:
        request.transport.close()
    return response


async def _silent(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    await asyncio.sleep(float(value or 60))
    return await host.serve(request)


async def _drip(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Send headers without end, a few bytes at a time."""
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 200 OK\r\n")
    while request.transport is not None and not request.transport.is_closing():
        request.transport.write(b"X-Slow: 1\r\n")
        await asyncio.sleep(0.1)
    return web.Response()


async def _other_body(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Respond with status 200 and another body, e.g. an error page."""
    return web.Response(body=value.encode(), content_type="text/html")


async def _redirect(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": value})


async def _no_range(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    return web.Response(body=host.files[request.path_qs])


async def _pass(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    return await host.serve(request)


async def _endless(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Send an endless body without a length."""
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await response.write(bytes(1 << 20))
    return response


async def _huge(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Declare a body of ``value`` bytes, but send only a few."""
    response = web.StreamResponse()
    response.content_length = int(value)
    await response.prepare(request)
    await response.write(bytes(10))
    await asyncio.sleep(0.05)
    if request.transport is not None:
        request.transport.close()
    return response


async def _google(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Respond normally with an MD5 header like Google's storage (of the body, or of ``value``)."""
    body = host.files[request.path_qs]
    digest = hashlib.md5(value.encode() if value else body).digest()
    md5 = "md5=" + base64.b64encode(digest).decode()
    response = web.Response(body=body)
    response.headers.add("x-goog-hash", "crc32c=AAAAAA==")
    response.headers.add("x-goog-hash", md5)
    return response


async def _part(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Respond with status 206 and the first ``value`` bytes, even if no range was requested."""
    body = host.files[request.path_qs]
    headers = {"Content-Range": f"bytes 0-{int(value) - 1}/{len(body)}"}
    return web.Response(status=206, body=body[: int(value)], headers=headers)


async def _rest(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Respond to a range with another ``etag``, another ``total``, or ``less`` bytes."""
    body = host.files[request.path_qs]
    start = int(request.headers["Range"].removeprefix("bytes=").partition("-")[0])
    stop = start + 1000 if value == "less" else len(body)
    total = len(body) + (value == "total")
    etag = '"other"' if value == "etag" else f'"{hashlib.md5(body).hexdigest()}"'
    headers = {"Content-Range": f"bytes {start}-{stop - 1}/{total}", "ETag": etag}
    wrong = bytes(stop - start) if value == "etag" else body[start:stop]
    return web.Response(status=206, body=wrong, headers=headers)


async def _old(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Respond like HTTP/1.0 without a length; close the connection after ``value`` bytes."""
    body = host.files[request.path_qs]
    assert request.transport is not None
    request.transport.write(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n" + body[: int(value)])
    request.transport.close()
    return web.Response()


async def _page(host: Host, request: web.Request, value: str) -> web.StreamResponse:
    """Respond with status 200 and a web page with the content type ``value``."""
    body = b"<!DOCTYPE html><html><body>Sign in</body></html>"
    return web.Response(body=body, content_type=value or "text/html")


FAULTS: dict[str, Respond] = {
    "part": _part,
    "rest": _rest,
    "old": _old,
    "page": _page,
    "pass": _pass,
    "endless": _endless,
    "huge": _huge,
    "google": _google,
    "status": _status,
    "cut": _cut,
    "silent": _silent,
    "other": _other_body,
    "drip": _drip,
    "redirect": _redirect,
    "norange": _no_range,
}


class RunningHost:
    """A `Host` in a separate thread; a context manager."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Host:
        self._thread.start()
        assert self._ready.wait(10)
        return self.host

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        await start(self.host)
        self._ready.set()
        await self._stop.wait()
        await RUNNERS.pop(self.host.port).cleanup()


RUNNERS: dict[int, web.AppRunner] = {}


async def start(host: Host) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.respond)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host.port = runner.addresses[0][1]
    RUNNERS[host.port] = runner


async def _main(folder: Path, faults: Path | None) -> None:
    host = Host({"/" + str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*")})
    if faults:
        for path, listed in json.loads(faults.read_text()).items():
            host.misbehave(path, *listed)
    await start(host)
    sys.stdout.write(f"{host.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = [Path(a) for a in sys.argv[1:]]
    asyncio.run(_main(arguments[0], arguments[1] if len(arguments) > 1 else None))
