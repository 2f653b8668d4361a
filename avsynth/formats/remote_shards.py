"""Datasets at a URL: `publish`, `pull`, and `RemoteShards` for reading without a full download.

Any filesystem of fsspec works: ``s3://bucket/folder``, ``gs://...``, ``file:///...``. Beside each
tar is ``<tar>.sha256``, in the format of ``sha256sum``. It is written after the tar, and the index
last of all. So an interrupted upload continues, and an incomplete dataset is never read.
"""

import errno
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from avsynth.core.cache import cache_root
from avsynth.core.files import (
    atomic_file,
    file_lock,
    link_or_copy,
    replace_folder,
    restore_folder,
)
from avsynth.formats.shard_index import ShardInfo, parse_index
from avsynth.formats.shards import (
    INDEX_FILE,
    WRITTEN_NAME,
    ShardReader,
    check_replaceable,
    read_index,
)
from avsynth.runtime.errors import AvsynthError, ConfigError, DataError, MissingExtra, SpaceError
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
        SpaceError: the disk behind the URL is full.
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
        ours = {name for name in noted if WRITTEN_NAME.fullmatch(name)}
        for name in ours - {s.file for s in shards}:
            for left in (f"{root}/{name}", f"{root}/{name}.sha256"):
                remote.rm_file(left)
    return sent


def pull(url: str, folder: Path, runtime: Runtime) -> TransferStats:
    """Download a published dataset to a folder, where it replaces another one.

    It is downloaded to ``.staging/<name>.pull`` and replaces the old one when it is complete. So a
    download that fails changes nothing, and one that was stopped resumes.

    Raises:
        DataError: there is no dataset, it cannot be reached, a tar is not the published one, or
            the folder holds a file that avsynth did not write.
        ConfigError: the URL is of an unknown kind, or another run writes the same dataset.
        MissingExtra: the driver of its protocol is not installed.
    """
    with _reaching(url) as (remote, root):
        content = remote.cat_file(f"{root}/{INDEX_FILE}")
    shards = parse_index(content, f"{url}/{INDEX_FILE}")
    staging = folder.parent / ".staging" / f"{folder.name}.pull"
    new, old = staging / "new", staging / "old"
    with file_lock(staging / "lock", what=f"dataset {folder.name}"):
        restore_folder(folder, old)
        check_replaceable(folder)
        work = partial(_download, url, folder, new)
        pulled = _all(work, shards, f"download from {url}", runtime)
        new.mkdir(parents=True, exist_ok=True)
        for left in set(new.iterdir()) - {new / s.file for s in shards}:
            left.unlink()
        with atomic_file(new / INDEX_FILE) as temporary:
            temporary.write_bytes(content)
        replace_folder(new, folder, old)
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


def _download(url: str, folder: Path, new: Path, shard: ShardInfo) -> int:
    """Download a tar to ``new`` unless it is there or in ``folder``; return the bytes received."""
    path = new / shard.file
    if _is_shard(path, shard):
        return 0
    if _is_shard(folder / shard.file, shard):
        link_or_copy(folder / shard.file, path)
        return 0
    return _fetch(url, shard, path)


def _is_shard(path: Path, shard: ShardInfo) -> bool:
    if not path.is_file() or path.stat().st_size != shard.bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256


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
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise _unreachable(url, error) from None
        fix = "Free some space there, then run the same command again: it continues."
        raise SpaceError(url, "free space", error.strerror or str(error), fix) from None
    except Exception as error:  # Every driver of fsspec has exceptions of its own.
        raise _unreachable(url, error) from None


def _unreachable(url: str, error: Exception) -> DataError:
    found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    fix = "Check address, permissions and network (for S3: AWS_* variables); then run it again."
    return DataError(url, "a URL that can be reached", found, fix)
