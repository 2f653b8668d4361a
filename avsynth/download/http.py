"""Files over HTTP: resumed where they were cut, checked, retried, and refused when in doubt.

One `Web` is one pool of connections. Redirects are followed by hand: never to another scheme than
http and https, never from https down to http.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

from avsynth.core.names import inside
from avsynth.download.http_responses import (
    MAX_WAIT_S,
    RefusalError,
    check_kind,
    check_scheme,
    check_status,
    extent,
    redirected,
    server_digest,
    version_of,
)
from avsynth.download.items import Item, Outcome
from avsynth.download.partial_file import CorruptError, Part
from avsynth.download.rate_limit import Governor
from avsynth.runtime.errors import MissingExtra

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

Answer = TypeVar("Answer")
SMALL_BYTES = 1 << 20
"""Files up to this size are taken in one piece: to resume them would cost more than it saves."""
BLOCK_BYTES = 1 << 20
MAX_UNANNOUNCED_BYTES = 1 << 30
"""A body without a length could go on for ever."""
MIN_RATE = 10_000
"""Bytes per second below which a transfer counts as hung."""
MAX_REDIRECTS = 5
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
            check_scheme(here, here)
            async with self._session.get(here, headers=headers, allow_redirects=False) as response:
                if response.status not in REDIRECTS:
                    yield response
                    return
                location = response.headers.get("Location", "")
            here = redirected(here, location)
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
        start, validator, known = part.kept()
        headers = {"Range": f"bytes={start}-", "If-Range": validator} if start else {}
        async with asyncio.timeout(None) as deadline, self.get(item.url, headers) as response:
            if response.status == 416:
                part.forget()
            check_status(response)
            check_kind(response, item)
            try:
                start, total = extent(response, start, validator, known)
            except RefusalError:
                part.forget()
                raise
            if item.bytes is not None and total not in {None, item.bytes}:
                raise CorruptError(f"{total} bytes offered, not {item.bytes}")
            grace = self.settings.timeout_s + (total or item.bytes or 0) / MIN_RATE
            deadline.reschedule(asyncio.get_running_loop().time() + grace)
            if not item.digest and (digest := server_digest(response)):
                part.item = replace(item, digest=digest)
            if not start and total is not None and total <= SMALL_BYTES:
                return part.land_bytes(await response.read())
            return await _stream(response, part, start, total)


async def _stream(
    response: "ClientResponse", part: Part, start: int, total: int | None
) -> tuple[int, str]:
    """Write a body to its part; when it is cut, what came stays for the next attempt."""
    validator = version_of(response)
    most = total if total is not None else MAX_UNANNOUNCED_BYTES
    writer = part.open(start, validator, total)
    try:
        async for block in response.content.iter_chunked(BLOCK_BYTES):
            writer.write(block)
            if writer.size > most:
                raise RefusalError("corrupt", f"more than {most} bytes, announced: {total}")
    finally:
        # What came stays: `Part.kept` offers it again if the host named its version.
        writer.close()
    if total is not None and writer.size < total:
        raise RefusalError("transient", f"{writer.size} of {total} bytes came", again=True)
    return writer.land()


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0]
