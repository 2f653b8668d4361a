"""`TIMBRES` and audio synthesis: a category's audio is a series of events with pitch and spectrum.

A timbre holds the fixed properties of a category. A recording varies the pitch (within 20 %), the
event rate, the level, the event times and the background noise. ``studio`` recordings (VGGSound,
AudioSet, the audio folder) have no reverberation. ``field`` recordings (AVSBench) have
reverberation, fewer high frequencies, and a background that is louder and low-pass filtered.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avsynth.formats.waveform import SAMPLE_RATE_HZ

_TABLE_SIZE = 2048
_REVERB_S = 0.25
_LEVELS = np.float32(2**10)
"""Quantisation to 11 bits: FLAC compresses the empty low bits, which halves the toy world."""
Style = Literal["studio", "field"]
Wave = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Timbre:
    """The fixed properties of one category's audio; `synthesise` combines them."""

    pitch_hz: float
    glide: tuple[float, ...]
    """Pitch over one event, as factors of ``pitch_hz`` at equal distances in time."""
    harmonics: tuple[float, ...]
    """Amplitudes of the 1st, 2nd, ... partial."""
    rate_hz: float
    """Events per second."""
    duty: float
    """Share of an event's period that sounds, 0..1."""
    decay: float = 0.0
    """Exponential decay over an event, in e-folds; 0 fades in and out."""
    notes: tuple[float, ...] = (1.0,)
    """Factors of the pitch, one sampled for each event."""
    rough_hz: float = 0.0
    """Frequency of the amplitude modulation; 0 for none."""
    noise_hz: tuple[float, float] = (0.0, 0.0)
    """Frequency band of the noise part."""
    noise: float = 0.0
    """Share of the noise part, 0..1."""


TIMBRES: dict[str, Timbre] = {
    "ambulance": Timbre(950, (0.62, 1.0, 1.45, 1.0, 0.62), (1, 0.1, 0.45, 0, 0.2), 0.5, 1.0),
    "cat": Timbre(520, (0.8, 1.35, 1.25, 0.8), (0.5, 1, 0.9, 0.3, 0.1), 1.1, 0.65),
    "dog": Timbre(
        330, (1.2, 1.0, 0.6), (1, 0.8, 0.9, 0.5, 0.3), 2.6, 0.4, 2.5, noise_hz=(400, 1800),
        noise=0.4,
    ),
    "bus": Timbre(
        52, (1, 1.15, 1), (1,) * 9, 0.4, 1.0, rough_hz=9, noise_hz=(60, 420), noise=0.35
    ),
    "horse": Timbre(
        900, (1, 0.8), (1, 0.2), 4.6, 0.3, 6.0, (1, 0.72), noise_hz=(700, 1500), noise=0.75
    ),
    "lion": Timbre(
        85, (0.8, 1.2, 1, 0.7), (1, 1, 0.9, 0.7, 0.6, 0.4), 0.8, 0.85, rough_hz=27,
        noise_hz=(120, 800), noise=0.45,
    ),
    "bird": Timbre(3400, (1.25, 0.85, 1.2), (1, 0.15), 6.0, 0.5, notes=(1, 1.15, 0.85)),
    "guitar": Timbre(
        150, (1,), tuple(1 / k for k in range(1, 11)), 3.4, 1.0, 3.0, (1, 1.25, 1.5, 2.0)
    ),
    "piano": Timbre(
        560, (1,), (1, 0.3, 0.12, 0.05), 2.4, 1.0, 2.2, (1, 1.26, 1.5, 1.89), noise_hz=(1800, 2600),
        noise=0.03,
    ),
    "computer_keyboard": Timbre(
        2400, (1, 0.7), (1,), 9.0, 0.22, 7.0, (1, 1.2, 0.8), noise_hz=(1800, 6500), noise=0.95
    ),
    "airplane": Timbre(
        2300, (0.94, 1.06, 0.94), (1,), 0.2, 1.0, noise_hz=(150, 2600), noise=0.9
    ),
    "alarm_clock": Timbre(2050, (1,), (1, 0, 0.5), 4.0, 0.5, 0.3, rough_hz=0),
    "donkey": Timbre(
        430, (1.6, 1.6, 0.6, 0.6), (1, 0.7, 0.9, 0.8, 0.5, 0.4), 1.2, 0.9, rough_hz=45,
        noise_hz=(500, 2600), noise=0.3,
    ),
    "duck": Timbre(
        260, (1.1, 0.9), (0.2, 0.3, 0.6, 1, 1, 0.7, 0.4, 0.3), 3.2, 0.5, noise_hz=(1000, 1500),
        noise=0.15,
    ),
    "frog": Timbre(640, (1, 1.05), (1, 0.1), 1.5, 0.7, rough_hz=22),
    "snake": Timbre(6000, (1,), (1,), 0.7, 0.95, noise_hz=(4300, 7600), noise=1.0),
    "squirrel": Timbre(
        2000, (0.8, 1.2), (1, 0.3), 9.0, 0.45, 2.0, noise_hz=(3000, 5200), noise=0.5
    ),
    "helicopter": Timbre(
        75, (1,), (1, 0.6, 0.3), 0.3, 1.0, rough_hz=13, noise_hz=(60, 1300), noise=0.85
    ),
}  # fmt: skip


def synthesise(
    name: str,
    rng: np.random.Generator,
    duration_s: float,
    style: Style = "studio",
    gate: NDArray[np.bool_] | None = None,
) -> Wave:
    """Synthesise a recording of one category.

    Args:
        name: a key of `TIMBRES`.
        rng: source of all random choices.
        duration_s: length in seconds.
        style: ``studio`` or ``field``.
        gate: bool ``[seconds]``, the seconds in which the category sounds; None for all.

    Returns:
        float32 ``[duration_s * 16000]`` within -1..1, 16 kHz mono.
    """
    samples = round(duration_s * SAMPLE_RATE_HZ)
    timbre = TIMBRES[name]
    envelope, position, note = _events(timbre, rng, samples)
    pitch = timbre.pitch_hz * rng.uniform(0.83, 1.2)
    audio = _tone(timbre, pitch, note, position) * np.float32(1 - timbre.noise)
    if timbre.noise:
        audio += _band_noise(rng, samples, timbre.noise_hz) * np.float32(timbre.noise)
    audio *= envelope
    if timbre.rough_hz:
        rate = timbre.rough_hz * rng.uniform(0.88, 1.14)
        seconds = np.arange(samples, dtype=np.float32) / SAMPLE_RATE_HZ
        audio *= 0.5 + 0.5 * np.sin(np.float32(2 * np.pi * rate) * seconds)
    if gate is not None:
        opened = np.repeat(gate, SAMPLE_RATE_HZ)[:samples].astype(np.float32)
        audio *= _running_mean(opened, 320)  # 20 ms ramp, to avoid a click
    return add_room_and_noise(audio, rng, style)


def add_room_and_noise(audio: Wave, rng: np.random.Generator, style: Style) -> Wave:
    """Add reverberation (``field`` only) and background noise, and set the level.

    Args:
        audio: float32 ``[N]``, any level, 16 kHz.
        rng: source of the level, the reverberation and the noise.
        style: ``studio`` or ``field``.
    """
    if style == "field":
        audio = _add_reverb(audio, rng)
    loud = float(np.sqrt(np.mean(np.square(audio)))) or 1.0
    audio = audio * np.float32(_gain(rng, -32, -18) / loud)
    floor = _gain(rng, -60, -48) if style == "field" else _gain(rng, -80, -58)
    noise = rng.standard_normal(len(audio), dtype=np.float32)
    if style == "field":  # low-pass filtered, like street noise
        noise = _running_mean(noise, 8) * np.float32(2.8)
    mixed = np.round((audio + noise * np.float32(floor)) * _LEVELS) / _LEVELS
    return np.asarray(mixed.clip(-1, 1), np.float32)


def _running_mean(values: Wave, width: int) -> Wave:
    """Compute a running mean over ``width`` values; beyond the ends values count as 0."""
    total = np.cumsum(np.pad(values, (width - width // 2, width // 2)), dtype=np.float64)
    return ((total[width:] - total[:-width]) / width).astype(np.float32)


def _gain(rng: np.random.Generator, low_db: float, high_db: float) -> float:
    return float(10 ** (rng.uniform(low_db, high_db) / 20))


def _events(timbre: Timbre, rng: np.random.Generator, samples: int) -> tuple[Wave, Wave, Wave]:
    """Return envelope 0..1, position in the event 0..1 and note factor, each ``[samples]``."""
    rate = timbre.rate_hz * rng.uniform(0.85, 1.18)
    period = SAMPLE_RATE_HZ / rate
    count = int(samples / period / 0.8) + 4
    steps = period * rng.uniform(0.82, 1.2, count)
    edges = np.concatenate([[0], np.cumsum(steps)]) - rng.uniform(0, period)
    firsts = np.ceil(edges).astype(np.int64).clip(0, samples)
    which = np.repeat(np.arange(count), np.diff(firsts))
    # Subtract in double precision: float32 cannot hold large sample indices exactly.
    position = (np.arange(samples) - edges[which]).astype(np.float32)
    inside = (position / (steps * timbre.duty).astype(np.float32)[which]).clip(0, 1)
    if timbre.decay:
        attack = np.minimum(inside * 40, 1)
        envelope = attack * np.exp(np.float32(-timbre.decay) * inside) * (inside < 1)
    elif timbre.duty >= 1:
        envelope = np.ones(samples, np.float32)
    else:
        envelope = np.sqrt(np.clip(np.sin(np.float32(np.pi) * inside), 0, 1))
    note = rng.choice(np.asarray(timbre.notes, np.float32), count + 1)[which]
    return envelope.astype(np.float32), inside, note


def _tone(timbre: Timbre, pitch: float, note: Wave, position: Wave) -> Wave:
    """Synthesise the partials along the glide by table lookup of one period."""
    turns = np.arange(_TABLE_SIZE) / _TABLE_SIZE
    partials = np.arange(1, len(timbre.harmonics) + 1)
    weights = np.asarray(timbre.harmonics)
    offsets = 0.37 * partials  # different phases: the peak of aligned partials would clip
    table = (weights @ np.sin(2 * np.pi * (np.outer(partials, turns) + offsets[:, None]))).astype(
        np.float32
    )
    table /= np.float32(np.sqrt(np.mean(table**2)))
    knots = np.linspace(0, 1, max(2, len(timbre.glide)))
    glide = timbre.glide if len(timbre.glide) > 1 else timbre.glide * 2
    frequency = pitch * note * np.interp(position, knots, glide)
    phase = np.cumsum(frequency / SAMPLE_RATE_HZ)
    return table[(phase * _TABLE_SIZE).astype(np.int64) % _TABLE_SIZE]


def _band_noise(rng: np.random.Generator, samples: int, band_hz: tuple[float, float]) -> Wave:
    spectrum = np.fft.rfft(rng.standard_normal(samples, dtype=np.float32))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    spectrum[(frequency < band_hz[0]) | (frequency > band_hz[1])] = 0
    noise = np.fft.irfft(spectrum, samples).astype(np.float32)
    return noise / np.float32(np.sqrt(np.mean(noise**2)))


def _add_reverb(audio: Wave, rng: np.random.Generator) -> Wave:
    """Add reverberation and a low-pass filter in the frequency domain."""
    tail = round(_REVERB_S * SAMPLE_RATE_HZ)
    fading = np.exp(-np.arange(tail, dtype=np.float32) / np.float32(tail / 5)) * np.float32(0.035)
    response = rng.standard_normal(tail, dtype=np.float32) * fading
    response[0] = 1.0
    size = len(audio) + tail
    spectrum = np.fft.rfft(audio, size) * np.fft.rfft(response, size)
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ).astype(np.float32)
    spectrum /= np.sqrt(1 + (frequency / np.float32(rng.uniform(3000, 5000))) ** 2)
    return np.fft.irfft(spectrum, size)[: len(audio)].astype(np.float32)
