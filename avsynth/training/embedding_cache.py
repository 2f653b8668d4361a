"""Frozen image embeddings, computed once: what SAM's encoder says of a picture, kept on disk.

A frozen encoder gives the same answer in every epoch, and it is nearly all of the work of AP-SAM
and of AV-SAM without its encoder. An answer is found again by the picture's pixels as the
encoder gets them and by the encoder's own digest, so another checkpoint, size or way of resizing
finds nothing that is not its own. Everything here can be deleted at any time.
"""

import hashlib
import io
import os
import secrets
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

Encode = Callable[[Tensor], Tensor]
_FORMAT = 1
_OTHER_BYTES = 128 + 4
"""Of a file beside the numbers: the header of .npy, and a CRC-32 at the end."""
_SCAN_SHARE = 0.01
"""Of the limit: after so many new bytes the folder is counted again."""


class EmbeddingCache:
    """Remembers embeddings in bfloat16, one file each, in 256 folders.

    Several processes may use one folder at once. A run's numbers do not depend on what the cache
    held: what comes out is rounded to bfloat16 whether it was found or computed; pictures are
    encoded one by one, since the last bits depend on how many go together; and what was computed
    on another kind of device, or under another autocast, is another answer.

    Args:
        folder: of the cache.
        encoder: digest of the encoder's weights, see `digest_of`.
        limit_bytes: most that the folder may hold, 1 % more for each further process that writes
            at once; None for no limit, 0 to neither read nor write. When it is full, what this
            process has not used goes, oldest first; when all is in use, nothing more is kept (a
            training epoch comes back to every picture in turn, so whatever replaced another would
            itself be gone before it is asked for).
    """

    def __init__(self, folder: Path, encoder: str, limit_bytes: int | None = None) -> None:
        self.folder, self.encoder, self.limit_bytes = folder, encoder, limit_bytes
        self.found = self.computed = 0
        self._begun = time.time()
        self._room: float = 0 if limit_bytes is not None else float("inf")
        self._keeps = limit_bytes != 0

    def __call__(self, image: Tensor, encode: Encode) -> Tensor:
        """Give the embeddings of pictures, computing those that are not there.

        Args:
            image: uint8 ``[N, 3, H, W]``, on any device.
            encode: the frozen encoder: uint8 ``[1, 3, H, W]`` to float ``[1, C, h, w]``.

        Returns:
            float32 ``[N, C, h, w]`` on the pictures' device, of bfloat16's precision.
        """
        rows = [self._row(image[i : i + 1], encode) for i in range(len(image))]
        return torch.stack(rows).to(image.device).float()

    def _row(self, picture: Tensor, encode: Encode) -> Tensor:
        """Find or compute the embedding of one picture: bfloat16 ``[C, h, w]`` on the CPU."""
        if self.limit_bytes == 0:
            return self._compute(picture, encode)
        path = self._path(picture)
        row = _read(path)
        if row is not None:
            self.found += 1
            return row
        row = self._compute(picture, encode)
        self._keep(path, row)
        return row

    def _compute(self, picture: Tensor, encode: Encode) -> Tensor:
        self.computed += 1
        with torch.no_grad():
            return encode(picture.contiguous())[0].bfloat16().cpu()

    def _path(self, picture: Tensor) -> Path:
        device = picture.device.type
        how = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else "exact"
        text = f"{_FORMAT} {self.encoder} {tuple(picture.shape)} {device} {how}"
        digest = hashlib.sha256(text.encode())
        digest.update(picture.cpu().contiguous().numpy())
        key = digest.hexdigest()[:32]
        return self.folder / key[:2] / f"{key[2:]}.npy"

    def _keep(self, path: Path, row: Tensor) -> None:
        needed = row.nbytes + _OTHER_BYTES
        if not self._keeps or (needed > self._room and not self._make_room(needed)):
            return
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = io.BytesIO()
            np.save(content, row.contiguous().view(torch.int16).numpy())
            content.write(zlib.crc32(content.getbuffer()).to_bytes(4, "little"))
            temporary.write_bytes(content.getbuffer())
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
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(path: Path) -> Tensor | None:
    """Read an embedding and mark it as used; a damaged one counts as absent."""
    try:
        content = path.read_bytes()
        if zlib.crc32(content[:-4]) != int.from_bytes(content[-4:], "little"):
            return None
        row = np.load(io.BytesIO(content), allow_pickle=False)
        os.utime(path)
    except (OSError, ValueError, EOFError):
        return None
    return torch.from_numpy(row).view(torch.bfloat16)


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """List the files of a cache: when they were last used, bytes, path."""
    found = []
    for path in folder.glob("??/*.npy*"):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    return found
