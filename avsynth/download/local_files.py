"""`LocalFiles`: files that are already on disk, found by name, checked and linked to the target."""

import asyncio
import os
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from avsynth.core.files import atomic_file
from avsynth.core.names import inside
from avsynth.download.items import Item, Outcome, check_file
from avsynth.download.partial_file import CorruptError, PartialFile, disk_errors
from avsynth.formats.audio_file import AUDIO_SUFFIXES
from avsynth.runtime.errors import DataError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
MAX_CLIP_BYTES = 256 << 20


class LocalFiles:
    """Folders that may hold official archives, extracted folders or clips.

    Args:
        folders: scanned once, on first use; links to folders are not followed.

    Raises (on first use):
        DataError: a folder does not exist.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = list(folders)

    @cached_property
    def _paths(self) -> dict[str, list[Path]]:
        paths: dict[str, list[Path]] = {}
        for folder in self._folders:
            if not folder.is_dir():
                raise DataError(
                    "params.yaml: fetch.have", "folders", f"no folder {folder}", "Fix the list."
                )
            for where, _, names in os.walk(folder):
                for name in names:
                    paths.setdefault(name, []).append(Path(where, name))
        return paths

    def archive(self, url: str) -> Path | None:
        """Return the local copy of an official archive, found by the file name in its URL."""
        return next(iter(self._paths.get(PurePosixPath(url).name, ())), None)

    def tars(self) -> list[Path]:
        """List all tars; any of them may hold clips."""
        names = sorted(n for n in self._paths if n.endswith(TAR_SUFFIXES))
        return [path for name in names for path in self._paths[name]]

    def find(self, item: Item, root: Path) -> list[tuple[Path, str]]:
        """List the candidate files of an item with their targets, the item's own target first."""
        target = PurePosixPath(item.target)
        names = [target.name]
        if item.start_s is not None:
            names += [target.stem + suffix for suffix in AUDIO_SUFFIXES]
        found = []
        for name in names:
            candidate_target = str(target.with_name(name))
            if (target_path := inside(root, candidate_target)).is_file():
                found.append((target_path, candidate_target))
            # Files in a folder with the name of the target's folder come first.
            candidates = sorted(
                self._paths.get(name, ()), key=lambda p: p.parent.name != target.parent.name
            )
            found += [(path, candidate_target) for path in candidates]
        return found

    async def link_local(self, item: Item, root: Path) -> Outcome | None:
        """Check and link an item's local file; None if there is no valid one."""
        for path, candidate_target in self.find(item, root):
            checked = (
                item
                if candidate_target == item.target
                else replace(item, target=candidate_target, bytes=None)
            )
            fault, size, sha256 = await asyncio.to_thread(check_file, path, checked)
            if not fault and size:
                _link(path, inside(root, candidate_target))
                return Outcome("ok", "on disk", size, sha256, 0, candidate_target)
        return None


def _link(path: Path, target: Path) -> None:
    """Create a hard link; across file systems, a symbolic link."""
    if path == target:
        return
    # `concurrent`, because a folder can hold 100,000 targets: it is not listed for each of them.
    with disk_errors(target), atomic_file(target, concurrent=True) as temporary:
        try:
            temporary.hardlink_to(path.resolve())
        except OSError:
            temporary.symlink_to(path.resolve())


async def unpack_tar(path: Path, clips: dict[str, Item], root: Path) -> list[tuple[Item, Outcome]]:
    """Extract the wanted clips of a tar in one pass, found by their name without suffix.

    The paths of members are never used. Links, devices and other members are skipped.
    """
    outcomes = []
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                # Let the event loop handle Ctrl-C.
                await asyncio.sleep(0)
                name = PurePosixPath(member.name)
                item = clips.get(name.stem)
                if item is None or not member.isreg() or name.suffix.lower() not in AUDIO_SUFFIXES:
                    continue
                target = str(PurePosixPath(item.target).with_name(item.item_id + name.suffix))
                outcomes.append(
                    (item, _extract_member(archive, member, replace(item, target=target), root))
                )
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            str(path),
            "a readable tar of clips",
            str(error),
            "Download the tar again, or remove its folder from fetch.have.",
        ) from None
    return outcomes


def _extract_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, item: Item, root: Path
) -> Outcome:
    stream = archive.extractfile(member)
    if stream is None or member.size > MAX_CLIP_BYTES:
        return Outcome("corrupt", f"{member.size} bytes are too many for a clip")
    try:
        size, sha256 = PartialFile(item, inside(root, item.target)).commit_bytes(stream.read())
    except CorruptError as error:
        return Outcome("corrupt", str(error))
    return Outcome("ok", "from a tar", size, sha256, 0, item.target)
