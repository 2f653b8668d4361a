"""What an HTTP answer means: its status, its place in the file, its version, its checksum."""

import base64
import binascii
import email.utils
import re
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from avsynth.download.content import SHOW_THEIR_END
from avsynth.download.items import Item, Outcome, Status

if TYPE_CHECKING:
    from aiohttp import ClientResponse

MAX_WAIT_S = 600.0
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", re.ASCII)
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
    try:
        scheme = urlsplit(there).scheme
    except ValueError:
        raise RefusalError("corrupt", "refused a redirect to an invalid address") from None
    if scheme not in {"http", "https"}:
        raise RefusalError("corrupt", f"refused a redirect to {scheme or 'no'}: scheme")
    if scheme == "http" and urlsplit(here).scheme == "https":
        raise RefusalError("corrupt", "refused a redirect from https down to http")


def redirected(here: str, location: str) -> str:
    """Return the address that a redirect leads to.

    Raises:
        RefusalError: it is no address, or leads away from http(s).
    """
    try:
        there = urljoin(here, location)
    except ValueError:
        raise RefusalError("corrupt", "refused a redirect to an invalid address") from None
    check_scheme(here, there)
    return there


def extent(
    response: "ClientResponse", start: int, version: str, known: int | None
) -> tuple[int, int | None]:
    """Return where the body begins in the file and how long the whole file is.

    Args:
        response: with status 200 or 206.
        start: where the body should begin; 0 when the whole file was asked for.
        version: of the part that is here, see `version_of`.
        known: the whole file's length as an earlier answer gave it.

    Raises:
        RefusalError: it is not the rest of the file that was asked for.
    """
    if response.status == 200:
        return 0, response.content_length
    if not start:
        raise RefusalError("corrupt", "a part where the whole file was asked for", again=True)
    match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != start:
        raise RefusalError("corrupt", "the answer is not the range asked for")
    total = int(match[3]) if match[3] != "*" else None
    header = "ETag" if version.startswith('"') else "Last-Modified"
    if response.headers.get(header, version) != version or (known or total) != total:
        raise RefusalError("corrupt", "the rest is of another version of the file", again=True)
    return start, total


def check_kind(response: "ClientResponse", item: Item) -> None:
    """Check that an answer is no error page, and that its end can be told.

    Raises:
        RefusalError: it is a web page, or its length is not known by any means.
    """
    suffix = PurePosixPath(item.target).suffix.lower()
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in {"text/html", "application/xhtml+xml"} and not item.digest:
        raise RefusalError("corrupt", "a web page in place of the file", again=True)
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    told = response.content_length is not None or chunked or item.bytes is not None
    if not told and not item.digest and suffix not in SHOW_THEIR_END:
        raise RefusalError("transient", "a body whose length is not announced", again=True)


def version_of(response: "ClientResponse") -> str:
    """Return what identifies this version of the file: a strong ETag, else its date."""
    etag = response.headers.get("ETag", "")
    version = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
    return version if version.isascii() and version.isprintable() else ""


def server_digest(response: "ClientResponse") -> str:
    """Take the MD5 that Google's storage sends with every plain object."""
    for value in response.headers.getall("x-goog-hash", []):
        for part in value.split(","):
            kind, _, digest = part.strip().partition("=")
            if kind == "md5":
                try:
                    return "md5:" + base64.b64decode(digest, validate=True).hex()
                except (binascii.Error, ValueError):
                    return ""
    return ""
