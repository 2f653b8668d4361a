"""Interpretation of HTTP responses: status, byte range, version and checksum."""

import base64
import binascii
import email.utils
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from avsynth.download.items import Outcome, Status

if TYPE_CHECKING:
    from aiohttp import ClientResponse

MAX_WAIT_S = 600.0
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
    scheme = urlsplit(location).scheme
    if scheme not in {"http", "https"}:
        raise RefusalError("corrupt", f"refused a redirect to {scheme or 'no'}: scheme")
    if scheme == "http" and urlsplit(source_url).scheme == "https":
        raise RefusalError("corrupt", "refused a redirect from https to http")


def parse_content_range(response: "ClientResponse", start: int) -> tuple[int, int | None]:
    """Return the body's offset in the file, and the file's size in bytes (None if unknown)."""
    length = response.content_length
    if response.status == 200:
        return 0, length
    unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
    first, _, total = extent.partition("/")
    if unit != "bytes" or first.partition("-")[0] != str(start):
        raise RefusalError("corrupt", "the response is not the requested range")
    return start, int(total) if total.isdecimal() else None


def read_version(response: "ClientResponse") -> str:
    """Return the version of the file: a strong ETag, else Last-Modified, else empty."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def read_server_digest(response: "ClientResponse") -> str:
    """Return ``md5:<hex>`` from Google storage's ``x-goog-hash`` header; empty without one."""
    for value in response.headers.getall("x-goog-hash", []):
        for part in value.split(","):
            kind, _, digest = part.strip().partition("=")
            if kind == "md5":
                try:
                    return "md5:" + base64.b64decode(digest, validate=True).hex()
                except binascii.Error:
                    return ""
    return ""
