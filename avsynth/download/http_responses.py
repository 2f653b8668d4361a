"""Interpretation of HTTP responses: status, byte range, version and checksum."""

import base64
import binascii
import email.utils
import re
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from avsynth.download.content import SELF_TERMINATED_SUFFIXES
from avsynth.download.items import Item, Outcome, Status

if TYPE_CHECKING:
    from aiohttp import ClientResponse

MAX_WAIT_S = 600.0
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", re.ASCII)
STATUS_BY_CODE: dict[int, Status] = {
    401: "private",
    403: "private",
    404: "gone",
    410: "gone",
    451: "geo",
}


class RefusalError(Exception):
    """A request that the host refused, or that the client rejects as unsafe.

    Args:
        status: the resulting status of the item.
        reason: the reason, for the ledger.
        wait_s: wait that the host asks for.
        retryable: whether the same request may succeed later.
    """

    def __init__(
        self, status: Status, reason: str, *, wait_s: float = 0.0, retryable: bool = False
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.wait_s, self.retryable = status, reason, wait_s, retryable
        self.attempts = 1

    def outcome(self) -> Outcome:
        """Return the refusal as the outcome of an item."""
        return Outcome(self.status, self.reason, attempts=self.attempts)


def check_status(response: "ClientResponse") -> None:
    """Check that a response is usable.

    Raises:
        RefusalError: the status is not 200 or 206, or the body is compressed in transit.
    """
    code = response.status
    if code in {200, 206}:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise RefusalError("corrupt", "a compressed response that was not requested")
        return
    if code in STATUS_BY_CODE:
        raise RefusalError(STATUS_BY_CODE[code], f"HTTP {code}")
    if code in {408, 416, 425, 429} or code >= 500:
        wait_s = parse_retry_after(response.headers.get("Retry-After", ""), time.time())
        if code in {429, 503}:
            wait_s = wait_s or 1.0
        raise RefusalError("transient", f"HTTP {code}", wait_s=wait_s, retryable=True)
    raise RefusalError("gone", f"HTTP {code}")


def parse_retry_after(value: str, now_s: float) -> float:
    """Parse a Retry-After header, seconds or a date; 0 for an invalid one, at most ten minutes."""
    if value.strip().isdecimal():
        return min(float(value), MAX_WAIT_S)
    try:
        when_s = email.utils.parsedate_to_datetime(value).timestamp()
    except ValueError:
        return 0.0
    return min(max(when_s - now_s, 0.0), MAX_WAIT_S)


def check_scheme(source_url: str, location: str) -> None:
    """Check that a redirect stays on http(s) and never goes from https to http.

    Raises:
        RefusalError: the redirect leaves http(s), or goes from https to http.
    """
    try:
        scheme = urlsplit(location).scheme
    except ValueError:
        raise RefusalError("corrupt", "refused a redirect to an invalid URL") from None
    if scheme not in {"http", "https"}:
        raise RefusalError("corrupt", f"refused a redirect to {scheme or 'no'}: scheme")
    if scheme == "http" and urlsplit(source_url).scheme == "https":
        raise RefusalError("corrupt", "refused a redirect from https to http")


def resolve_redirect(source_url: str, location: str) -> str:
    """Return the URL that a redirect points to.

    Args:
        source_url: the URL that sent the redirect.
        location: its Location header, absolute or relative.

    Raises:
        RefusalError: the URL is invalid, leaves http(s), or goes from https to http.
    """
    try:
        url = urljoin(source_url, location)
    except ValueError:
        raise RefusalError("corrupt", "refused a redirect to an invalid URL") from None
    check_scheme(source_url, url)
    return url


def parse_content_range(
    response: "ClientResponse", start: int, version: str, known_total: int | None
) -> tuple[int, int | None]:
    """Return the body's offset in the file, and the file's size in bytes (None if unknown).

    Args:
        response: a response with status 200 or 206.
        start: the requested offset; 0 if the whole file was requested.
        version: the version of the bytes received so far, see `read_version`.
        known_total: the file's size according to an earlier response.

    Raises:
        RefusalError: the body is not the requested rest of the same version of the file.
    """
    if response.status == 200:
        return 0, response.content_length
    if not start:
        raise RefusalError("corrupt", "a partial response that was not requested", retryable=True)
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != start:
        raise RefusalError("corrupt", "the response is not the requested range")
    total = int(match[3]) if match[3] != "*" else None
    header = "ETag" if version.startswith('"') else "Last-Modified"
    if response.headers.get(header, version) != version or (known_total or total) != total:
        raise RefusalError("corrupt", "the file changed between two requests", retryable=True)
    return start, total


def check_body_headers(response: "ClientResponse", item: Item) -> None:
    """Check that a response is not a web page, and that a truncated body would be noticed.

    Raises:
        RefusalError: the body is a web page, or nothing announces where it ends.
    """
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type in {"text/html", "application/xhtml+xml"} and not item.digest:
        raise RefusalError("corrupt", "a web page instead of the file", retryable=True)
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    announced = response.content_length is not None or chunked or item.bytes is not None
    suffix = PurePosixPath(item.target).suffix.lower()
    if not announced and not item.digest and suffix not in SELF_TERMINATED_SUFFIXES:
        raise RefusalError("transient", "a body without an announced length", retryable=True)


def read_version(response: "ClientResponse") -> str:
    """Return the version of the file: a strong ETag, else Last-Modified, else empty."""
    etag = response.headers.get("ETag", "")
    version = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
    return version if version.isascii() and version.isprintable() else ""


def read_server_digest(response: "ClientResponse") -> str:
    """Return ``md5:<hex>`` from Google storage's ``x-goog-hash`` header; empty without one."""
    for value in response.headers.getall("x-goog-hash", []):
        for part in value.split(","):
            kind, _, digest = part.strip().partition("=")
            if kind == "md5":
                try:
                    return "md5:" + base64.b64decode(digest, validate=True).hex()
                except (binascii.Error, ValueError):
                    return ""
    return ""
