"""`restricted_load` for pickles from anywhere, and `read_logmel` for AVSBench's log-mel features.

The features come in two forms. A file of ``torch.save`` is read by
``torch.load(weights_only=True)``. The published form is a plain ``pickle.dump`` of a tensor, which
names three callables. The unpickler replaces each of these by a harmless stand-in and refuses every
other name before anything is called.
"""

import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avsynth.runtime.errors import DataError, MissingExtra

_MOST_BYTES = 16 << 20
_ZIP_HEAD = b"PK\x03\x04"
UNREADABLE = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError,
    AttributeError, RuntimeError, OverflowError, MemoryError, OSError, zipfile.BadZipFile,
    LookupError, AssertionError,
)  # fmt: skip
"""What readers of pickles, ``torch.load`` too, raise for a damaged file."""


def read_logmel(path: Path, patches: int) -> NDArray[np.float32]:
    """Read a pickled log-mel.

    Args:
        path: a .pkl file.
        patches: n, one per frame of the clip.

    Returns:
        float32 ``[n, 1, 96, 64]``.

    Raises:
        DataError: the file holds code, is damaged, or holds anything but such a tensor.
        MissingExtra: torch is not installed.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise _bad(path, f"{size} bytes")
        content = path.read_bytes()
        loaded = (
            _load_zip(content)
            if content.startswith(_ZIP_HEAD)
            else restricted_load(content, _STAND_INS)
        )
        values = _as_array(loaded)
    except (MissingExtra, DataError):
        raise
    except UNREADABLE as error:
        raise _bad(path, str(error).split("\n")[0][:200]) from None
    if values.shape != (patches, 1, 96, 64) or values.dtype != np.float32:
        raise _bad(path, f"{values.dtype} {list(values.shape)}", patches)
    if not np.isfinite(values).all():
        raise _bad(path, "NaN or infinity", patches)
    return values


def _bad(path: Path, found: str, patches: int | Literal["n"] = "n") -> DataError:
    return DataError(
        str(path),
        f"a pickled float32 tensor [{patches}, 1, 96, 64]",
        found,
        "Nothing of it was run. Get the file again from the benchmark's publisher.",
    )


StandIns = Mapping[tuple[str, str], Callable[..., Any]]
"""(module, name) that a pickle may contain -> the harmless callable that takes its place."""


class _RestrictedUnpickler(pickle.Unpickler):
    """Unpickles without looking up a name: a known one is replaced, any other is an error."""

    def __init__(self, content: bytes, stand_ins: StandIns) -> None:
        super().__init__(io.BytesIO(content))
        self._stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a known name."""
        stand_in = self._stand_ins.get((module, name))
        if stand_in is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return stand_in

    def persistent_load(self, pid: Any) -> Any:
        """Raise for a reference to another file."""
        raise pickle.UnpicklingError(f"it refers to {pid!r}")


def restricted_load(content: bytes, stand_ins: StandIns | None = None) -> Any:
    """Unpickle bytes without running any code that they name.

    Args:
        content: a pickle from anywhere.
        stand_ins: names that it may contain, each with a harmless replacement; none by default,
            so that only dicts, lists, tuples, strings and numbers are read.

    Raises:
        pickle.UnpicklingError: it contains another name, or refers to another file.
    """
    return _RestrictedUnpickler(content, stand_ins or {}).load()


def _load_zip(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _MOST_BYTES:
        raise ValueError(f"{size} bytes once unpacked")
    return _load_weights(content)


def _load_weights(content: bytes) -> Any:
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", "train") from None
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _parts(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> tuple[Any, ...]:
    """Replace ``torch._utils._rebuild_tensor_v2``: return the parts."""
    return "tensor", storage, offset, size, stride


_STAND_INS: StandIns = {
    ("torch._utils", "_rebuild_tensor_v2"): _parts,
    ("torch.storage", "_load_from_bytes"): _load_weights,
    ("collections", "OrderedDict"): dict,
}


def _as_array(loaded: Any) -> NDArray[Any]:
    """Copy a tensor, or the parts of one, to an array."""
    import torch

    if isinstance(loaded, tuple) and loaded[:1] == ("tensor",):
        _, storage, offset, size, stride = loaded
        flat = torch.empty(0, dtype=storage.dtype).set_(storage)
        loaded = torch.as_strided(flat, size, stride, offset)
    if not isinstance(loaded, torch.Tensor):
        raise TypeError(type(loaded).__name__)
    return np.array(loaded.detach().numpy())


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the error's type."""
    text = str(error).strip()
    return text.splitlines()[0][:160] if text else type(error).__name__
