"""What lies on disk already: found by name, checked, linked into place, never copied twice."""

import asyncio
import os
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from avsynth.core.names import inside
from avsynth.download.items import Item, Outcome, file_fault
from avsynth.download.partial_file import CorruptError, Part, disk
from avsynth.formats.audio_file import AUDIO_SUFFIXES
from avsynth.runtime.errors import DataError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
MAX_CLIP_BYTES = 256 << 20


class Shelf:
    """Folders that may hold official archives, extracted folders or clips.

    Args:
        folders: looked through once, when first asked; links to folders are not followed.

    Raises (when first asked):
        DataError: a folder is not there.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = list(folders)

    @cached_property
    def _paths(self) -> dict[str, list[Path]]:
        named: dict[str, list[Path]] = {}
        for folder in self._folders:
            if not folder.is_dir():
                raise DataError(
                    "params.yaml: fetch.have", "folders", f"no folder {folder}", "Mend the list."
                )
            for where, _, names in os.walk(folder):
                for name in names:
                    named.setdefault(name, []).append(Path(where, name))
        return named

    def archive(self, url: str) -> Path | None:
        """Find an official archive by the name in its URL."""
        return next(iter(self._paths.get(PurePosixPath(url).name, ())), None)

    def tars(self) -> list[Path]:
        """List the tars; they may hold clips."""
        names = sorted(n for n in self._paths if n.endswith(TAR_SUFFIXES))
        return [path for name in names for path in self._paths[name]]

    def find(self, item: Item, root: Path) -> list[tuple[Path, str]]:
        """List where an item may lie, its own place first, with the target each would have."""
        target = PurePosixPath(item.target)
        names = [target.name]
        if item.start_s is not None:
            names += [target.stem + suffix for suffix in AUDIO_SUFFIXES]
        found = []
        for name in names:
            place = str(target.with_name(name))
            if (own := inside(root, place)).is_file():
                found.append((own, place))
            # Of files of one name the one in a folder of the right name comes first.
            near = sorted(
                self._paths.get(name, ()), key=lambda p: p.parent.name != target.parent.name
            )
            found += [(path, place) for path in near]
        return found

    async def take(self, item: Item, root: Path) -> Outcome | None:
        """Check and link an item that lies on disk; None when it does not, or is not sound."""
        for path, place in self.find(item, root):
            checked = item if place == item.target else replace(item, target=place, bytes=None)
            fault, size, sha256 = await asyncio.to_thread(file_fault, path, checked)
            if not fault and size:
                _link(path, inside(root, place))
                return Outcome("ok", "on disk", size, sha256, 0, place)
        return None


def _link(path: Path, target: Path) -> None:
    """Give a file a second name; across file systems, a symbolic link."""
    if path == target:
        return
    with disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.link")
        temporary.unlink(missing_ok=True)
        try:
            temporary.hardlink_to(path.resolve())
        except OSError:
            temporary.symlink_to(path.resolve())
        os.replace(temporary, target)  # noqa: PTH105 - atomic, and says so


async def unpack_tar(path: Path, wanted: dict[str, Item], root: Path) -> list[tuple[Item, Outcome]]:
    """Take the wanted clips out of a tar, in one pass; found by their name without suffix.

    A member's own path is never used: links, devices and what is not wanted are passed over.
    """
    done = []
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                # Lets Ctrl-C through.
                await asyncio.sleep(0)
                name = PurePosixPath(member.name)
                item = wanted.get(name.stem)
                if item is None or not member.isreg() or name.suffix not in AUDIO_SUFFIXES:
                    continue
                target = str(PurePosixPath(item.target).with_name(item.item_id + name.suffix))
                done.append(
                    (item, _take_member(archive, member, replace(item, target=target), root))
                )
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            str(path),
            "a readable tar of clips",
            str(error),
            "Get it again, or drop it from fetch.have.",
        ) from None
    return done


def _take_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, item: Item, root: Path
) -> Outcome:
    stream = archive.extractfile(member)
    if stream is None or member.size > MAX_CLIP_BYTES:
        return Outcome("corrupt", f"{member.size} bytes are no clip")
    try:
        size, sha256 = Part(item, inside(root, item.target)).land_bytes(stream.read())
    except CorruptError as error:
        return Outcome("corrupt", str(error))
    return Outcome("ok", "from a tar", size, sha256, 0, item.target)
