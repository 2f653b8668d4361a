"""Short films with sound and the mask of what sounds: what the AVS benchmarks are made of."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from avsynth.formats.waveform import SAMPLE_RATE_HZ
from avsynth.toy.scenes import Mask, Pixels, paint, stage
from avsynth.toy.sounds import Wave, record


@dataclass(frozen=True, slots=True)
class Script:
    """What a film shows and what is heard in it."""

    shown: tuple[str, ...]
    """Categories on screen, each once, the nearest last."""
    heard: tuple[str, ...]
    """Categories that sound; one that is not shown sounds from off the screen."""
    gates: NDArray[np.bool_]
    """bool ``[len(heard), seconds]``: when each of them sounds."""


@dataclass(frozen=True, slots=True)
class Film:
    """One frame a second, as AVSBench samples them, and 16 kHz sound."""

    frames: list[Pixels]
    masks: list[dict[str, Mask]]
    """For each frame, the visible pixels of each category that is shown and sounds then."""
    sound: Wave


def shoot(script: Script, height_px: int, width_px: int, rng: np.random.Generator) -> Film:
    """Film a script: things drift and sway, the ground stays, the grain flickers."""
    seconds = script.gates.shape[1]
    scene = stage(script.shown, height_px, width_px, "filmed", rng)
    drifts = rng.uniform(-0.02, 0.02, (len(scene.things), 3)) * (height_px, height_px, 1.5)
    frames: list[Pixels] = []
    masks: list[dict[str, Mask]] = []
    for second in range(seconds):
        moved = tuple(
            thing.moved(*(float(d) for d in drift * (second - seconds / 2)))
            for thing, drift in zip(scene.things, drifts, strict=True)
        )
        pixels, cutouts = paint(replace(scene, things=moved), rng)
        sounding = {
            name for name, gate in zip(script.heard, script.gates, strict=True) if gate[second]
        }
        frames.append(pixels)
        masks.append({cut.name: cut.mask for cut in cutouts if cut.name in sounding})
    sound = sum(
        (
            record(name, rng, seconds, "field", gate)
            for name, gate in zip(script.heard, script.gates, strict=True)
        ),
        start=np.zeros(seconds * SAMPLE_RATE_HZ, np.float32),
    )
    return Film(frames, masks, np.asarray(sound.clip(-1, 1), np.float32))


def union(masks: dict[str, Mask], like: Pixels) -> Mask:
    """Return all sounding pixels of a frame, bool ``[H, W]``; none when nothing sounds."""
    whole = np.zeros(like.shape[:2], bool)
    for mask in masks.values():
        whole |= mask
    return whole


def write_wav(path: Path, sound: Wave) -> Wave:
    """Write mono 16 kHz in 8-bit u-law, which halves the toy world; return it as it is stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, SAMPLE_RATE_HZ, subtype="ULAW")
    return np.asarray(soundfile.read(path, dtype="float32")[0])
