"""Datasets at a URL: `publish`, `pull`, and `RemoteShards` for reading without a full download.

Any filesystem of fsspec works: ``s3://bucket/folder``, ``gs://...``, ``file:///...``. Beside each
tar is ``<tar>.sha256``, in the format of ``sha256sum``. It is written after the tar, and the index
last of all. So an interrupted upload continues, and an incomplete dataset is never read.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from avsynth.core.cache import cache_root
from avsynth.core.files import atomic_file
from avsynth.core.hashing import file_digest
from avsynth.formats.shards import INDEX_FILE, ShardInfo, ShardReader, parse_index, read_index
from avsynth.runtime.errors import AvsynthError, ConfigError, DataError, MissingExtra
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track

_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class TransferStats:
    """Shards and bytes that were transferred, and shards that were present already."""

    shards: int
    bytes: int
    kept: int


def publish(folder: Path, url: str, runtime: Runtime) -> TransferStats:
    """Upload a dataset to a URL, replacing the dataset there.

    Args:
        folder: of the tars and index.json.
        url: of a folder; made when absent.
        runtime: its workers upload, a tar at a time.

    Raises:
        DataError: the dataset is incomplete, or the URL cannot be reached.
        ConfigError: the URL is of an unknown kind.
        MissingExtra: the driver of its protocol is not installed.
    """
    shards, content = read_index(folder), (folder / INDEX_FILE).read_bytes()
    with _reaching(url) as (remote, root):
        remote.makedirs(root, exist_ok=True)
        index = f"{root}/{INDEX_FILE}"
        if remote.exists(index) and remote.cat_file(index) != content:
            remote.rm_file(index)  # A mixture of two datasets must not be readable.
    sent = _all(partial(_upload, folder, url), shards, f"upload to {url}", runtime)
    with _reaching(url) as (remote, root):
        remote.pipe_file(f"{root}/{INDEX_FILE}", content)
        remote.invalidate_cache()
        noted = {Path(note).stem for note in remote.glob(f"{root}/*.tar.sha256")}
        for name in noted - {s.file for s in shards}:
            for left in (f"{root}/{name}", f"{root}/{name}.sha256"):
                remote.rm_file(left)
    return sent


def pull(url: str, folder: Path, runtime: Runtime) -> TransferStats:
    """Download a published dataset to a folder and remove other files in it.

    Raises:
        DataError: there is no dataset, it cannot be reached, or a tar is not the published one.
        ConfigError: the URL is of an unknown kind.
        MissingExtra: the driver of its protocol is not installed.
    """
    with _reaching(url) as (remote, root):
        content = remote.cat_file(f"{root}/{INDEX_FILE}")
    shards = parse_index(content, f"{url}/{INDEX_FILE}")
    (folder / INDEX_FILE).unlink(missing_ok=True)
    pulled = _all(partial(_download, url, folder), shards, f"download from {url}", runtime)
    folder.mkdir(parents=True, exist_ok=True)
    for left in set(folder.iterdir()) - {folder / s.file for s in shards}:
        left.unlink()
    with atomic_file(folder / INDEX_FILE) as temporary:
        temporary.write_bytes(content)
    return pulled


class RemoteShards(ShardReader):
    """Random access to a published dataset; a tar is downloaded to the cache at its first use.

    Args:
        url: of the published dataset.
        runtime: names the cache.
        split: train, val or test; None for all.
    """

    def __init__(self, url: str, runtime: Runtime, split: str | None = None) -> None:
        self.url, self.runtime = url, runtime
        super().__init__(cache_root(runtime) / "shards", split)

    def _index(self) -> list[ShardInfo]:
        with _reaching(self.url) as (remote, root):
            content = remote.cat_file(f"{root}/{INDEX_FILE}")
        return parse_index(content, f"{self.url}/{INDEX_FILE}")

    def _path(self, shard: ShardInfo) -> Path:
        path = self.folder / f"{shard.sha256}.tar"
        if not path.is_file():
            _fetch(self.url, shard, path)
        return path


def _all(
    move: Callable[[ShardInfo], int], shards: list[ShardInfo], what: str, runtime: Runtime
) -> TransferStats:
    moved = list(track(map_items(move, shards, runtime), what, len(shards), runtime))
    return TransferStats(sum(size > 0 for size in moved), sum(moved), moved.count(0))


def _upload(folder: Path, url: str, shard: ShardInfo) -> int:
    """Upload a tar unless it is present; return the bytes sent."""
    with _reaching(url) as (remote, root):
        target, note = f"{root}/{shard.file}", f"{root}/{shard.file}.sha256"
        line = f"{shard.sha256}  {shard.file}\n".encode()
        if remote.exists(note) and remote.cat_file(note) == line:
            return 0
        if remote.exists(note):
            remote.rm_file(note)
        with (folder / shard.file).open("rb") as local, remote.open(target, "wb") as there:
            _copy(local, there, shard, str(folder / shard.file))
        remote.pipe_file(note, line)
    return shard.bytes


def _download(url: str, folder: Path, shard: ShardInfo) -> int:
    """Download a tar unless it is present; return the bytes received."""
    path = folder / shard.file
    same_size = path.is_file() and path.stat().st_size == shard.bytes
    if same_size and file_digest(path) == shard.sha256:
        return 0
    return _fetch(url, shard, path)


def _fetch(url: str, shard: ShardInfo, path: Path) -> int:
    with (
        _reaching(url) as (remote, root),
        atomic_file(path, concurrent=True) as temporary,  # loader workers share the cache
        remote.open(f"{root}/{shard.file}", "rb") as there,
        temporary.open("wb") as local,
    ):
        _copy(there, local, shard, f"{url}/{shard.file}")
    return shard.bytes


def _copy(source: IO[bytes], target: IO[bytes], shard: ShardInfo, where: str) -> None:
    """Copy a tar and compare its digest with the index."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    if digest.hexdigest() != shard.sha256:
        expected, found = f"sha256 {shard.sha256}", digest.hexdigest()
        raise DataError(where, expected, found, "Write the dataset again, then publish it again.")


@contextmanager
def _reaching(url: str) -> Iterator[tuple[Any, str]]:
    """Yield the filesystem of a URL and the path in it; explain the errors of its driver."""
    try:
        import fsspec
    except ImportError:
        raise MissingExtra("fsspec", "cluster") from None
    try:
        remote, root = fsspec.url_to_fs(url)
    except ImportError as error:
        fix = "Install the driver that it names: pip install 'avsynth[cluster]' installs s3fs."
        raise ConfigError(url, "a URL whose driver is installed", str(error), fix) from None
    except ValueError as error:
        fix = "Use a URL like s3://bucket/folder or file:///folder."
        raise ConfigError(url, "a URL that fsspec knows", str(error), fix) from None
    try:
        yield remote, root.rstrip("/")
    except AvsynthError:
        raise
    except FileNotFoundError as error:
        fix = f"Publish a dataset there first: avsynth publish {url}"
        raise DataError(url, "a published dataset", f"no {error}", fix) from None
    except Exception as error:  # Every driver of fsspec has exceptions of its own.
        found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        fix = "Check address, permissions and network (for S3: AWS_* variables); then run it again."
        raise DataError(url, "a URL that can be reached", found, fix) from None
