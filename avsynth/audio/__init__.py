"""Audio sources, sound decoding and the front end of the networks."""

from collections.abc import Callable, Iterator

from avsynth.audio import audioset, folder, vggsound
from avsynth.categories import Vocabulary
from avsynth.config import AudioParams, Runtime
from avsynth.paths import Layout
from avsynth.records import AudioClip

IterClips = Callable[[Layout, AudioParams, Vocabulary, Runtime], Iterator[AudioClip]]

AUDIO_SOURCES: dict[str, IterClips] = {
    "vggsound": vggsound.iter_clips,
    "audioset": audioset.iter_clips,
    "folder": folder.iter_clips,
}
