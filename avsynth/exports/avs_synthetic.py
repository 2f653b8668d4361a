"""Export shards in AVS-Synthetic's official layout."""

import csv
import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from avsynth.benchmarks.avs_synthetic_release import (
    ANNOTATIONS,
    CREDITS,
    HEARD_FROM,
    POOLS,
    SPLIT_NAMES,
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
    with atomic_folder(directory) as folder, ExitStack() as files:
        for name in ("images", "masks", "audios"):
            (folder / name).mkdir()
        annotations, credits_file = (
            files.enter_context((folder / name).open("w", encoding="utf-8", newline=""))
            for name in (ANNOTATIONS, CREDITS)
        )
        table = csv.writer(annotations, lineterminator="\n")
        table.writerow(_COLUMNS)
        for one in iter_instances(reader):
            table.writerow(_write_instance(folder, one))
            line = {"inst_id": one.key, "meta": one.meta}
            credits_file.write(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n")
            if one.meta["split"] == "train":
                pools.setdefault(one.cls_id, set()).add(one.audio_name)
        write_clip_pools(folder / POOLS, {i: sorted(names) for i, names in pools.items()})
    return len(reader)


def _write_instance(folder: Path, one: Instance) -> list[object]:
    """Write the three files of an instance; return its line of annotations.csv."""
    mask = one.parts["mask.png"]
    height, width = decode_mask(mask).shape
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
