"""The safe reader of AVS-Synthetic's pickled clip pools."""

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsynth.benchmarks.clip_pools import read_clip_pools, write_clip_pools
from avsynth.runtime.errors import DataError


class Command:
    """An object that makes a folder when an ordinary unpickler reads it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return os.mkdir, (str(self.witness),)


@settings(max_examples=30, deadline=None)
@given(
    pools=st.dictionaries(st.integers(0, 1300), st.lists(st.text(max_size=20), max_size=5)),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_plain_pools_of_every_protocol_are_read(tmp_path_factory, pools, protocol):
    path = tmp_path_factory.mktemp("pools") / "pools.pkl"
    path.write_bytes(pickle.dumps(pools, protocol))
    assert read_clip_pools(path) == pools
    write_clip_pools(path, pools)
    assert read_clip_pools(path) == pools


def test_equal_pools_give_equal_bytes(tmp_path):
    write_clip_pools(tmp_path / "a.pkl", {2: ["x", "y"], 1: ["z"]})
    write_clip_pools(tmp_path / "b.pkl", {1: ["z"], 2: ["x", "y"]})
    assert (tmp_path / "a.pkl").read_bytes() == (tmp_path / "b.pkl").read_bytes()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path, protocol):
    witness = tmp_path / "witness"
    path = tmp_path / "pools.pkl"
    path.write_bytes(pickle.dumps({1: ["a"], 2: [Command(witness)]}, protocol))
    with pytest.raises(DataError, match="No code of the file was run"):
        read_clip_pools(path)
    assert not witness.exists()
    pickle.loads(path.read_bytes())  # an ordinary unpickler does run it
    assert witness.exists()


@pytest.mark.parametrize("content", [
    OrderedDict({1: ["a"]}), {1: ("a",)}, {1: {"a"}}, {1: [b"a"]}, {1: ["a", None]}, {1: "a"},
    {"one": ["a"]}, {1.5: ["a"]}, {np.int64(1): ["a"]}, ["a"], "a", None, {True: ["a"]},
    {1: [1]},
], ids=repr)  # fmt: skip
def test_anything_but_dict_list_str_int_is_refused(tmp_path, content):
    path = tmp_path / "pools.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="dict of category id"):
        read_clip_pools(path)


@pytest.mark.parametrize("content", [
    b"", b"no pickle", b"\x80\x04", b"\x80\x04}", b"\x80\x04.",
    pickle.dumps({1: ["a"]})[:-3],
    b"\x80\x04}r" + struct.pack("<I", 0xFFFFFFF0) + b".",  # a memo of 34 GB
    b"\x80\x04X" + struct.pack("<I", 0xFFFFFFF0) + b"abc.",  # a text of 4 GB
    b"\x80\x04K\x01" + b"(" * 100_000 + b"l" * 100_000 + b".",
], ids=lambda content: repr(content[:12]))  # fmt: skip
def test_damaged_and_oversized_pickles_are_refused(tmp_path, content):
    path = tmp_path / "pools.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match="dict of category id"):
        read_clip_pools(path)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"pools\.pkl"):
        read_clip_pools(tmp_path / "pools.pkl")


def test_ids_written_as_text_are_read(tmp_path):
    path = tmp_path / "pools.pkl"
    path.write_bytes(pickle.dumps({"7": ["a"]}))
    assert read_clip_pools(path) == {7: ["a"]}
