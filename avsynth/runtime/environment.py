"""What this machine and installation have: extras (`Check`), disk, memory, device."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from avsynth.runtime.errors import MissingExtra

EXTRAS: dict[str, tuple[str, ...]] = {
    "download": ("aiohttp", "yt_dlp", "imageio_ffmpeg"),
    "train": ("torch", "torchvision", "torchaudio", "segment_anything", "safetensors", "dvclive"),
    "view": ("fiftyone",),
    "cluster": ("ray", "fsspec", "s3fs"),
}
"""The modules that each extra of the installation adds."""


@dataclass(frozen=True, slots=True)
class Check:
    """One optional part of the environment."""

    name: str
    available: bool
    detail: str


def extras() -> list[Check]:
    """Return which extras are installed, without importing them."""
    found = []
    for name, modules in EXTRAS.items():
        absent = [module for module in modules if find_spec(module) is None]
        detail = f"lacks {', '.join(absent)}: pip install 'avsynth[{name}]'" if absent else ""
        found.append(Check(f"extra {name}", not absent, detail or ", ".join(modules)))
    return found


@contextmanager
def explain_missing_extras() -> Iterator[None]:
    """Raise `MissingExtra` for the failed import of a module that an extra adds.

    Raises:
        MissingExtra: with the pip command that installs the module.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        for extra, modules in EXTRAS.items():
            if error.name in modules:
                raise MissingExtra(error.name, extra) from None
        raise


def machine(folder: Path) -> list[Check]:
    """Return the free disk space of a folder, the memory and the device."""
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    writable = os.access(folder, os.W_OK)
    disk = f"{usage.free / 1e9:.0f} GB free of {usage.total / 1e9:.0f} GB"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return [
        Check("disk", writable, disk if writable else f"{folder} cannot be written"),
        Check("memory", True, f"{memory:.0f} GB, {len(os.sched_getaffinity(0))} cores"),
        _device(),
    ]


def _device() -> Check:
    if find_spec("torch") is None:
        return Check("device", False, "torch is not installed; data can be built without it")
    import torch

    if not torch.cuda.is_available():
        return Check("device", True, "cpu; no CUDA device")
    names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return Check("device", True, f"cuda: {', '.join(names)}")
