"""What an HTTP answer means: its status, its place in the file, its version, its checksum."""

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
MEANING: dict[int, Status] = {
    401: "private",
    403: "private",
    404: "gone",
    410: "gone",
    451: "geo",
}


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


def check_scheme(here: str, there: str) -> None:
    """See that a redirect stays with http(s), and with https once there.

    Raises:
        RefusalError: it does not.
    """
    scheme = urlsplit(there).scheme
    if scheme not in {"http", "https"}:
        raise RefusalError("corrupt", f"refused a redirect to {scheme or 'no'}: scheme")
    if scheme == "http" and urlsplit(here).scheme == "https":
        raise RefusalError("corrupt", "refused a redirect from https down to http")


def extent(response: "ClientResponse", start: int) -> tuple[int, int | None]:
    """Say where the body begins in the file and how long the whole file is."""
    length = response.content_length
    if response.status == 200:
        return 0, length
    unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
    first, _, total = extent.partition("/")
    if unit != "bytes" or first.partition("-")[0] != str(start):
        raise RefusalError("corrupt", "the answer is not the range asked for")
    return start, int(total) if total.isdecimal() else None


def version_of(response: "ClientResponse") -> str:
    """Take what identifies this version of the file: a strong ETag, else its date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def server_digest(response: "ClientResponse") -> str:
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
