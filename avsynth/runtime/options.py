"""`Runtime`: what a command may change without changing a byte of an output."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Runtime:
    """What may differ between two runs without a byte of the output differing."""

    workers: int = 1
    executor: Literal["serial", "process", "ray"] = "serial"
    device: str = "cpu"
    cache_dir: Path | None = None
    quiet: bool = False
    cache_limit_bytes: int = 20_000_000_000
    """Most that embeddings of pictures may take in the cache; 0 keeps none."""
