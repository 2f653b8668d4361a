"""Publishing and pulling over any filesystem of fsspec; S3 by a server on this machine."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from avsynth.core.records import Sample
from avsynth.formats.remote_shards import RemoteShards, publish, pull
from avsynth.formats.shards import INDEX_FILE, ShardReader, write_index, write_shard
from avsynth.runtime.errors import ConfigError, DataError
from avsynth.runtime.options import Runtime

QUIET = Runtime(quiet=True)


def write_dataset(folder: Path, numbers: tuple[int, ...] = (0, 1, 2)) -> Path:
    shards = []
    for n in numbers:
        samples = [
            Sample(f"dog-{n:04x}{i:06x}", os.urandom(5000), "jpg", b"m", b"a", b"l", {})
            for i in range(4)
        ]
        shards.append(write_shard(folder / f"train-{n:05d}.tar", "train", samples))
    write_index(folder, "toy", shards)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start an S3 server of an empty bucket."""
    boto3 = pytest.importorskip("boto3")
    import s3fs
    from moto.server import ThreadedMotoServer

    s3fs.S3FileSystem.clear_instance_cache()  # One of them knows the last test's server.

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="avs")
    yield "s3://avs/toy/one"
    server.stop()


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a URL of each kind."""
    kind = request.param
    if kind == "s3":
        return str(request.getfixturevalue("bucket"))
    return f"file://{tmp_path}/far" if kind == "file" else f"memory://{tmp_path}"


KINDS = pytest.mark.parametrize("place", ["file", "memory", "s3"], indirect=True)


@KINDS
def test_what_is_pulled_is_what_was_published(place: str, dataset: Path, tmp_path: Path):
    sent = publish(dataset, place, QUIET)
    assert (sent.shards, sent.kept) == (3, 0)
    assert sent.bytes == sum(p.stat().st_size for p in dataset.glob("*.tar"))
    brought = pull(place, tmp_path / "near", QUIET)
    assert (brought.shards, brought.kept) == (3, 0)
    assert content(tmp_path / "near") == content(dataset)
    reader = RemoteShards(place, Runtime(quiet=True, cache_dir=tmp_path / "cache"))
    assert list(reader) == list(ShardReader(dataset))


@KINDS
def test_only_what_is_missing_moves(place: str, dataset: Path, tmp_path: Path):
    publish(dataset, place, QUIET)
    pull(place, tmp_path / "near", QUIET)
    write_dataset(dataset, (3,))
    shards = ShardReader(tmp_path / "near").shards[1:] + ShardReader(dataset).shards
    (dataset / "train-00000.tar").unlink()
    write_index(dataset, "toy", shards)
    sent = publish(dataset, place, QUIET)
    assert (sent.shards, sent.kept) == (1, 2)
    brought = pull(place, tmp_path / "near", QUIET)
    assert (brought.shards, brought.kept) == (1, 2)
    assert content(tmp_path / "near") == content(dataset)


def test_a_stopped_upload_is_no_dataset_and_goes_on(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    far, near = f"file://{tmp_path}/far", tmp_path / "near"
    aside = tmp_path / "train-00002.tar"
    (dataset / aside.name).rename(aside)
    with pytest.raises(DataError):
        publish(dataset, far, QUIET)
    with pytest.raises(DataError, match="expected a published dataset"):
        pull(far, near, QUIET)
    aside.rename(dataset / aside.name)
    assert publish(dataset, far, QUIET).kept == 2
    assert pull(far, near, QUIET).shards == 3


def test_another_dataset_takes_the_place_of_the_first(dataset: Path, tmp_path: Path):
    far = tmp_path / "far"
    publish(dataset, f"file://{far}", QUIET)
    (far / "notes.txt").write_text("not ours")
    other = write_dataset(tmp_path / "other", (1, 5))
    assert publish(other, f"file://{far}", QUIET).shards == 2
    tars = {"train-00001.tar", "train-00005.tar"}
    assert {p.name for p in far.iterdir()} == (
        tars | {f"{t}.sha256" for t in tars} | {INDEX_FILE, "notes.txt"}
    )


def test_a_tar_that_is_not_the_published_one_is_refused(dataset: Path, tmp_path: Path):
    far, near = tmp_path / "far", tmp_path / "near"
    publish(dataset, f"file://{far}", QUIET)
    damaged = bytearray((far / "train-00001.tar").read_bytes())
    damaged[700] ^= 1
    (far / "train-00001.tar").write_bytes(damaged)
    with pytest.raises(DataError, match=r"train-00001\.tar: expected sha256"):
        pull(f"file://{far}", near, QUIET)
    assert not (near / INDEX_FILE).exists()
    assert not (near / "train-00001.tar").exists()


@pytest.mark.parametrize(
    ("field", "value"), [("file", "../../evil.tar"), ("file", "/evil.tar"), ("sha256", "../evil")]
)
def test_an_index_that_points_outside_its_folder_is_refused(
    dataset: Path, tmp_path: Path, field: str, value: str
):
    shutil.copytree(dataset, tmp_path / "far")
    index = json.loads((dataset / INDEX_FILE).read_text())
    index["shards"][0][field] = value
    (tmp_path / "far" / INDEX_FILE).write_text(json.dumps(index))
    with pytest.raises(DataError, match="evil"):
        pull(f"file://{tmp_path}/far", tmp_path / "near", QUIET)
    assert not list(tmp_path.rglob("evil*"))


def test_several_workers_upload_the_same(dataset: Path, tmp_path: Path):
    sent = publish(dataset, f"file://{tmp_path}/far", Runtime(2, "process", quiet=True))
    assert sent.shards == 3
    assert pull(f"file://{tmp_path}/far", tmp_path / "near", QUIET).shards == 3


def test_faults_of_a_place_are_explained(dataset: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="a URL that fsspec knows"):
        publish(dataset, "nonsense://x", QUIET)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="a URL that can be reached"):
        publish(dataset, f"file://{tmp_path}/file/below", QUIET)
