"""Frozen image embeddings, computed once: what SAM's encoder says of a picture, kept on disk.

A frozen encoder gives the same answer in every epoch, and it is nearly all of the work of AP-SAM
and of AV-SAM without its encoder. An answer is found again by the picture's pixels as the
encoder gets them and by the encoder's own digest, so another checkpoint, size or way of resizing
finds nothing that is not its own. Everything here can be deleted at any time.
"""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

Encode = Callable[[Tensor], Tensor]
_HEADER_BYTES = 128
"""Of a .npy file."""
_SCAN_SHARE = 0.01
"""Of the limit: after so many new bytes the folder is counted again."""


class EmbeddingCache:
    """Remembers embeddings in bfloat16, one file each, in 256 folders.

    Several processes may use one folder at once. What comes out is rounded to bfloat16 whether
    it was found or computed, so a run's numbers do not depend on what the cache held.

    Args:
        folder: of the cache.
        encoder: digest of the encoder's weights, see `digest_of`.
        limit_bytes: most that the folder may hold; None for no limit. When it is full, what this
            process has not used goes, oldest first; when all is in use, nothing more is kept (a
            training epoch comes back to every picture in turn, so whatever replaced another would
            itself be gone before it is asked for).
    """

    def __init__(self, folder: Path, encoder: str, limit_bytes: int | None = None) -> None:
        self.folder, self.encoder, self.limit_bytes = folder, encoder, limit_bytes
        self.found = self.computed = 0
        self._begun = time.time()
        self._room: float = 0 if limit_bytes is not None else float("inf")
        self._keeps = True

    def __call__(self, image: Tensor, encode: Encode) -> Tensor:
        """Give the embeddings of pictures, computing those that are not there, all at once.

        Args:
            image: uint8 ``[N, 3, H, W]``, on any device.
            encode: the frozen encoder: uint8 ``[M, 3, H, W]`` to float ``[M, C, h, w]``.

        Returns:
            float32 ``[N, C, h, w]`` on the pictures' device, of bfloat16's precision.
        """
        paths = [self._path(picture) for picture in image.cpu()]
        rows = [_read(path) for path in paths]
        missing = [i for i, row in enumerate(rows) if row is None]
        self.found += len(rows) - len(missing)
        self.computed += len(missing)
        if missing:
            with torch.no_grad():
                made = encode(image[missing]).bfloat16().cpu()
            for i, row in zip(missing, made, strict=True):
                rows[i] = row
                self._keep(paths[i], row)
        return torch.stack([row for row in rows if row is not None]).to(image.device).float()

    def _path(self, picture: Tensor) -> Path:
        digest = hashlib.sha256(f"{self.encoder} {tuple(picture.shape)}".encode())
        digest.update(picture.contiguous().numpy())
        key = digest.hexdigest()[:32]
        return self.folder / key[:2] / f"{key[2:]}.npy"

    def _keep(self, path: Path, row: Tensor) -> None:
        needed = row.nbytes + _HEADER_BYTES
        if not self._keeps or (needed > self._room and not self._make_room(needed)):
            return
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.save(file, row.view(torch.int16).numpy())
            temporary.replace(path)
            self._room -= needed
        except OSError:  # A full disk ends the keeping, not the run.
            self._keeps = False
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _make_room(self, needed: int) -> bool:
        """Count the folder, remove what this process has not used; say whether there is room."""
        assert self.limit_bytes is not None
        files = sorted(_files(self.folder))
        free = self.limit_bytes - sum(size for _, size, _ in files)
        step = max(needed, int(_SCAN_SHARE * self.limit_bytes))
        for used_at, size, path in files:
            if free >= step or used_at >= self._begun:
                break
            path.unlink(missing_ok=True)
            free += size
        self._keeps = free >= needed
        self._room = min(free, step)
        return self._keeps


def digest_of(encoder: nn.Module) -> str:
    """Hash an encoder's weights: hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(path: Path) -> Tensor | None:
    """Read an embedding and mark it as used; a damaged one counts as absent."""
    try:
        with path.open("rb") as file:
            row = np.load(file, allow_pickle=False)
        os.utime(path)
    except (OSError, ValueError, EOFError):
        return None
    return torch.from_numpy(row).view(torch.bfloat16)


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """List the files of a cache: when they were last used, bytes, path."""
    found = []
    for path in folder.glob("*/*"):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    return found
