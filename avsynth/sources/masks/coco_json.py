"""Streaming reader of annotation files of the COCO family (COCO instances, LVIS).

Such a file is one JSON object whose long arrays (``annotations``, ``images``) may have any order.
It is read a megabyte at a time. Each piece is cut between two elements of the array and decoded
to typed structs, with the polygons left as raw bytes, so memory does not grow with the file. A
cut is right if and only if the piece before it decodes, because a JSON prefix parses in one way
only. If no cut is found, the element-wise parser of `ijson` reads the rest.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import ijson
import msgspec

from avsynth.runtime.errors import DataError

CHUNK_BYTES = 1 << 20
_WINDOW_LIMIT = 64 << 20
_MAX_END_CANDIDATES = 8
_ELEMENTS = 4096
_SPACE = b" \t\r\n"
_ARRAY_END = re.compile(rb"\}\s*\]")


# Bounds of the index's columns; a file beyond them is damaged or not of this family.
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
SmallId = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**16)]


class Annotation(msgspec.Struct, gc=False):
    """One instance; ``segmentation`` is the file's own JSON text."""

    id: Id
    image_id: Id
    category_id: SmallId
    area: float = 0.0
    bbox: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    iscrowd: bool | int = 0
    segmentation: msgspec.Raw = msgspec.Raw()


class Image(msgspec.Struct, gc=False):
    """One image; ``coco_url`` is in both datasets, ``file_name`` in COCO only."""

    id: Id
    height: Side
    width: Side
    file_name: str = ""
    coco_url: str = ""
    flickr_url: str = ""
    license: int = 0
    not_exhaustive_category_ids: tuple[int, ...] = ()


class SourceCategory(msgspec.Struct, gc=False):
    """One category under the file's name; only LVIS has synsets and synonyms."""

    id: SmallId
    name: str
    synset: str = ""
    synonyms: tuple[str, ...] = ()


class Licence(msgspec.Struct, gc=False):
    """One entry of ``licenses``."""

    id: int
    name: str = ""
    url: str = ""


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "annotations": Annotation,
    "images": Image,
    "categories": SourceCategory,
    "licenses": Licence,
}
_DECODERS: dict[str, "msgspec.json.Decoder[list[Any]]"] = {
    name: msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
    for name, kind in SECTIONS.items()
}
_REQUIRED = ("annotations", "images", "categories")


def stream_sections(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """Yield ``(section, elements)`` pieces in the file's order; elements as in `SECTIONS`.

    An empty array yields one empty piece.

    Raises:
        DataError: the file is absent, truncated, not JSON, or JSON of another format.
    """
    done: Counter[str] = Counter()
    try:
        with path.open("rb") as file:
            try:
                for name, items in _stream_chunks(file):
                    done[name] += len(items)
                    yield name, items
            except _NoCutError:
                file.seek(0)
                for name, items in _stream_elements(file, Counter(done)):
                    done[name] += len(items)
                    yield name, items
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None
    except msgspec.ValidationError as error:
        raise _damaged(path, f"JSON of another format ({error})") from None
    except (ValueError, RecursionError, ijson.JSONError) as error:
        first_line, _, _ = str(error).partition("\n")
        raise _damaged(path, f"damaged or truncated JSON ({first_line})") from None
    missing = [name for name in _REQUIRED if name not in done]
    if missing:
        raise _damaged(path, "JSON without the array " + " ".join(map(repr, missing)))


def _damaged(path: Path, found: str) -> DataError:
    return DataError(
        str(path),
        "an annotation file with the arrays " + ", ".join(_REQUIRED),
        found,
        "Get the file again, or correct its name in params.yaml.",
    )


class _NoCutError(Exception):
    """The fast reader found no cut in this file."""


class _Window:
    """The part of the file that is in memory, and the read position in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.data = b""
        self.at = 0

    def grow(self) -> bool:
        """Drop the bytes already read and at least double the rest; return False at the end."""
        rest = self.data[self.at :]
        if len(rest) > _WINDOW_LIMIT:
            raise _NoCutError
        more = self._file.read(max(CHUNK_BYTES, len(rest)))
        self.data = rest + more
        self.at = 0
        return bool(more)

    def peek(self) -> bytes:
        """Skip white space and return the next byte; empty at the end of the file."""
        while True:
            data, at = self.data, self.at
            while at < len(data) and data[at] in _SPACE:
                at += 1
            self.at = at
            if at < len(data):
                return data[at : at + 1]
            if not self.grow():
                return b""

    def expect(self, byte: bytes) -> None:
        """Skip white space and one byte, which must be this one."""
        if self.peek() != byte:
            raise _NoCutError
        self.at += 1

    def value(self) -> Any:
        """Read one JSON value of moderate size."""
        self.peek()
        while True:
            # A character cut at the window's end belongs to a value that continues after it.
            text = self.data[self.at :].decode("utf-8", "ignore")
            try:
                value, end = json.JSONDecoder().raw_decode(text)
            except json.JSONDecodeError:
                end = len(text)
            if end < len(text):  # a number at the window's end may continue after it
                self.at += len(text[:end].encode())
                return value
            if not self.grow():
                raise _NoCutError


def _stream_chunks(file: BinaryIO) -> Iterator[tuple[str, list[Any]]]:
    window = _Window(file)
    window.expect(b"{")
    more = window.peek() != b"}"
    while more:
        name = window.value()
        window.expect(b":")
        if not isinstance(name, str):
            raise _NoCutError
        if name in SECTIONS and window.peek() == b"[":
            for items in _array(window, _DECODERS[name]):
                yield name, items
        else:
            window.value()
        more = window.peek() != b"}"
        if more:
            window.expect(b",")
    window.expect(b"}")
    if window.peek():
        raise _NoCutError


def _array(window: _Window, decoder: "msgspec.json.Decoder[list[Any]]") -> Iterator[list[Any]]:
    window.expect(b"[")
    if window.peek() == b"]":
        window.at += 1
        yield []
        return
    more = True
    while True:
        if len(window.data) - window.at < CHUNK_BYTES:
            more = window.grow()
        start, data = window.at, window.data
        cut = _last_cut(data, start)
        if cut and (items := _decode(decoder, data[start:cut])) is not None:
            yield items
            window.at = cut
            window.expect(b",")
            continue
        for match in islice(_ARRAY_END.finditer(data, start), _MAX_END_CANDIDATES):
            items = _decode(decoder, data[start : match.start() + 1])
            if items is not None:
                yield items
                window.at = match.end()
                return
        if not (more and window.grow()):
            raise _NoCutError


def _last_cut(data: bytes, start: int) -> int:
    """Return the end of the last element that has a successor; 0 if there is none."""
    at = data.rfind(b"{", start)
    while at > start:
        before = data[max(start, at - 64) : at].rstrip(_SPACE)
        if before.endswith(b","):
            before = before[:-1].rstrip(_SPACE)
            if before.endswith(b"}"):
                return max(start, at - 64) + len(before)
        at = data.rfind(b"{", start, at)
    return 0


def _decode(decoder: "msgspec.json.Decoder[list[Any]]", piece: bytes) -> list[Any] | None:
    try:
        return decoder.decode(b"[" + piece + b"]")
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return None


def _stream_elements(file: BinaryIO, done: Counter[str]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the elements of each section after the first ``done``, parsed one by one."""
    for name, decoder in _DECODERS.items():
        file.seek(0)
        rest = islice(ijson.items(file, f"{name}.item", use_float=True), done[name], None)
        while batch := list(islice(rest, _ELEMENTS)):
            yield name, decoder.decode(msgspec.json.encode(batch))
