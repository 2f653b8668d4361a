"""Benchmark of the log-mel of one second, compared with the chain that AVS loaders use.

Peer: read the whole 10-s clip, resample it with resampy (kaiser_best), compute the log-mel of the
whole clip in float64 with a new window and mel matrix, keep example 1. Ours: read the second,
resample it with soxr HQ, compute its patch. Both run alternately in one process, on one thread.

Run: ``python -m bench.audio``. It measures CPU time, so that other load has little influence.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import resampy
import soundfile

from avsynth.formats.logmel import logmel
from avsynth.formats.waveform import read_audio
from bench.rows import Row, record

ROUNDS = 15
MUST, STRETCH = 30.0, 55.0


def main() -> None:
    """Print a row per kind of file: medians, ratio and its spread over the rounds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds")
    rounds = 2 if parser.parse_args().quick else ROUNDS
    print(f"{'file':28}{'peer ms':>9}{'ours ms':>9}{'ratio':>8}{'spread':>15}{'mel diff':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name, rate_hz, suffix in (
            ("44.1 kHz stereo wav", 44_100, "wav"),
            ("44.1 kHz stereo flac", 44_100, "flac"),
            ("48 kHz stereo wav", 48_000, "wav"),
            ("16 kHz mono wav", 16_000, "wav"),
        ):
            path = Path(folder) / f"clip.{suffix}"
            soundfile.write(path, music(rate_hz, 1 if rate_hz == 16_000 else 2), rate_hz)
            print(f"{name:28}{compare(name, path, rounds)}")
    print(f"must {MUST:.0f}x, stretch {STRETCH:.0f}x, on 44.1 kHz stereo wav")


def compare(name: str, path: Path, rounds: int) -> str:
    """Measure both chains alternately; the first round is a warm-up and is not counted."""
    peers, ours = [], []
    for _ in range(rounds + 1):
        peers.append(timed(lambda: peer_patch(path), 1))
        ours.append(timed(lambda: our_patch(path), 20))
    ratios = sorted(p / o for p, o in zip(peers[1:], ours[1:], strict=True))
    goals = (MUST, STRETCH) if name == "44.1 kHz stereo wav" else ()
    record(Row("audio", f"log-mel of a second, {name}", ratios, *goals))
    # The peer's example 1 starts at 0.96 s, as does the second that ours reads.
    difference = float(np.abs(peer_patch(path) - our_patch(path)).mean())
    peer_ms, our_ms = (1e3 * statistics.median(t[1:]) for t in (peers, ours))
    spread = f"{ratios[0]:.1f}-{ratios[-1]:.1f}"
    ratio = statistics.median(ratios)
    return f"{peer_ms:9.1f}{our_ms:9.2f}{ratio:8.1f}{spread:>15}{difference:10.4f}"


def timed(run: Callable[[], object], times: int) -> float:
    """Measure CPU seconds per run."""
    start = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - start) / times


def our_patch(path: Path) -> np.ndarray:
    """Read one second from 0.96 s on: float32 [1, 96, 64]."""
    waveform, _ = read_audio(path, 0.96, 1.0)
    return logmel(waveform)[0]


def peer_patch(path: Path) -> np.ndarray:
    """Compute the log-mel of the whole clip and return one second: float32 [1, 96, 64]."""
    samples, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    mono = np.mean(samples / 32_768.0, axis=1)
    if rate_hz != 16_000:
        mono = resampy.resample(mono, rate_hz, 16_000)
    count = 1 + (len(mono) - 400) // 160
    hann = 0.5 - 0.5 * np.cos(2 * math.pi / 400 * np.arange(400))
    frames = np.stack([mono[160 * i : 160 * i + 400] for i in range(count)]) * hann
    bands = np.log(np.abs(np.fft.rfft(frames, 512)) @ hertz_to_mel_matrix() + 0.01)
    examples = bands[: count // 96 * 96].reshape(-1, 1, 96, 64)
    return examples[1].astype(np.float32)


def hertz_to_mel_matrix() -> np.ndarray:
    """Build VGGish's mel matrix band by band: float64 [257, 64]."""

    def mel(hertz: float | np.ndarray) -> np.ndarray:
        return 1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0)

    bins = mel(np.linspace(0.0, 8000.0, 257))
    edges = np.linspace(mel(125.0), mel(7500.0), 66)
    matrix = np.empty((257, 64))
    for band in range(64):
        low, centre, high = edges[band : band + 3]
        rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
        matrix[:, band] = np.maximum(0.0, np.minimum(rising, falling))
    matrix[0] = 0.0
    return matrix


def music(rate_hz: int, channels: int) -> np.ndarray:
    """Synthesise 10 s of tones with noise: float64 [S, C]."""
    t = np.arange(10 * rate_hz) / rate_hz
    tones = sum(np.sin(2 * np.pi * f * t) / n for n, f in enumerate((220, 660, 1500, 3100), 1))
    noise = np.random.default_rng(0).standard_normal((len(t), channels))
    return 0.1 * np.asarray(tones)[:, None] + 0.02 * noise


if __name__ == "__main__":
    main()
