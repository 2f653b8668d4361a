"""Audio sources: each yields `AudioClip`s of the chosen categories from one dataset's files."""

from collections.abc import Callable, Iterator

from avsynth.core.params.building import AudioParams
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip
from avsynth.runtime.options import Runtime
from avsynth.sources.audio import audioset, folder, vggsound
from avsynth.sources.categories import Vocabulary

IterClips = Callable[[Layout, AudioParams, Vocabulary, Runtime], Iterator[AudioClip]]

AUDIO_SOURCES: dict[str, IterClips] = {
    "vggsound": vggsound.iter_clips,
    "audioset": audioset.iter_clips,
    "folder": folder.iter_clips,
}
