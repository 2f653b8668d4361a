import json
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsynth.core.records import Sample
from avsynth.formats.shards import ShardReader, read_index, tar_header, write_index, write_shard
from avsynth.runtime.errors import DataError


def sample(i: int, category: str = "dog", size: int = 1000) -> Sample:
    return Sample(
        key=f"{category}-{i:010x}",
        image=bytes([i % 256]) * (size + i),
        image_ext="jpg",
        mask_png=b"mask" * i,
        audio_flac=b"sound",
        logmel_npy=bytes(512),
        meta={"second": i, "category": category, "licence": "CC BY 4.0, 日本"},
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    shards = [
        write_shard(tmp_path / "train-00000.tar", "train", map(sample, range(5))),
        write_shard(tmp_path / "train-00001.tar", "train", map(sample, range(5, 8))),
        write_shard(tmp_path / "test-00000.tar", "test", [sample(99)]),
    ]
    write_index(tmp_path, "toy", shards)
    return tmp_path


@given(
    name=st.from_regex(r"[a-z0-9_\-.]{1,100}", fullmatch=True),
    size=st.integers(0, 8**11 - 1),
)
def test_a_header_is_what_the_tar_library_reads_and_writes(name: str, size: int):
    header = tar_header(name, size)
    read = tarfile.TarInfo.frombuf(header, "ascii", "strict")
    assert (read.name, read.size, read.mtime, read.uid, read.gid, read.mode) == (
        name, size, 0, 0, 0, 0o444,
    )  # fmt: skip
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o444
    expected = info.tobuf(tarfile.USTAR_FORMAT)
    # The library writes device numbers where ours leaves the field of a regular file empty.
    assert header[:148] == expected[:148]


@pytest.mark.parametrize(("name", "size"), [("a" * 101, 1), ("a", 8**11)])
def test_what_does_not_fit_a_header_is_refused(name: str, size: int):
    with pytest.raises(ValueError, match="does not fit"):
        tar_header(name, size)


def test_webdataset_reads_our_tars(dataset: Path):
    # In a process of its own: webdataset leaves its files to be closed by the garbage collector.
    program = (
        "import json, sys, webdataset\n"
        "for r in webdataset.WebDataset(sys.argv[1], shardshuffle=False):\n"
        "    print(json.dumps([r['__key__'], r['image.jpg'].hex(), json.loads(r['meta.json'])]))"
    )
    url = str(dataset / "train-{00000..00001}.tar")
    run = subprocess.run(
        [sys.executable, "-c", program, url], capture_output=True, text=True, check=True
    )
    read = [json.loads(line) for line in run.stdout.splitlines()]
    assert read == [[sample(i).key, sample(i).image.hex(), sample(i).meta] for i in range(8)]


def test_the_reader_finds_any_sample_by_key(dataset: Path):
    reader = ShardReader(dataset, "train")
    assert len(reader) == 8
    for i in (7, 0, 4, 5):
        parts = reader.parts(sample(i).key)
        assert parts["image.jpg"] == sample(i).image
        assert parts["mask.png"] == sample(i).mask_png
        assert reader.meta(sample(i).key) == sample(i).meta
    assert [key for key, _ in reader] == list(reader.keys)


def test_splits_are_kept_apart(dataset: Path):
    assert ShardReader(dataset, "test").keys == (sample(99).key,)
    assert len(ShardReader(dataset)) == 9
    with pytest.raises(DataError, match="a key of this split"):
        ShardReader(dataset, "train").parts(sample(99).key)


def test_a_reader_travels_to_another_process(dataset: Path):
    reader = ShardReader(dataset, "train")
    reader.parts(sample(0).key)
    again = pickle.loads(pickle.dumps(reader))
    assert again.parts(sample(6).key)["image.jpg"] == sample(6).image


def test_the_same_samples_give_the_same_bytes(tmp_path: Path):
    a = write_shard(tmp_path / "a.tar", "train", map(sample, range(9)))
    b = write_shard(tmp_path / "b.tar", "train", map(sample, range(9)))
    assert a.sha256 == b.sha256
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_the_golden_bytes_of_a_tar_have_not_changed(tmp_path: Path):
    """A change of this hash changes every published shard: note it in the changelog."""
    info = write_shard(tmp_path / "a.tar", "train", map(sample, range(3)))
    assert info.sha256 == "fca59b6f2dcb098add3896727e66b3b0cce78686b3cb662de7032af999cc6a87"


def test_a_failing_sample_leaves_no_tar(tmp_path: Path):
    def samples():
        yield sample(1)
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write_shard(tmp_path / "a.tar", "train", samples())
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_tar_is_told_by_its_size(dataset: Path):
    tar = dataset / "train-00000.tar"
    tar.write_bytes(tar.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"train-00000\.tar.*bytes"):
        ShardReader(dataset, "train").parts(sample(0).key)


def test_a_missing_tar_and_a_broken_index_say_what_to_do(dataset: Path):
    (dataset / "train-00001.tar").unlink()
    with pytest.raises(DataError, match=r"train-00001\.tar.*no such file"):
        ShardReader(dataset, "train").parts(sample(6).key)
    (dataset / "index.json").write_text('{"schema": 99}')
    with pytest.raises(DataError, match="schema 1"):
        read_index(dataset)
    (dataset / "index.json").write_text('{"sch')
    with pytest.raises(DataError, match="an index of shards"):
        read_index(dataset)
    (dataset / "index.json").unlink()
    with pytest.raises(DataError, match="avsynth shard"):
        read_index(dataset)


def test_a_closed_reader_reads_on(tmp_path):
    info = write_shard(tmp_path / "train-00000.tar", "train", [sample(1), sample(2)])
    write_index(tmp_path, "d", [info])
    reader = ShardReader(tmp_path)
    before = reader.parts(sample(1).key)
    reader.close()
    assert reader.parts(sample(1).key) == before
    assert reader.names(sample(2).key) == tuple(before)
