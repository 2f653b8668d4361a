"""Read an annotation file of the COCO family (COCO instances, LVIS) as a stream.

Such a file is one JSON object whose long arrays (``annotations``, ``images``) may stand in any
order. It is read a megabyte at a time; each piece is cut between two elements of the array
and decoded to typed structs, with the polygons left as raw bytes, so that memory does not grow
with the file. A cut is right if and only if the piece before it decodes, because a JSON prefix
parses in one way only. Where no cut can be found, the element-wise parser of `ijson` takes over.
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
_MOST_END_CANDIDATES = 8
_ELEMENTS = 4096
_SPACE = b" \t\r\n"
_ARRAY_END = re.compile(rb"\}\s*\]")


# Bounds that the index's columns can hold; a file beyond them is damaged or not of this family.
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
SmallId = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**16)]


class Annotation(msgspec.Struct, gc=False):
    """One instance; ``segmentation`` keeps the file's own JSON text."""

    id: Id
    image_id: Id
    category_id: SmallId
    area: float = 0.0
    bbox: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    iscrowd: bool | int = 0
    segmentation: msgspec.Raw = msgspec.Raw()


class Image(msgspec.Struct, gc=False):
    """One picture; ``coco_url`` is in both datasets, ``file_name`` in COCO only."""

    id: Id
    height: Side
    width: Side
    file_name: str = ""
    coco_url: str = ""
    flickr_url: str = ""
    license: int = 0
    not_exhaustive_category_ids: tuple[int, ...] = ()


class SourceCategory(msgspec.Struct, gc=False):
    """One category as the file names it; only LVIS has synsets and synonyms."""

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

    An array that is present and empty yields one empty piece.

    Raises:
        DataError: the file is absent, truncated, not JSON, or JSON of another kind.
    """
    done: Counter[str] = Counter()
    try:
        with path.open("rb") as file:
            try:
                for name, items in _stream_chunks(file):
                    done[name] += len(items)
                    yield name, items
            except _UncleanError:
                file.seek(0)
                for name, items in _stream_elements(file, Counter(done)):
                    done[name] += len(items)
                    yield name, items
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None
    except msgspec.ValidationError as error:
        raise _damaged(path, f"another kind of JSON ({error})") from None
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
        "Fetch the file again, or name the right one in params.yaml.",
    )


class _UncleanError(Exception):
    """The quick way cannot cut this file."""


class _Window:
    """The part of the file that is in memory, and where reading stands in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.data = b""
        self.at = 0

    def grow(self) -> bool:
        """Drop what was read, append as much as is left, at least a chunk; False at the end."""
        rest = self.data[self.at :]
        if len(rest) > _WINDOW_LIMIT:
            raise _UncleanError
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

    def take(self, byte: bytes) -> None:
        if self.peek() != byte:
            raise _UncleanError
        self.at += 1

    def value(self) -> Any:
        """Read one JSON value of moderate size."""
        self.peek()
        while True:
            # A character cut in two by the window's end belongs to a value that goes on after it.
            text = self.data[self.at :].decode("utf-8", "ignore")
            try:
                value, end = json.JSONDecoder().raw_decode(text)
            except json.JSONDecodeError:
                end = len(text)
            if end < len(text):  # a number that touches the window's end may go on
                self.at += len(text[:end].encode())
                return value
            if not self.grow():
                raise _UncleanError


def _stream_chunks(file: BinaryIO) -> Iterator[tuple[str, list[Any]]]:
    window = _Window(file)
    window.take(b"{")
    more = window.peek() != b"}"
    while more:
        name = window.value()
        window.take(b":")
        if not isinstance(name, str):
            raise _UncleanError
        if name in SECTIONS and window.peek() == b"[":
            for items in _array(window, _DECODERS[name]):
                yield name, items
        else:
            window.value()
        more = window.peek() != b"}"
        if more:
            window.take(b",")
    window.take(b"}")
    if window.peek():
        raise _UncleanError


def _array(window: _Window, decoder: "msgspec.json.Decoder[list[Any]]") -> Iterator[list[Any]]:
    window.take(b"[")
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
            window.take(b",")
            continue
        for match in islice(_ARRAY_END.finditer(data, start), _MOST_END_CANDIDATES):
            items = _decode(decoder, data[start : match.start() + 1])
            if items is not None:
                yield items
                window.at = match.end()
                return
        if not (more and window.grow()):
            raise _UncleanError


def _last_cut(data: bytes, start: int) -> int:
    """Find the end of the last element that another one follows; 0 if there is none."""
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
    """Go on element by element, after the ``done`` first ones of each section."""
    for name, decoder in _DECODERS.items():
        file.seek(0)
        rest = islice(ijson.items(file, f"{name}.item", use_float=True), done[name], None)
        while batch := list(islice(rest, _ELEMENTS)):
            yield name, decoder.decode(msgspec.json.encode(batch))
