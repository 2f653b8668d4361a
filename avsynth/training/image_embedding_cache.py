"""`ImageEmbeddingCache`: a disk cache of frozen image-encoder outputs.

A frozen encoder returns the same output in every epoch, and it is nearly all of the computation of
AP-SAM and of AV-SAM with a frozen encoder. The key of an output is a hash of the image's pixels
after resizing and of the encoder's weights, so another checkpoint, size or resizing method has
other keys. The folder can be deleted at any time.
"""

import hashlib
import io
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from avsynth.core.files import atomic_file
from avsynth.core.hashing import source_digest, tensor_digest
from avsynth.runtime.errors import SpaceError

Encode = Callable[[Tensor], Tensor]
_FORMAT = 1
_OTHER_BYTES = 128 + 4
"""Bytes of a file beside the numbers: the header of .npy, and a CRC-32 at the end."""
_SCAN_SHARE = 0.01
"""Share of the limit that is written before the folder's size is measured again."""


class ImageEmbeddingCache:
    """A cache of embeddings in bfloat16, one file each, in 256 folders.

    Several processes may use one folder at once. The numbers of a run do not depend on the cache's
    content: outputs are rounded to bfloat16 whether found or computed; images are encoded one by
    one, since the last bits depend on the batch size; and the kind of device and the autocast type
    are part of the key.

    Args:
        folder: of the cache.
        encoder: digest of the encoder's weights, see `digest_of`.
        limit_bytes: upper limit of the folder's size, exceeded by at most 1 % for each further
            process that writes at once; None for no limit, 0 to neither read nor write. When the
            limit is reached, files that this process has not used are removed, oldest first. When
            all files are in use, no more are written: a training epoch reads every image once, so
            a file that replaced another would itself be replaced before it is read.
    """

    def __init__(self, folder: Path, encoder: str, limit_bytes: int | None = None) -> None:
        self.folder, self.encoder, self.limit_bytes = folder, encoder, limit_bytes
        self.found = self.computed = 0
        self._begun = time.time()
        self._room: float = 0 if limit_bytes is not None else float("inf")
        self._writes = limit_bytes != 0

    def __call__(self, image: Tensor, encode: Encode) -> Tensor:
        """Return the embeddings of images; compute those that are not in the cache.

        Args:
            image: uint8 ``[N, 3, H, W]``, on any device.
            encode: the frozen encoder: uint8 ``[1, 3, H, W]`` to float ``[1, C, h, w]``.

        Returns:
            float32 ``[N, C, h, w]`` on the images' device, of bfloat16's precision.
        """
        rows = [self._row(image[i : i + 1], encode) for i in range(len(image))]
        return torch.stack(rows).to(image.device).float()

    def _row(self, one: Tensor, encode: Encode) -> Tensor:
        """Return the embedding of uint8 ``[1, 3, H, W]``: bfloat16 ``[C, h, w]`` on the CPU."""
        if self.limit_bytes == 0:
            return self._compute(one, encode)
        path = self._path(one)
        row = _read(path)
        if row is not None:
            self.found += 1
            return row
        row = self._compute(one, encode)
        self._write(path, row)
        return row

    def _compute(self, one: Tensor, encode: Encode) -> Tensor:
        self.computed += 1
        with torch.no_grad():
            return encode(one.contiguous())[0].bfloat16().cpu()

    def _path(self, one: Tensor) -> Path:
        device = one.device.type
        how = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else "exact"
        text = f"{_FORMAT} {self.encoder} {tuple(one.shape)} {device} {how}"
        digest = hashlib.sha256(text.encode())
        digest.update(one.cpu().contiguous().numpy().data)
        key = digest.hexdigest()[:32]
        return self.folder / key[:2] / f"{key[2:]}.npy"

    def _write(self, path: Path, row: Tensor) -> None:
        needed = row.nbytes + _OTHER_BYTES
        if not self._writes or (needed > self._room and not self._make_room(needed)):
            return
        try:
            content = io.BytesIO()
            np.save(content, row.contiguous().view(torch.int16).numpy())
            content.write(zlib.crc32(content.getbuffer()).to_bytes(4, "little"))
            with atomic_file(path, concurrent=True) as temporary:
                temporary.write_bytes(content.getbuffer())
            self._room -= needed
        except SpaceError:  # If the disk is full, stop caching but continue the run.
            self._writes = False

    def _make_room(self, needed: int) -> bool:
        """Remove files that this process has not used; return whether there is room."""
        assert self.limit_bytes is not None
        files = sorted(_files(self.folder))
        free = self.limit_bytes - sum(size for _, size, _ in files)
        step = max(needed, int(_SCAN_SHARE * self.limit_bytes))
        for used_at, size, path in files:
            if free >= step or used_at >= self._begun:
                break
            path.unlink(missing_ok=True)
            free += size
        self._writes = free >= needed
        self._room = min(free, step)
        return self._writes


def digest_of(encoder: nn.Module) -> str:
    """Return a digest of an encoder's weights and code."""
    weights = tensor_digest(sorted(encoder.state_dict().items()))
    return f"{source_digest(type(encoder).__module__)} {weights}"


def _read(path: Path) -> Tensor | None:
    """Read an embedding and mark it as used; return None if it is absent or damaged."""
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
    """Return the files of a cache: time of last use, bytes, path."""
    found = []
    for path in folder.glob("??/*.npy*"):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    return found
