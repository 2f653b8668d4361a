"""Files over HTTP: resumed where they were cut, checked, retried, and refused when in doubt.

One `Web` is one pool of connections. Redirects are followed by hand: never to another scheme than
http and https, never from https down to http.
"""

import asyncio
import base64
import binascii
import email.utils
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urljoin, urlsplit

from avsynth.download.governor import Governor
from avsynth.download.items import Item, Outcome, Status, inside
from avsynth.download.parts import CorruptError, Part
from avsynth.errors import MissingExtra

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

Answer = TypeVar("Answer")
SMALL_BYTES = 1 << 20
"""Files up to this size are taken in one piece: to resume them would cost more than it saves."""
BLOCK_BYTES = 1 << 20
MIN_RATE = 10_000
"""Bytes per second below which a transfer counts as hung."""
MAX_REDIRECTS = 5
MAX_WAIT_S = 600.0
MEANING: dict[int, Status] = {
    401: "private",
    403: "private",
    404: "gone",
    410: "gone",
    451: "geo",
}
REDIRECTS = {301, 302, 303, 307, 308}
USER_AGENT = "avsynth (audio-visual segmentation data builder)"


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How to talk to hosts."""

    connections: int = 16
    attempts: int = 4
    timeout_s: float = 30.0
    """How long a host may stay silent."""
    backoff_s: float = 0.5
    """The wait after a first failure; doubles with each."""
    mirrors: Mapping[str, str] = field(default_factory=dict)
    """URL prefix → the prefix to ask instead."""


class RefusalError(Exception):
    """The host, or our own caution, says no.

    Args:
        status: what it means for the item.
        reason: in words.
        wait_s: how long the host asks us to wait.
        again: whether the same request may succeed later.
    """

    def __init__(
        self, status: Status, reason: str, *, wait_s: float = 0.0, again: bool = False
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.wait_s, self.again = status, reason, wait_s, again
        self.attempts = 1

    def outcome(self) -> Outcome:
        """Say it as the outcome of an item."""
        return Outcome(self.status, self.reason, attempts=self.attempts)


class Web:
    """A pool of connections; use as an async context manager."""

    def __init__(self, settings: WebSettings) -> None:
        self.settings = settings
        self._governors: dict[str, Governor] = {}
        self._session: ClientSession

    async def __aenter__(self) -> Self:
        try:
            import aiohttp
        except ImportError:
            raise MissingExtra("aiohttp", "download") from None
        limit = self.settings.connections
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, limit_per_host=limit),
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self.settings.timeout_s,
                sock_read=self.settings.timeout_s,
            ),
            auto_decompress=False,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._session.close()

    def mirrored(self, url: str) -> str:
        """Put a mirror's prefix in the place of the official one; the longest match wins."""
        for prefix in sorted(self.settings.mirrors, key=len, reverse=True):
            if url.startswith(prefix):
                return self.settings.mirrors[prefix] + url[len(prefix) :]
        return url

    @asynccontextmanager
    async def get(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator["ClientResponse"]:
        """Ask for a URL and follow its redirects.

        Raises:
            RefusalError: a redirect elsewhere than http(s), or too many of them.
        """
        here = self.mirrored(url)
        for _ in range(MAX_REDIRECTS + 1):
            _check_scheme(here, here)
            async with self._session.get(here, headers=headers, allow_redirects=False) as response:
                if response.status not in REDIRECTS:
                    yield response
                    return
                there = urljoin(here, response.headers.get("Location", ""))
            _check_scheme(here, there)
            here = there
        raise RefusalError("corrupt", f"more than {MAX_REDIRECTS} redirects")

    async def bring(self, item: Item, root: Path) -> Outcome:
        """Fetch one file, however often that takes within the limits.

        Raises:
            SpaceError: the disk is full; the run must end.
            CircuitOpenError: the host refuses everything.
        """
        part = Part(item, inside(root, item.target))
        try:
            (size, sha256), attempts = await self.persist(item.url, lambda: self._once(item, part))
        except RefusalError as error:
            return error.outcome()
        return Outcome("ok", "", size, sha256, attempts)

    async def persist(self, url: str, once: Callable[[], Awaitable[Answer]]) -> tuple[Answer, int]:
        """Call ``once`` until it succeeds or more attempts make no sense.

        Returns:
            What it returned, and how many attempts that took.

        Raises:
            RefusalError: it never succeeded; says why.
            CircuitOpenError: the host refuses everything.
        """
        import aiohttp

        governor = self._governor(url)
        for attempt in range(1, self.settings.attempts + 1):
            await governor.turn()
            try:
                answer = await once()
                governor.content()
                return answer, attempt
            except RefusalError as error:
                refusal = error
            except CorruptError as error:
                refusal = RefusalError("corrupt", str(error), again=True)
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                refusal = RefusalError("transient", _in_words(error), again=True)
            refusal.attempts = attempt
            if not refusal.again:
                break
            if refusal.wait_s:
                governor.refused(refusal.wait_s)
            elif attempt < self.settings.attempts:
                await asyncio.sleep(self.settings.backoff_s * 2 ** (attempt - 1))
        raise refusal

    def _governor(self, url: str) -> Governor:
        host = urlsplit(self.mirrored(url)).netloc
        if host not in self._governors:
            breaker = 4 * max(8, self.settings.connections)
            self._governors[host] = Governor(0.0, MAX_WAIT_S, breaker)
        return self._governors[host]

    async def _once(self, item: Item, part: Part) -> tuple[int, str]:
        start, validator = part.kept()
        headers = {"Range": f"bytes={start}-", "If-Range": validator} if start else {}
        async with asyncio.timeout(None) as deadline, self.get(item.url, headers) as response:
            if response.status == 416:
                part.forget()
            check_status(response)
            start, total = _extent(response, start)
            if item.bytes is not None and total not in {None, item.bytes}:
                raise CorruptError(f"{total} bytes offered, not {item.bytes}")
            grace = self.settings.timeout_s + (total or item.bytes or 0) / MIN_RATE
            deadline.reschedule(asyncio.get_running_loop().time() + grace)
            part.item = item if item.digest else replace(item, digest=_server_digest(response))
            if not start and total is not None and total <= SMALL_BYTES:
                return part.land_bytes(await response.read())
            return await _stream(response, part, start, total)


async def _stream(
    response: "ClientResponse", part: Part, start: int, total: int | None
) -> tuple[int, str]:
    """Write a body to its part; when it is cut, what came stays for the next attempt."""
    validator = _validator(response)
    writer = part.open(start, validator, total)
    try:
        async for block in response.content.iter_chunked(BLOCK_BYTES):
            writer.write(block)
            if total is not None and writer.size > total:
                raise CorruptError(f"more than the {total} bytes announced")
    finally:
        # What came stays: `Part.kept` offers it again if the host named its version.
        writer.close()
    return writer.land()


def check_status(response: "ClientResponse") -> None:
    """Turn an HTTP status into what it means for an item.

    Raises:
        RefusalError: it is not 200 or 206, or the body is compressed in transit.
    """
    code = response.status
    if code in {200, 206}:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise RefusalError("corrupt", "a compressed answer that was not asked for")
        return
    if code in MEANING:
        raise RefusalError(MEANING[code], f"HTTP {code}")
    if code in {408, 416, 425, 429} or code >= 500:
        wait_s = retry_after(response.headers.get("Retry-After", ""), time.time())
        if code in {429, 503}:
            wait_s = wait_s or 1.0
        raise RefusalError("transient", f"HTTP {code}", wait_s=wait_s, again=True)
    raise RefusalError("gone", f"HTTP {code}")


def retry_after(value: str, now_s: float) -> float:
    """Read a Retry-After header: seconds or a date; 0 when there is none, at most ten minutes."""
    if value.strip().isdecimal():
        return min(float(value), MAX_WAIT_S)
    try:
        when_s = email.utils.parsedate_to_datetime(value).timestamp()
    except ValueError:
        return 0.0
    return min(max(when_s - now_s, 0.0), MAX_WAIT_S)


def _check_scheme(here: str, there: str) -> None:
    scheme = urlsplit(there).scheme
    if scheme not in {"http", "https"}:
        raise RefusalError("corrupt", f"refused a redirect to {scheme or 'no'}: scheme")
    if scheme == "http" and urlsplit(here).scheme == "https":
        raise RefusalError("corrupt", "refused a redirect from https down to http")


def _extent(response: "ClientResponse", start: int) -> tuple[int, int | None]:
    """Say where the body begins in the file and how long the whole file is."""
    length = response.content_length
    if response.status == 200:
        return 0, length
    unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
    first, _, total = extent.partition("/")
    if unit != "bytes" or first.partition("-")[0] != str(start):
        raise RefusalError("corrupt", "the answer is not the range asked for")
    return start, int(total) if total.isdecimal() else None


def _validator(response: "ClientResponse") -> str:
    """Take what identifies this version of the file: a strong ETag, else its date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _server_digest(response: "ClientResponse") -> str:
    """Take the MD5 that Google's storage sends with every plain object."""
    for value in response.headers.getall("x-goog-hash", []):
        for part in value.split(","):
            kind, _, digest = part.strip().partition("=")
            if kind == "md5":
                try:
                    return "md5:" + base64.b64decode(digest, validate=True).hex()
                except binascii.Error:
                    return ""
    return ""


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0]
