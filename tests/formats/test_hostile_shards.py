"""Shards that were damaged or made to harm: one message with shard and key, in bounded time."""

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from avsynth.exports.avs_synthetic import export_avs_synthetic
from avsynth.exports.coco import export_coco
from avsynth.formats.shards import ShardReader, read_index
from avsynth.inspection.dataset_stats import measure_samples
from avsynth.inspection.show import show_sample
from avsynth.loading.sampler import list_groups
from avsynth.runtime.errors import AvsynthError, DataError
from tests.helpers.small import write_small_shards


def show(folder: Path, out: Path) -> None:
    for key in ShardReader(folder).keys[:3]:
        show_sample(folder, key, out)


def group(folder: Path, out: Path) -> None:
    list_groups(ShardReader(folder, "train"), whole_clips=True)


_HUGE = b"\x93NUMPY\x01\x00v\x00" + (
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,)}".ljust(117) + b"\n"
)
pytestmark = pytest.mark.filterwarnings("ignore:Reading `.npy`")

READERS: list[Callable[[Path, Path], Any]] = [
    lambda folder, out: measure_samples(folder),
    show,
    group,
    lambda folder, out: list(ShardReader(folder)),
    lambda folder, out: export_avs_synthetic(folder, out / "release"),
    lambda folder, out: export_coco(folder, out / "coco.json"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_small_shards(tmp_path / "shards", {"train": 3, "test": 2})


def first_tar(folder: Path) -> tuple[Path, bytearray]:
    path = folder / next(s.file for s in read_index(folder) if s.split == "train")
    return path, bytearray(path.read_bytes())


def replace_part(folder: Path, part: str, content: bytes) -> None:
    """Overwrite the start of a part of the first sample, in place."""
    path, data = first_tar(folder)
    at = data.index(part.encode())
    at -= at % 512
    size = int(data[at + 124 : at + 135], 8)
    data[at + 512 : at + 512 + size] = content.ljust(size)[:size]
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("meta.json", b"{}"),
        ("meta.json", b"[]"),
        ("meta.json", b"[" * 5000),
        ("meta.json", b"\xff\xfe"),
        ("meta.json", b'{"category": 3}'),
        ("meta.json", b'{"category": "low", "num_frames": "x"}'),
        ("mask.png", b"GIF89a"),
        ("audio.flac", b"RIFF"),
        ("image.", b"%!PS"),
        ("logmel.npy", _HUGE),
        ("logmel.npy", b"\x93NUMPY\x01\x00v\x00" + b"(" * 118),
    ],
    ids=range(11),
)
def test_a_damaged_part_is_named_with_shard_and_key(
    folder: Path, tmp_path: Path, part: str, content: bytes
):
    replace_part(folder, part, content)
    places = []
    for number, read in enumerate(READERS):
        out = tmp_path / f"out{number}"
        out.mkdir()
        try:
            read(folder, out)
        except DataError as error:
            places.append(error.where)
    key = next(key for shard in read_index(folder) if shard.split == "train" for key in shard.keys)
    assert all(".tar: " in place for place in places), places
    assert any("train-00000.tar" in place and key in place for place in places), places


@pytest.mark.parametrize("digits", [b"-0000000001", b"00000000000", b"77777777777", b"\x80" * 11])
def test_a_size_in_a_header_is_not_believed(folder: Path, tmp_path: Path, digits: bytes):
    path, data = first_tar(folder)
    data[124:135] = digits
    path.write_bytes(data)
    for read in READERS:
        with pytest.raises(DataError):
            read(folder, tmp_path)


def test_a_sample_without_one_of_its_parts_is_damaged(folder: Path):
    path, data = first_tar(folder)
    index = json.loads((folder / "index.json").read_bytes())
    at = data.index(b"logmel.npy")
    at -= at % 512
    shard = next(s for s in index["shards"] if s["file"] == path.name)
    shard["offsets"][0] = 0
    data[at : at + 100] = bytes(data[0:100])  # a second audio.flac
    path.write_bytes(data)
    with pytest.raises(DataError, match=path.name):
        ShardReader(folder).parts(shard["keys"][0])


@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize("name", ["index.json", "train-00000.tar"])
def test_what_is_no_file_is_one_message(folder: Path, kind: str, name: str):
    path = folder / name if (folder / name).exists() else first_tar(folder)[0]
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(DataError, match=path.name):
        list(ShardReader(folder))


def test_a_key_that_is_there_twice_is_refused(folder: Path):
    index = json.loads((folder / "index.json").read_bytes())
    for shard in index["shards"]:
        shard["keys"][-1] = shard["keys"][0]
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="twice"):
        read_index(folder)


def mutated(rng: random.Random, content: bytes) -> bytes:
    """Change some bytes, cut a piece out, repeat a piece, or change a number."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) or 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del data[at : at + rng.randint(1, 600)]
        elif kind == 2:
            data[at:at] = data[at : at + rng.randint(1, 600)]
        else:
            data[at : at + 1] = rng.choice([b"-1", b"99999999999", b"null", b"[", b'"', b"1e9"])
    return bytes(data)


def fuzz(folder: Path, tmp_path: Path, rounds: int) -> None:
    rng = random.Random(0)
    tar, data = first_tar(folder)
    index = folder / "index.json"
    original = index.read_bytes()
    for number in range(rounds):
        index.write_bytes(original)
        tar.write_bytes(data)
        if rng.random() < 0.5:
            index.write_bytes(mutated(rng, original))
        else:
            size = len(data)
            tar.write_bytes(mutated(rng, bytes(data)).ljust(size, b"\0")[:size])
        out = tmp_path / f"round{number}"
        out.mkdir()
        with suppress(AvsynthError):
            READERS[number % len(READERS)](folder, out)


def test_mutated_shards_end_in_a_message(folder: Path, tmp_path: Path):
    fuzz(folder, tmp_path, 120)


@pytest.mark.slow
def test_many_mutated_shards_end_in_a_message(folder: Path, tmp_path: Path):
    fuzz(folder, tmp_path, 5000)
