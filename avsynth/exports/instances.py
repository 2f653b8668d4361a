"""`Instance`: one sample of a shard folder with the names and ids that exports use."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from avsynth.core.records import SPLITS
from avsynth.formats.shards import ShardReader
from avsynth.runtime.errors import DataError

_MAX_SECOND = 1_000_000
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COCO_NUMBER = re.compile(r"[0-9]{12}")
_FIX = "Write the shards again, or download the dataset again."


@dataclass(frozen=True, slots=True)
class Instance:
    """One sample of the shards for an export."""

    key: str
    parts: dict[str, bytes]
    meta: dict[str, Any]
    cls_id: int
    """From 1, in the order of the categories' names."""

    @property
    def img_id(self) -> str:
        """The source's image id, as a file name; a COCO id that is a path keeps all its parts."""
        image_id = str(self.meta.get("image_id", self.key))
        source, _, name = image_id.partition("/")
        official = source != "coco" or _COCO_NUMBER.fullmatch(name)
        return plain_file_name(image_id.rpartition("/")[2] if official else image_id)

    @property
    def second(self) -> int:
        """The second of the clip, from 0.

        Raises:
            DataError: meta.json has no valid second.
        """
        second = self.meta.get("second")
        if type(second) is not int or not 0 <= second < _MAX_SECOND:
            raise DataError(self.key, "the second of the clip", repr(second)[:80], _FIX)
        return second

    @property
    def audio_name(self) -> str:
        """The file name of the clip and second."""
        clip = plain_file_name(str(self.meta.get("clip_id", self.meta.get("clip_key", self.key))))
        return f"{clip}_{self.second:02d}"

    @property
    def image(self) -> bytes:
        """The bytes of the image file."""
        return next(part for name, part in self.parts.items() if name.startswith("image."))


def iter_instances(reader: ShardReader) -> Iterator[Instance]:
    """Yield every sample of a shard folder as an instance, split by split.

    Raises:
        DataError: a sample's meta.json is invalid, or two different images have the same id.
    """
    images: dict[str, bytes] = {}
    prefixes = sorted({key.rpartition("-")[0] for key in reader.keys})
    cls_ids = {prefix: number for number, prefix in enumerate(prefixes, start=1)}
    for key, parts in reader:
        with reader.naming(key):
            meta = _meta(key, parts)
        instance = Instance(key, parts, meta, cls_ids[key.rpartition("-")[0]])
        digest = hashlib.sha256(instance.image).digest()[:8]
        if images.setdefault(instance.img_id, digest) != digest:
            expected, found = f"one image with the id {instance.img_id}", "two different ones"
            raise DataError(key, expected, found, "Build the shards again, so that ids are unique.")
        yield instance


def _meta(key: str, parts: dict[str, bytes]) -> dict[str, Any]:
    """Read a sample's meta.json, which may come from a dataset of unknown origin."""
    try:
        meta = json.loads(parts["meta.json"])
        known = isinstance(meta["category"], str) and meta["split"] in SPLITS
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(key, "a meta.json of a sample", repr(error)[:120], _FIX) from None
    if not known or not isinstance(meta, dict):
        raise DataError(key, "a category and a split", repr(meta)[:120], _FIX)
    return meta


def plain_file_name(text: str) -> str:
    """Return an id as a file name; a digest keeps changed ids unique."""
    if _PLAIN_NAME.fullmatch(text):
        return text
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text)[:40].strip("-")
    return f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
