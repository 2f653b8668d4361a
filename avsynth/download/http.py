"""`Web`, an HTTP client that resumes, checks and retries downloads.

One `Web` is one pool of connections. It follows redirects itself and refuses those to another
scheme than http and https, and those from https to http.
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
    check_body_headers,
    check_scheme,
    check_status,
    parse_content_range,
    read_server_digest,
    read_version,
    resolve_redirect,
)
from avsynth.download.items import Item, Outcome
from avsynth.download.partial_file import CorruptError, PartialFile
from avsynth.download.rate_limit import RateLimiter
from avsynth.runtime.errors import MissingExtra

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

Result = TypeVar("Result")
SMALL_BYTES = 1 << 20
"""Files up to this size are read in one piece: resuming them would cost more than it saves."""
BLOCK_BYTES = 1 << 20
MAX_UNANNOUNCED_BYTES = 1 << 30
"""Limit for a body without Content-Length, which could be endless."""
MIN_RATE = 10_000
"""Bytes per second below which a transfer counts as hanging."""
HEADERS_TIMEOUTS = 4
"""Timeouts from a request to the end of the headers, which a host may send byte by byte."""
MAX_FILE_BYTES = 1 << 40
"""No published file is larger; such a length is wrong, not a sign of a full disk."""
MAX_REDIRECTS = 5
REDIRECTS = {301, 302, 303, 307, 308}
USER_AGENT = "avsynth (audio-visual segmentation data builder)"


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Settings of the HTTP client."""

    connections: int = 16
    attempts: int = 4
    timeout_s: float = 30.0
    """Limit for connecting and for each read."""
    backoff_s: float = 0.5
    """Wait after the first failure; doubles with each further failure."""
    mirrors: Mapping[str, str] = field(default_factory=dict)
    """Official URL prefix → the mirror's prefix."""


class Web:
    """An HTTP client with a pool of connections; use it as an async context manager."""

    def __init__(self, settings: WebSettings) -> None:
        self.settings = settings
        self._limiters: dict[str, RateLimiter] = {}
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

    def resolve_mirror(self, url: str) -> str:
        """Replace the official prefix of a URL by a mirror's; the longest match wins."""
        for prefix in sorted(self.settings.mirrors, key=len, reverse=True):
            if url.startswith(prefix):
                return self.settings.mirrors[prefix] + url[len(prefix) :]
        return url

    @asynccontextmanager
    async def get(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator["ClientResponse"]:
        """Open a URL and follow its redirects.

        Raises:
            RefusalError: a redirect to another scheme than http(s), or too many redirects.
        """
        source_url = self.resolve_mirror(url)
        for _ in range(MAX_REDIRECTS + 1):
            check_scheme(source_url, source_url)
            async with asyncio.timeout(HEADERS_TIMEOUTS * self.settings.timeout_s):
                response = await self._session.get(
                    source_url, headers=headers, allow_redirects=False
                )
            async with response:
                if response.status not in REDIRECTS:
                    yield response
                    return
                location = response.headers.get("Location", "")
            source_url = resolve_redirect(source_url, location)
        raise RefusalError("corrupt", f"more than {MAX_REDIRECTS} redirects")

    async def download(self, item: Item, root: Path) -> Outcome:
        """Download one file, with retries.

        Raises:
            SpaceError: the disk is full; the run must end.
            CircuitOpenError: the host refuses every request.
        """
        partial_file = PartialFile(item, inside(root, item.target))
        try:
            (size, sha256), attempts = await self.call_with_retries(
                item.url, lambda: self._once(item, partial_file)
            )
        except RefusalError as error:
            return error.outcome()
        return Outcome("ok", "", size, sha256, attempts)

    async def call_with_retries(
        self, url: str, once: Callable[[], Awaitable[Result]]
    ) -> tuple[Result, int]:
        """Call ``once`` until it succeeds, fails for good, or the attempts are used up.

        Args:
            url: its host selects the rate limiter.
            once: makes one attempt.

        Returns:
            The result of ``once``, and the number of attempts.

        Raises:
            RefusalError: no attempt succeeded; gives the reason of the last one.
            CircuitOpenError: the host refuses every request.
        """
        import aiohttp

        limiter = self._limiter(url)
        for attempt in range(1, self.settings.attempts + 1):
            await limiter.acquire()
            try:
                result = await once()
                limiter.on_success()
                return result, attempt
            except RefusalError as error:
                refusal = error
            except CorruptError as error:
                refusal = RefusalError("corrupt", str(error), retryable=True)
            except (aiohttp.InvalidURL, UnicodeError):
                refusal = RefusalError("corrupt", "an invalid URL")
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                refusal = RefusalError("transient", _in_words(error), retryable=True)
            refusal.attempts = attempt
            if not refusal.retryable:
                break
            if refusal.wait_s:
                limiter.on_refusal(refusal.wait_s)
            elif attempt < self.settings.attempts:
                await asyncio.sleep(self.settings.backoff_s * 2 ** (attempt - 1))
        raise refusal

    def _limiter(self, url: str) -> RateLimiter:
        try:
            host = urlsplit(self.resolve_mirror(url)).netloc
        except ValueError:  # such as http://[::1
            raise RefusalError("corrupt", "an invalid URL") from None
        if host not in self._limiters:
            max_refusals = 4 * max(8, self.settings.connections)
            self._limiters[host] = RateLimiter(0.0, MAX_WAIT_S, max_refusals)
        return self._limiters[host]

    async def _once(self, item: Item, partial_file: PartialFile) -> tuple[int, str]:
        start, version, known_total = partial_file.resume_point()
        headers = {"Range": f"bytes={start}-", "If-Range": version} if start else {}
        async with asyncio.timeout(None) as deadline, self.get(item.url, headers) as response:
            if response.status == 416:
                partial_file.discard()
            check_status(response)
            check_body_headers(response, item)
            try:
                start, total = parse_content_range(response, start, version, known_total)
            except RefusalError:
                partial_file.discard()
                raise
            if item.bytes is not None and total not in {None, item.bytes}:
                raise CorruptError(f"{total} bytes offered, not {item.bytes}")
            if total is not None and total > MAX_FILE_BYTES:
                raise RefusalError("corrupt", f"an announced length of {total:,} bytes")
            grace = self.settings.timeout_s + (total or item.bytes or 0) / MIN_RATE
            deadline.reschedule(asyncio.get_running_loop().time() + grace)
            if not item.digest and (digest := read_server_digest(response)):
                partial_file.item = replace(item, digest=digest)
            if not start and total is not None and total <= SMALL_BYTES:
                return partial_file.commit_bytes(await response.read())
            return await _stream(response, partial_file, start, total)


async def _stream(
    response: "ClientResponse", partial_file: PartialFile, start: int, total: int | None
) -> tuple[int, str]:
    """Write a body to its partial file, which stays for the next attempt after an interruption."""
    version = read_version(response)
    most = total if total is not None else MAX_UNANNOUNCED_BYTES
    writer = partial_file.open(start, version, total)
    try:
        async for block in response.content.iter_chunked(BLOCK_BYTES):
            writer.write(block)
            if writer.size > most:
                raise RefusalError("corrupt", f"more than {most} bytes, announced: {total}")
    finally:
        # `PartialFile.resume_point` offers these bytes again if the host gave a version.
        writer.close()
    if total is not None and writer.size < total:
        raise RefusalError("transient", f"received {writer.size} of {total} bytes", retryable=True)
    return writer.commit()


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0]
