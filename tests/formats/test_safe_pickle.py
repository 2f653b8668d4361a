"""Pickled log-mels: both published forms are read, and nothing that a pickle says is ever run."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from avsynth.formats.safe_pickle import read_logmel
from avsynth.runtime.errors import DataError

VALUES = torch.randn(5, 1, 96, 64, generator=torch.Generator().manual_seed(0))


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path, call=os.mkdir):
        self.path, self.call = str(path), call

    def __reduce__(self):
        return self.call, (self.path,)


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def legacy(value):
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_pickle_as_published(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(VALUES.clone().requires_grad_(), protocol=protocol))
    read = read_logmel(path, 5)
    assert read.dtype == np.float32
    assert np.array_equal(read, VALUES.numpy())


def test_torch_save(tmp_path):
    (tmp_path / "a.pkl").write_bytes(saved(VALUES.clone().requires_grad_()))
    assert np.array_equal(read_logmel(tmp_path / "a.pkl", 5), VALUES.numpy())


def test_a_slice_with_offset_and_strides(tmp_path):
    longer = torch.randn(8, 64, 96).transpose(1, 2)[2:7, None]
    assert not longer.is_contiguous()
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(longer))
    assert np.array_equal(read_logmel(tmp_path / "a.pkl", 5), longer.numpy())


@pytest.mark.parametrize("wrap", ["plain", "zip", "in_hooks", "in_storage", "legacy", "beside"])
def test_code_is_refused_and_not_run(tmp_path, wrap):
    flag = tmp_path / "ran"
    evil = Canary(flag)
    contents = {
        "plain": lambda: pickle.dumps(evil),
        "zip": lambda: saved(evil),
        "legacy": lambda: legacy(evil),
        "beside": lambda: pickle.dumps((VALUES, evil)),
        "in_hooks": lambda: pickle.dumps(_tensor_with(VALUES, OrderedDict(a=evil))),
        "in_storage": lambda: _bytes_within(legacy(evil)),
    }
    content = contents[wrap]()
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pkl.*Nothing of it was run"):
        read_logmel(tmp_path / "a.pkl", 5)
    assert not flag.exists()
    if wrap in ("plain", "beside", "in_hooks"):  # the canary is real: ordinary pickle runs it
        pickle.loads(content)
        assert flag.exists()


def _tensor_with(tensor, hooks):
    class Hooked:
        def __reduce__(self):
            rebuild, args = tensor.__reduce_ex__(4)
            return rebuild, (*args[:5], hooks)

    return Hooked()


def _bytes_within(inner):
    class Loads:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (inner,)

    return pickle.dumps(Loads())


@pytest.mark.parametrize(
    "name", ["builtins eval", "os system", "torch.hub load", "torch._utils _rebuild_parameter",
             "torch.storage _load_from_bytes.__globals__", "builtins getattr"]
)  # fmt: skip
def test_names_beyond_the_three_are_refused(tmp_path, name):
    module, attribute = name.split()
    (tmp_path / "a.pkl").write_bytes(f"c{module}\n{attribute}\n.".encode())
    with pytest.raises(DataError, match="it names"):
        read_logmel(tmp_path / "a.pkl", 5)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (VALUES[:4], r"\[4, 1, 96, 64\]"),
        (VALUES[:, 0], r"\[5, 96, 64\]"),
        (VALUES.double(), "float64"),
        (torch.full_like(VALUES, torch.nan), "NaN"),
        ({"a": VALUES}, "dict"),
        ([1, 2], "list"),
        ("text", "str"),
    ],
)
@pytest.mark.parametrize("dump", [pickle.dumps, saved])
def test_anything_else_is_named(tmp_path, value, found, dump):
    (tmp_path / "a.pkl").write_bytes(dump(value))
    with pytest.raises(DataError, match=rf"a\.pkl.*{found}"):
        read_logmel(tmp_path / "a.pkl", 5)


def test_parts_beyond_the_storage(tmp_path):
    class Beyond:
        def __reduce__(self):
            rebuild, args = VALUES.__reduce_ex__(4)
            return rebuild, (args[0], 10**6, *args[2:])

    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Beyond()))
    with pytest.raises(DataError, match="out of bounds"):
        read_logmel(tmp_path / "a.pkl", 5)


@pytest.mark.parametrize("cut", [0, 1, 100, 5000, -1])
@pytest.mark.parametrize("dump", [pickle.dumps, saved])
def test_cut_files(tmp_path, cut, dump):
    (tmp_path / "a.pkl").write_bytes(dump(VALUES)[:cut])
    with pytest.raises(DataError, match=r"a\.pkl"):
        read_logmel(tmp_path / "a.pkl", 5)


def test_a_huge_file_is_not_read(tmp_path):
    with (tmp_path / "a.pkl").open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(DataError, match="17825792 bytes"):
        read_logmel(tmp_path / "a.pkl", 5)


def test_an_archive_that_unpacks_without_end_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pkl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(64 << 20))
    assert (tmp_path / "a.pkl").stat().st_size < 1 << 20
    with pytest.raises(DataError, match="67108864 bytes once unpacked"):
        read_logmel(tmp_path / "a.pkl", 5)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_logmel(tmp_path / "a.pkl", 5)
