"""`Runtime`: options that change no byte of an output."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a command runs; two runs that differ only in this write the same bytes."""

    workers: int = 1
    executor: Literal["serial", "process", "ray"] = "serial"
    device: str = "cpu"
    cache_dir: Path | None = None
    quiet: bool = False
    cache_limit_bytes: int = 20_000_000_000
    """Maximum size of cached image embeddings; 0 disables the cache."""
