"""The VGGish front end: a 16 kHz waveform to log-mel patches of 0.96 s.

Source: S. Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017,
section 3.1, with the constants of the released VGGish model. All published AVS systems use it.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from avsynth.formats.waveform import SAMPLE_RATE_HZ

PATCH_SAMPLES = 15_600
"""The shortest waveform that fills one patch: 95 hops and a window."""
NUM_FRAMES = 96
NUM_BANDS = 64
_WINDOW = 400
_HOP = 160
_FFT = 512
_LOWEST_HZ, _HIGHEST_HZ = 125.0, 7500.0
_LOG_OFFSET = 0.01


def logmel(waveform: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Compute the log-mel patches of a waveform.

    Patches follow each other every 0.96 s without overlap; an incomplete last one is omitted.
    The patch of second ``s`` is ``logmel(waveform[s * 16_000 : (s + 1) * 16_000])[0]``.

    Args:
        waveform: float32 [S], mono, -1..1, 16 kHz.

    Returns:
        float32 [n, 1, 96, 64], natural logarithms, at least ln 0.01. n = 0 when S < 15,600.
    """
    if waveform.ndim != 1:
        raise ValueError(f"expected a mono waveform [S]; got shape {list(waveform.shape)}")
    frames = max(0, 1 + (len(waveform) - _WINDOW) // _HOP)
    count = frames // NUM_FRAMES
    if count == 0:
        return np.empty((0, 1, NUM_FRAMES, NUM_BANDS), np.float32)
    # Beside a loud tone a quiet band is lost in float32's rounding, so the sums run in float64.
    used = np.asarray(waveform[: (count * NUM_FRAMES - 1) * _HOP + _WINDOW], np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(used, _WINDOW)[::_HOP]
    spectrum = np.fft.rfft(windows * _hann(), _FFT)
    magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2)
    bands = np.log(magnitude @ mel_matrix() + _LOG_OFFSET)
    return bands.astype(np.float32).reshape(count, 1, NUM_FRAMES, NUM_BANDS)


@cache
def _hann() -> npt.NDArray[np.float64]:
    """Compute the periodic Hann window, float64 [400]."""
    turn = np.arange(_WINDOW, dtype=np.float64) * (2 * np.pi / _WINDOW)
    return np.asarray(0.5 - 0.5 * np.cos(turn), np.float64)


@cache
def mel_matrix() -> npt.NDArray[np.float64]:
    """Compute the weights of FFT bins in mel bands, triangles in mel and not in Hz: [257, 64]."""
    bins = _mel(np.linspace(0, SAMPLE_RATE_HZ / 2, _FFT // 2 + 1))[:, None]
    lowest, highest = _mel(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    edges = np.linspace(lowest, highest, NUM_BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    weights: npt.NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0  # no band contains the DC bin
    weights.flags.writeable = False
    return weights


def _mel(frequency_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert Hz to the HTK mel scale."""
    return np.asarray(1127.0 * np.log1p(frequency_hz / 700.0))
