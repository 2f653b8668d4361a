import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsynth.formats.logmel import PATCH_SAMPLES, logmel, mel_matrix

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "logmel.json").read_text())


def waveform_of(name: str) -> np.ndarray:
    n = np.arange(80_000)
    t = n / 16_000
    return {
        "silence_1s": np.zeros(16_000),
        "sine440_half_1s": 0.5 * np.sin(2 * np.pi * 440 * t[:16_000]),
        "chirp_5s": 0.3 * np.sin(2 * np.pi * (200 * t + 300 * t**2)),
    }[name].astype(np.float32)


@pytest.mark.parametrize("case", GOLDEN["log_mel"], ids=lambda case: case["name"])
def test_equals_the_reference_front_end(case):
    patches = logmel(waveform_of(case["name"]))
    count, frames, bands = case["examples"]
    assert patches.shape == (count, 1, frames, bands)
    assert patches.dtype == np.float32
    first = patches[0, 0]
    np.testing.assert_allclose(first[0, :8], case["first_frame_bins_0_7"], atol=1e-4)
    np.testing.assert_allclose(first[40, 8:16], case["frame_40_bins_8_16"], atol=1e-4)
    assert first.sum(dtype=np.float64) == pytest.approx(case["example0_sum"], abs=1e-2)
    assert first[0].argmax() == case["argmax_bin_frame0"]
    assert patches.min() == pytest.approx(case["min"], abs=1e-4)
    assert patches.max() == pytest.approx(case["max"], abs=1e-4)


def test_mel_matrix_equals_the_reference():
    golden, matrix = GOLDEN["mel_matrix"], mel_matrix()
    assert list(matrix.shape) == golden["shape"]
    assert matrix.sum() == pytest.approx(golden["sum"], abs=1e-9)
    row = {str(i): v for i, v in enumerate(matrix[20]) if v}
    assert row == pytest.approx(golden["row_20_nonzero"], abs=1e-12)
    column = {str(i): v for i, v in enumerate(matrix[:, 0]) if v}
    assert column == pytest.approx(golden["column_0_nonzero"], abs=1e-12)
    assert np.count_nonzero(matrix[:, 63]) == golden["column_63_nonzero_count"]
    assert not matrix[0].any()


@pytest.mark.parametrize(("duration_s", "count"), GOLDEN["examples_by_duration_s"].items())
def test_number_of_patches(duration_s, count):
    samples = round(float(duration_s) * 16_000)
    assert logmel(np.zeros(samples, np.float32)).shape == (count, 1, 96, 64)


def test_one_sample_too_few_makes_no_patch():
    assert len(logmel(np.zeros(PATCH_SAMPLES - 1, np.float32))) == 0
    assert len(logmel(np.zeros(PATCH_SAMPLES, np.float32))) == 1
    assert len(logmel(np.zeros(0, np.float32))) == 0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 3), gain=st.floats(1e-4, 1.0))
def test_each_patch_depends_on_its_own_samples_alone(seed, count, gain):
    noise = np.random.default_rng(seed).uniform(-gain, gain, 15_360 * count + 240)
    whole = logmel(noise.astype(np.float32))
    assert len(whole) == count
    assert whole.min() >= np.float32(np.log(0.01))
    last = logmel(noise[15_360 * (count - 1) :].astype(np.float32))
    np.testing.assert_array_equal(whole[-1], last[0])


def test_refuses_stereo():
    with pytest.raises(ValueError, match="mono"):
        logmel(np.zeros((16_000, 2), np.float32))
