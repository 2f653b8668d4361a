"""Export of shards to AVS-Synthetic's official layout."""

import csv
import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from avsynth.benchmarks.avs_synthetic_release import (
    ANNOTATIONS,
    CREDITS,
    POOLS,
    SPLIT_NAMES,
    USED_PATCH_START,
)
from avsynth.benchmarks.clip_pools import write_clip_pools
from avsynth.core.files import atomic_folder
from avsynth.exports.instances import Instance, iter_instances
from avsynth.formats.images import decode_mask
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import SAMPLE_RATE_HZ, decode_flac, encode_wav

_COLUMNS = ("inst_id", "img_id", "height", "width", "cls_name", "cls_id", "dataset", "split",
            "audio_name")  # fmt: skip


_CLIP_SAMPLES = 3 * SAMPLE_RATE_HZ


def export_avs_synthetic(shards: Path, directory: Path) -> int:
    """Write a build in the layout that the loader of the papers reads.

    Every second of audio becomes a clip of 3 s with silence before and after. It is placed so that
    the loader's log-mel example 1 equals the sample's log-mel. The training pools contain only
    clips of the training split. ``credits.jsonl`` contains ids, licences and links.

    Args:
        shards: folder of tars and index.json.
        directory: a new or empty folder; it is written atomically.

    Returns:
        Number of instances written.

    Raises:
        DataError: ``shards`` has no index, or ``directory`` is not empty.
        SpaceError: the disk is full, or the folder is not writable.
    """
    reader = ShardReader(shards)
    pools: dict[int, set[str]] = {}
    with atomic_folder(directory) as folder, ExitStack() as files:
        for name in ("images", "masks", "audios"):
            (folder / name).mkdir()
        annotations, credits_file = (
            files.enter_context((folder / name).open("w", encoding="utf-8", newline=""))
            for name in (ANNOTATIONS, CREDITS)
        )
        table = csv.writer(annotations, lineterminator="\n")
        table.writerow(_COLUMNS)
        for instance in iter_instances(reader):
            with reader.naming(instance.key):
                row = _write_instance(folder, instance)
            table.writerow(row)
            line = {"inst_id": instance.key, "meta": instance.meta}
            credits_file.write(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n")
            if instance.meta["split"] == "train":
                pools.setdefault(instance.cls_id, set()).add(instance.audio_name)
        write_clip_pools(folder / POOLS, {i: sorted(names) for i, names in pools.items()})
    return len(reader)


def _write_instance(folder: Path, instance: Instance) -> list[object]:
    """Write the three files of an instance; return its row of annotations.csv."""
    mask = instance.parts["mask.png"]
    height, width = decode_mask(mask).shape
    for path, content in (
        (folder / "images" / f"{instance.img_id}.jpg", instance.image),
        (folder / "masks" / f"{instance.key}.png", mask),
        (
            folder / "audios" / f"{instance.audio_name}.wav",
            _pad_to_clip(instance.parts["audio.flac"]),
        ),
    ):
        if not path.exists():  # instances share images and clips
            path.write_bytes(content)
    return [
        instance.key,
        instance.img_id,
        height,
        width,
        instance.meta["category"],
        instance.cls_id,
        instance.meta.get("mask_source", instance.meta["dataset"]),
        SPLIT_NAMES[instance.meta["split"]],
        instance.audio_name,
    ]


def _pad_to_clip(flac: bytes) -> bytes:
    """Build a 3-s WAV of silence with the second of audio at the range of log-mel example 1."""
    second = decode_flac(flac)
    clip = np.zeros(_CLIP_SAMPLES, np.float32)
    clip[USED_PATCH_START : USED_PATCH_START + len(second)] = second
    return encode_wav(clip)
