"""What this machine and this installation have: extras, disk, memory, device."""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

EXTRAS: dict[str, tuple[str, ...]] = {
    "download": ("aiohttp", "yt_dlp", "imageio_ffmpeg"),
    "train": ("torch", "torchvision", "torchaudio", "segment_anything", "safetensors", "dvclive"),
    "view": ("fiftyone",),
    "cluster": ("ray", "fsspec", "s3fs"),
}
"""The modules that each extra of the installation brings."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """One thing that may be there or not."""

    name: str
    there: bool
    detail: str


def extras() -> list[Equipment]:
    """Say which optional parts are installed, without importing them."""
    found = []
    for name, modules in EXTRAS.items():
        absent = [module for module in modules if find_spec(module) is None]
        detail = f"lacks {', '.join(absent)}: pip install 'avsynth[{name}]'" if absent else ""
        found.append(Equipment(f"extra {name}", not absent, detail or ", ".join(modules)))
    return found


def machine(folder: Path) -> list[Equipment]:
    """Say what the disk of a folder, the memory and the device offer."""
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    writable = os.access(folder, os.W_OK)
    disk = f"{usage.free / 1e9:.0f} GB free of {usage.total / 1e9:.0f} GB"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return [
        Equipment("disk", writable, disk if writable else f"{folder} cannot be written"),
        Equipment("memory", True, f"{memory:.0f} GB, {len(os.sched_getaffinity(0))} cores"),
        _device(),
    ]


def _device() -> Equipment:
    if find_spec("torch") is None:
        return Equipment("device", False, "torch is not installed; data can be built without it")
    import torch

    if not torch.cuda.is_available():
        return Equipment("device", True, "cpu; no CUDA device")
    names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return Equipment("device", True, f"cuda: {', '.join(names)}")
