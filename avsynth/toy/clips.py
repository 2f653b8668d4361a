"""`Clip`: video frames, audio and the masks of the sounding objects, for the AVS benchmarks."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from avsynth.formats.waveform import SAMPLE_RATE_HZ
from avsynth.toy.scenes import Mask, Pixels, place_objects, render_scene
from avsynth.toy.sounds import Wave, synthesise


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """The visible and the sounding categories of a clip."""

    visible: tuple[str, ...]
    """Visible categories, each once, the nearest last."""
    sounding: tuple[str, ...]
    """Sounding categories; one that is not visible is off-screen."""
    gates: NDArray[np.bool_]
    """bool ``[len(sounding), seconds]``: the seconds in which each of them sounds."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One frame per second, as in AVSBench, and 16 kHz mono audio."""

    frames: list[Pixels]
    masks: list[dict[str, Mask]]
    """For each frame, the visible pixels of each visible category that sounds in this second."""
    audio: Wave


def render_clip(spec: ClipSpec, height_px: int, width_px: int, rng: np.random.Generator) -> Clip:
    """Render a clip: objects move and turn slowly, the background is fixed, the noise changes."""
    seconds = spec.gates.shape[1]
    scene = place_objects(spec.visible, height_px, width_px, "photo", rng)
    drifts = rng.uniform(-0.02, 0.02, (len(scene.objects), 3)) * (height_px, height_px, 1.5)
    frames: list[Pixels] = []
    masks: list[dict[str, Mask]] = []
    for second in range(seconds):
        moved = tuple(
            obj.moved(*(float(d) for d in drift * (second - seconds / 2)))
            for obj, drift in zip(scene.objects, drifts, strict=True)
        )
        pixels, object_masks = render_scene(replace(scene, objects=moved), rng)
        sounding_now = {
            name for name, gate in zip(spec.sounding, spec.gates, strict=True) if gate[second]
        }
        frames.append(pixels)
        masks.append(
            {
                object_mask.name: object_mask.mask
                for object_mask in object_masks
                if object_mask.name in sounding_now
            }
        )
    audio = sum(
        (
            synthesise(name, rng, seconds, "field", gate)
            for name, gate in zip(spec.sounding, spec.gates, strict=True)
        ),
        start=np.zeros(seconds * SAMPLE_RATE_HZ, np.float32),
    )
    return Clip(frames, masks, np.asarray(audio.clip(-1, 1), np.float32))


def union(masks: dict[str, Mask], like: Pixels) -> Mask:
    """Return the union of the masks of a frame, bool ``[H, W]``; empty without masks."""
    whole = np.zeros(like.shape[:2], bool)
    for mask in masks.values():
        whole |= mask
    return whole


def write_wav(path: Path, audio: Wave) -> Wave:
    """Write 16 kHz mono audio in 8-bit u-law, which halves its size; return the stored values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, SAMPLE_RATE_HZ, subtype="ULAW")
    return np.asarray(soundfile.read(path, dtype="float32")[0])
