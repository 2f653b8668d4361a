"""`Benchmark`: the list of clips, a check of the files, and a reader of shard samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from avsynth.core.records import Sample
from avsynth.runtime.errors import ConfigError, DataError, suggest

_MAX_NAMES = 5
"""Missing files that a finding lists by name."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of a benchmark and the paths of its labelled frames. Picklable; nothing read yet."""

    dataset: str
    """Name of the dataset that the clip is converted to; part of the sample keys."""
    version: str
    licence: str
    split: str
    clip_key: str
    category: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    """One per image, in time order."""
    audio: Path
    logmel: Path | None = None
    """File of the benchmark's own log-mels, or None: they are computed from the audio."""
    patches: int = 0
    """Number of log-mels in that file: one per frame of the clip, labelled or not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Expected and found number of one part (clips, masks, ...) of one split."""

    split: str
    part: str
    """``clips``, ``frames``, ``masks``, ``audio files`` or ``log-mels``."""
    expected: int
    found: int
    missing: tuple[str, ...] = ()
    """The first missing files, relative to the root."""

    def __str__(self) -> str:
        """Return the finding as one line of a message."""
        text = f"{self.split}: {self.found} of {self.expected} {self.part}"
        return text + (f" (first missing: {', '.join(self.missing)})" if self.missing else "")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One published benchmark."""

    name: str
    title: str
    version: str
    paper: str
    url: str
    """Download page."""
    licence: str
    clips: dict[str, int]
    """Split -> official number of clips."""
    list_clips: Callable[[Path, str], list[Clip]]
    """``(root, split)`` -> clips of the split, sorted by clip key."""
    read_clip: Callable[[Clip], Iterator[Sample]]
    """Clip -> its samples, one per labelled frame, in time order."""
    boxes: bool = False
    """Whether the ground truth is boxes (``meta.boxes``): localisation is scored, not masks."""

    def iter_samples(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the samples of a split; the frames of a clip are adjacent.

        Args:
            root: folder in the layout that the docstring of the benchmark's module describes.
            split: train, val or test.

        Raises:
            ConfigError: the benchmark has no such split.
            DataError: the layout is incomplete (before the first sample), or a file is damaged.
        """
        self.require(root, split)
        for clip in self.list_clips(root, split):
            yield from self.read_clip(clip)

    def require(self, root: Path, split: str) -> None:
        """Check that every file that the lists of a split name exists.

        Raises:
            ConfigError: the benchmark has no such split.
            DataError: the layout is incomplete.
        """
        faults = [f for f in self.check(root, split) if f.found != f.expected]
        if faults:
            raise DataError(
                f"benchmarks/{self.name} in {root}",
                f"the files of split {split}",
                "; ".join(map(str, faults)),
                f"Get the missing files ({self.url}), or remove their rows from the csv.",
            )

    def check(self, root: Path, split: str | None = None) -> list[Finding]:
        """Compare the files below ``root`` with the lists, and the lists with the paper.

        If the lists together have the official number of clips, each split must have its official
        number. Other lists (a subset, a toy world) define the expected numbers themselves.

        Args:
            root: folder in the benchmark's layout.
            split: only this split, or None for all.

        Returns:
            One finding per split and part, complete ones included.

        Raises:
            ConfigError: the benchmark has no such split.
            DataError: a list is absent or damaged.
        """
        if split is not None and split not in self.clips:
            where = f"benchmarks/{self.name}"
            raise ConfigError(where, "a split", repr(split), suggest(split, self.clips))
        listed = {name: self.list_clips(root, name) for name in self.clips}
        official = sum(map(len, listed.values())) == sum(self.clips.values())
        findings = []
        for name in self.clips if split is None else (split,):
            count = len(listed[name])
            findings.append(Finding(name, "clips", self.clips[name] if official else count, count))
            findings += _count_files(root, name, listed[name])
        return findings


def _count_files(root: Path, split: str, clips: list[Clip]) -> Iterator[Finding]:
    """Yield one finding per part: the number of files listed, and of those that exist."""
    parts: dict[str, list[Path]] = {
        "frames": [path for clip in clips for path in clip.images],
        "masks": [path for clip in clips for path in clip.masks],
        "audio files": [clip.audio for clip in clips],
        "log-mels": [clip.logmel for clip in clips if clip.logmel is not None],
    }
    for part, paths in parts.items():
        missing = [path for path in paths if not path.is_file()]
        names = tuple(path.relative_to(root).as_posix() for path in missing[:_MAX_NAMES])
        if paths:
            yield Finding(split, part, len(paths), len(paths) - len(missing), names)
