"""Export shards for other programs: AVS-Synthetic's official layout, COCO's instances json."""

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avsynth.benchmarks.avs_synthetic_release import (
    ANNOTATIONS,
    CREDITS,
    HEARD_FROM,
    POOLS,
    SPLIT_NAMES,
)
from avsynth.benchmarks.clip_pools import write_clip_pools
from avsynth.core.tables import whole_file
from avsynth.formats.mask_rle import mask_to_rle, png_to_mask, rle_box_area
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import SAMPLE_RATE_HZ, decode_flac, encode_wav
from avsynth.runtime.errors import DataError, SpaceError

_COLUMNS = ("inst_id", "img_id", "height", "width", "cls_name", "cls_id", "dataset", "split",
            "audio_name")  # fmt: skip
_CLIP_SAMPLES = 3 * SAMPLE_RATE_HZ
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class _Instance:
    """One sample of the shards as other programs see it."""

    key: str
    parts: dict[str, bytes]
    meta: dict[str, Any]
    cls_id: int
    """From 1, in the order of the categories' names."""

    @property
    def img_id(self) -> str:
        """The source's own picture id, as a file name."""
        return _file_name(str(self.meta.get("image_id", self.key)).rpartition("/")[2])

    @property
    def audio_name(self) -> str:
        """The clip and the second."""
        clip = _file_name(str(self.meta.get("clip_id", self.meta["clip_key"])))
        return f"{clip}_{self.meta['second']:02d}"

    @property
    def image(self) -> bytes:
        """The picture's own bytes."""
        return next(part for name, part in self.parts.items() if name.startswith("image."))


def export_avs_synthetic(shards: Path, directory: Path) -> int:
    """Write a build in the layout that the papers' own loader reads.

    Every second of sound becomes a clip of 3 s, silent before and after, so placed that the
    loader's log-mel example 1 is the sample's own. The pools for training hold the clips of the
    training split alone. ``credits.jsonl`` keeps ids, licences and links.

    Args:
        shards: folder of tars and index.json.
        directory: a new or an empty folder; it is filled whole or not at all.

    Returns:
        Number of instances written.

    Raises:
        DataError: no shards there, or the folder holds something.
        SpaceError: no room.
    """
    reader = ShardReader(shards)
    pools: dict[int, set[str]] = {}
    with _whole_folder(directory) as folder, ExitStack() as files:
        for name in ("images", "masks", "audios"):
            (folder / name).mkdir()
        annotations, credits_file = (
            files.enter_context((folder / name).open("w", encoding="utf-8", newline=""))
            for name in (ANNOTATIONS, CREDITS)
        )
        table = csv.writer(annotations, lineterminator="\n")
        table.writerow(_COLUMNS)
        for one in _instances(reader):
            table.writerow(_write_instance(folder, one))
            line = {"inst_id": one.key, "meta": one.meta}
            credits_file.write(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n")
            if one.meta["split"] == "train":
                pools.setdefault(one.cls_id, set()).add(one.audio_name)
        write_clip_pools(folder / POOLS, {i: sorted(names) for i, names in pools.items()})
    return len(reader)


def export_coco(shards: Path, path: Path) -> int:
    """Write the masks of a build as one COCO instances json.

    Picture files are called ``<img_id>.jpg``, as in `export_avs_synthetic`; ``split`` stands at
    each image, the sample's key, clip and second at each annotation.

    Args:
        shards: folder of tars and index.json.
        path: the json; it appears whole or not at all.

    Returns:
        Number of annotations written.

    Raises:
        DataError: no shards there.
        SpaceError: no room.
    """
    reader = ShardReader(shards)
    images: dict[str, dict[str, Any]] = {}
    licences: dict[str, int] = {}
    annotations = []
    for number, one in enumerate(_instances(reader), start=1):
        mask = png_to_mask(one.parts["mask.png"])
        licence = str(one.meta.get("image_licence", one.meta.get("licence", "")))
        image = {
            "id": len(images) + 1,
            "file_name": f"{one.img_id}.jpg",
            "height": mask.shape[0],
            "width": mask.shape[1],
            "license": licences.setdefault(licence, len(licences) + 1),
            "coco_url": one.meta.get("image_url", ""),
            "split": one.meta["split"],
        }
        image_id = images.setdefault(one.img_id, image)["id"]
        annotations.append({"id": number, "image_id": image_id, **_annotation(one, mask)})
    names = {one["category_id"]: one.pop("category") for one in annotations}
    content = {
        "info": {"description": "avs-synthetic masks", "version": "1"},
        "licenses": [{"id": i, "name": name, "url": ""} for name, i in licences.items()],
        "categories": [{"id": i, "name": names[i], "supercategory": ""} for i in sorted(names)],
        "images": list(images.values()),
        "annotations": annotations,
    }
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
    return len(annotations)


def _instances(reader: ShardReader) -> Iterator[_Instance]:
    prefixes = sorted({key.rpartition("-")[0] for key in reader.keys})
    cls_ids = {prefix: number for number, prefix in enumerate(prefixes, start=1)}
    for key, parts in reader:
        meta = json.loads(parts["meta.json"])
        yield _Instance(key, parts, meta, cls_ids[key.rpartition("-")[0]])


def _write_instance(folder: Path, one: _Instance) -> list[object]:
    """Write the three files of an instance; return its line of annotations.csv."""
    mask = one.parts["mask.png"]
    height, width = png_to_mask(mask).shape
    for path, content in (
        (folder / "images" / f"{one.img_id}.jpg", one.image),
        (folder / "masks" / f"{one.key}.png", mask),
        (folder / "audios" / f"{one.audio_name}.wav", _three_seconds(one.parts["audio.flac"])),
    ):
        if not path.exists():  # pictures and seconds are shared
            path.write_bytes(content)
    return [
        one.key,
        one.img_id,
        height,
        width,
        one.meta["category"],
        one.cls_id,
        one.meta.get("mask_source", one.meta["dataset"]),
        SPLIT_NAMES[one.meta["split"]],
        one.audio_name,
    ]


def _three_seconds(flac: bytes) -> bytes:
    """Place a second of sound where log-mel example 1 hears it; silence around."""
    second = decode_flac(flac)
    clip = np.zeros(_CLIP_SAMPLES, np.float32)
    clip[HEARD_FROM : HEARD_FROM + len(second)] = second
    return encode_wav(clip)


def _annotation(one: _Instance, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Any]:
    height, width = mask.shape
    rle = mask_to_rle(mask)
    (x0, y0, x1, y1), area = rle_box_area(rle, height, width)
    return {
        "category_id": one.cls_id,
        "category": one.meta["category"],
        "segmentation": {"size": [height, width], "counts": rle},
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": area,
        "iscrowd": 0,
        "sample": one.key,
        "clip_id": one.meta.get("clip_id", ""),
        "second": one.meta["second"],
    }


def _file_name(text: str) -> str:
    """Make a file name of an id; a digest keeps those apart that must be changed."""
    if _PLAIN_NAME.fullmatch(text):
        return text
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text)[:40].strip("-")
    return f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@contextmanager
def _whole_folder(directory: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of ``directory`` when the block ends well."""
    final = directory.resolve()
    if final.exists() and not (final.is_dir() and not any(final.iterdir())):
        raise DataError(
            str(directory), "a new or an empty folder", "something in it", "Name another folder."
        )
    temporary = final.with_name(f"{final.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, final)  # noqa: PTH105 - says that this is atomic
    except OSError as error:
        raise SpaceError(
            str(directory),
            "a folder with room that can be written",
            error.strerror or str(error),
            "Free some space or mend the folder's rights, then run the same command again.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
