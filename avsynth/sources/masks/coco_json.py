"""Streaming reader of annotation files of the COCO family (COCO instances, LVIS).

Such a file is one JSON object whose long arrays (``annotations``, ``images``) may have any order.
It is read a megabyte at a time. Each piece is cut between two elements of the array and decoded
to typed structs, with the polygons left as raw bytes, so memory does not grow with the file. A
cut is right if and only if the piece before it decodes, because a JSON prefix parses in one way
only. If no cut is found, the element-wise parser of `ijson` reads the rest.

Only fields that are used are checked. An invalid annotation becomes a placeholder with a negative
id, an invalid image or licence is left out; see `stream_sections`.
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


NO_CATEGORY = -1
"""Category id of an invalid annotation that has none."""


class Annotation(msgspec.Struct, gc=False):
    """One instance; ``segmentation`` is the file's own JSON text.

    The placeholder of the invalid annotation at index ``i`` of its array has the id ``-1 - i``.
    """

    id: Id
    image_id: Id
    category_id: SmallId
    iscrowd: bool | int | None = 0
    segmentation: msgspec.Raw = msgspec.Raw()


class Image(msgspec.Struct, gc=False):
    """One image; ``coco_url`` is in both datasets, ``file_name`` in COCO only."""

    id: Id
    height: Side
    width: Side
    file_name: str | None = ""
    coco_url: str | None = ""
    flickr_url: str | None = ""
    license: int | str | None = 0
    not_exhaustive_category_ids: tuple[int, ...] | None = ()


class SourceCategory(msgspec.Struct, gc=False):
    """One category under the file's name; only LVIS has synsets and synonyms."""

    id: SmallId
    name: str
    synset: str = ""
    synonyms: tuple[str, ...] = ()


class Licence(msgspec.Struct, gc=False):
    """One entry of ``licenses``."""

    id: int
    name: str | None = ""
    url: str | None = ""


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
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_BOM = b"\xef\xbb\xbf"
# Strings are matched first, so that the words inside of them stay. Python's json writes the words.
_STRING_OR_WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)


class _CategoryOnly(msgspec.Struct):
    """The one field that decides where an invalid annotation is counted."""

    category_id: SmallId


class _Invalid:
    """An element that lacks a used field, or has another type there."""

    def __init__(self, raw: msgspec.Raw, error: str) -> None:
        self.raw, self.error = bytes(raw), error

    def placeholder(self, index: int) -> Annotation:
        """Return the annotation that stands for this one."""
        try:
            category_id = msgspec.json.decode(self.raw, type=_CategoryOnly).category_id
        except msgspec.DecodeError:
            category_id = NO_CATEGORY
        return Annotation(-1 - index, 0, category_id)

    def fault(self, section: str, index: int) -> str:
        """Return the section, index, field and fault, e.g. ``images[3].height: Expected ...``."""
        what, _, path = self.error.partition(" - at `$")
        return f"{section}[{index}]{path.rstrip('`')}: {what}"


class _Progress:
    """What is read of each section so far."""

    def __init__(self) -> None:
        self.done = Counter[str]()
        self.valid = Counter[str]()
        self.faults: dict[str, str] = {}

    def take(self, section: str, items: list[Any]) -> list[Any]:
        """Count elements; return them without the invalid ones, annotations with placeholders."""
        start = self.done[section]
        self.done[section] += len(items)
        invalid = [at for at, item in enumerate(items) if type(item) is _Invalid]
        self.valid[section] += len(items) - len(invalid)
        if not invalid:
            return items
        fault = items[invalid[0]].fault(section, start + invalid[0])
        self.faults.setdefault(section, fault)
        if section == "categories":
            raise msgspec.ValidationError(fault)
        if section == "annotations":
            for at in invalid:
                items[at] = items[at].placeholder(start + at)
        return [item for item in items if type(item) is not _Invalid]

    def fault(self) -> str:
        """Return the fault of a section without any valid element; empty if there is none."""
        sections = ("annotations", "images")
        return next(
            (self.faults[s] for s in sections if s in self.faults and not self.valid[s]), ""
        )


def stream_sections(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """Yield ``(section, elements)`` pieces in the file's order; elements as in `SECTIONS`.

    An empty array yields one empty piece. An invalid annotation yields a placeholder; invalid
    images and licences are left out.

    Raises:
        DataError: the file is absent, truncated, not JSON, or JSON of another format: a category is
            invalid, or all annotations or images are.
    """
    progress = _Progress()
    try:
        with path.open("rb") as file:
            start = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
            file.seek(start)
            try:
                for name, items in _stream_chunks(file):
                    yield name, progress.take(name, items)
            except _NoCutError:
                for name, items in _stream_elements(file, start, Counter(progress.done)):
                    yield name, progress.take(name, items)
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None
    except msgspec.ValidationError as error:
        raise _damaged(path, f"JSON of another format ({error})") from None
    except (ValueError, RecursionError, ijson.JSONError) as error:
        first_line, _, _ = str(error).partition("\n")
        raise _damaged(path, f"damaged or truncated JSON ({first_line})") from None
    if fault := progress.fault():
        raise _damaged(path, f"JSON of another format ({fault})")
    missing = [name for name in _REQUIRED if name not in progress.done]
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
            for items in _array(window, name):
                yield name, items
        else:
            window.value()
        more = window.peek() != b"}"
        if more:
            window.expect(b",")
    window.expect(b"}")
    if window.peek():
        raise _NoCutError


def _array(window: _Window, section: str) -> Iterator[list[Any]]:
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
        if cut and (items := _decode(section, data[start:cut])) is not None:
            yield items
            window.at = cut
            window.expect(b",")
            continue
        for match in islice(_ARRAY_END.finditer(data, start), _MAX_END_CANDIDATES):
            items = _decode(section, data[start : match.start() + 1])
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


def _decode(section: str, piece: bytes) -> list[Any] | None:
    """Decode whole elements; None if the piece is not JSON, `_Invalid` for invalid elements."""
    text = b"[" + piece + b"]"
    items = _decode_text(section, text)
    if items is None and (b"NaN" in piece or b"Infinity" in piece):
        items = _decode_text(section, _STRING_OR_WORD.sub(_without_word, text))
    return items


def _without_word(match: "re.Match[bytes]") -> bytes:
    return match[0] if match[0].startswith(b'"') else b"null"


def _decode_text(section: str, text: bytes) -> list[Any] | None:
    try:
        return _DECODERS[section].decode(text)
    except msgspec.ValidationError:
        pass
    except msgspec.DecodeError:
        return None
    try:
        return [_decode_entry(section, raw) for raw in _raws.decode(text)]
    except msgspec.DecodeError:
        return None


def _decode_entry(section: str, raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw, type=SECTIONS[section])
    except msgspec.ValidationError as error:
        return _Invalid(raw, str(error))


def _stream_elements(
    file: BinaryIO, start: int, done: Counter[str]
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the elements of each section after the first ``done``, parsed one by one."""
    for name in SECTIONS:
        file.seek(start)
        rest = islice(ijson.items(file, f"{name}.item", use_float=True), done[name], None)
        while batch := list(islice(rest, _ELEMENTS)):
            yield name, _decode(name, msgspec.json.encode(batch)[1:-1]) or []
