import io
import math
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from avsynth.formats.waveform import (
    decode_flac,
    encode_flac,
    encode_wav,
    quantise,
    read_audio,
    rms_db,
    second_db,
    to_pcm16,
)
from avsynth.runtime.errors import DataError


def noise(seconds: float, rate_hz: int, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.uniform(-0.3, 0.3, (int(seconds * rate_hz), channels)).astype(np.float32)


def write_mp4(path: Path, sound: np.ndarray, rate_hz: int, jump_s: int = 0) -> None:
    with av.open(str(path), "w") as container:
        # Without noise substitution, which the decoder fills with random numbers of its own.
        stream = container.add_stream(
            "aac", rate=rate_hz, layout="stereo", options={"aac_pns": "0"}
        )
        for start in range(0, len(sound) - 1023, 1024):
            block = np.ascontiguousarray(sound[start : start + 1024].T)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.rate, frame.pts = rate_hz, start + (jump_s * rate_hz if start else 0)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def flac_that_claims(samples: int) -> bytes:
    """Encode 32,000 samples and write another number into the header's 36 bits."""
    data = bytearray(encode_flac(noise(2, 16_000, 1)[:, 0]))
    data[21] = (data[21] & 0xF0) | samples >> 32
    data[22:26] = (samples & 0xFFFF_FFFF).to_bytes(4, "big")
    return bytes(data)


@pytest.fixture(scope="module", params=["wav", "flac", "ogg", "mp3", "mp4", "m4a"])
def stereo_44k(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sounds") / f"noise.{request.param}"
    sound = noise(4, 44_100)
    if request.param in ("mp4", "m4a"):
        write_mp4(path, sound, 44_100)
    else:
        soundfile.write(path, sound, 44_100)
    return path


def test_reads_every_container_as_mono_16k(stereo_44k):
    waveform, rate_hz = read_audio(stereo_44k)
    assert rate_hz == 16_000
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert len(waveform) / 16_000 == pytest.approx(4, abs=0.08)
    # Uniform ±0.3 noise in two channels, 16/44.1 of its band: 0.3 / √3 / √2 · √(16/44.1).
    assert rms_db(waveform) == pytest.approx(
        20 * math.log10(0.3 / 6**0.5 * (16 / 44.1) ** 0.5), abs=1.5
    )
    again, _ = read_audio(stereo_44k)
    np.testing.assert_array_equal(waveform, again)


@pytest.mark.parametrize(("start_s", "duration_s"), [(0, 1), (1, 1), (1.2345, 0.5), (3, None)])
def test_a_range_is_the_slice_of_the_whole(stereo_44k, start_s, duration_s):
    whole, _ = read_audio(stereo_44k)
    part, _ = read_audio(stereo_44k, start_s, duration_s)
    first = round(start_s * 16_000)
    stop = None if duration_s is None else first + round(duration_s * 16_000)
    expected = whole[first:stop]
    assert len(part) == len(expected)
    np.testing.assert_allclose(part, expected, atol=2e-6)


def test_a_range_past_the_end_is_empty_or_short(stereo_44k):
    assert len(read_audio(stereo_44k, 30, 1)[0]) == 0
    assert 0 < len(read_audio(stereo_44k, 3.5, 10)[0]) < 16_000


def test_a_gap_in_a_track_is_silence(tmp_path):
    write_mp4(tmp_path / "gap.mp4", noise(2, 44_100), 44_100, jump_s=3)
    waveform, _ = read_audio(tmp_path / "gap.mp4")
    assert len(waveform) / 16_000 == pytest.approx(5, abs=0.1)
    assert not waveform[8_000:44_000].any()
    assert rms_db(waveform[52_000:76_000]) > -30


def test_resampling_keeps_a_tone_in_place(tmp_path):
    t = np.arange(2 * 44_100) / 44_100
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 44_100, "FLOAT")
    waveform, _ = read_audio(tmp_path / "tone.wav")
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000)
    np.testing.assert_allclose(waveform[800:-800], expected[800:-800], atol=1e-4)


def test_16k_mono_passes_through_exactly(tmp_path):
    pcm = np.arange(-16_000, 16_000, dtype=np.int16)
    soundfile.write(tmp_path / "ramp.wav", pcm, 16_000)
    waveform, _ = read_audio(tmp_path / "ramp.wav")
    np.testing.assert_array_equal(waveform, pcm / np.float32(32_768))
    part, _ = read_audio(tmp_path / "ramp.wav", 1, 0.5)
    np.testing.assert_array_equal(part, waveform[16_000:24_000])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=400))
def test_flac_keeps_every_16_bit_sample(samples):
    pcm = np.array(samples, np.int16)
    waveform = pcm.astype(np.float32) / 32_768
    data = encode_flac(waveform)
    assert data == encode_flac(waveform)
    np.testing.assert_array_equal(decode_flac(data), waveform)
    np.testing.assert_array_equal(to_pcm16(decode_flac(data)), pcm)


def test_quantised_sound_survives_encoding_to_the_bit():
    waveform = quantise(np.random.default_rng(1).uniform(-1, 1, 5_000).astype(np.float32))
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(decode_flac(encode_flac(waveform)), waveform)
    np.testing.assert_array_equal(quantise(waveform), waveform)


def test_encoding_clips_instead_of_wrapping():
    loud = np.array([1.5, -1.5, 1.0], np.float32)
    assert to_pcm16(loud).tolist() == [32_767, -32_768, 32_767]


def test_loudness():
    t = np.arange(40_000) / 16_000
    tone = (0.5 * np.sin(2 * np.pi * 100 * t)).astype(np.float32)
    tone[16_000:32_000] = 0
    assert rms_db(tone[:16_000]) == pytest.approx(-9.031, abs=1e-3)
    assert rms_db(np.zeros(0, np.float32)) == -math.inf
    assert second_db(tone) == [pytest.approx(-9.031, abs=1e-3), -math.inf]
    assert second_db(tone[:15_999]) == []


class TestBadInput:
    def refuse(self, path: Path, words: str, **asked: float) -> None:
        with pytest.raises(DataError, match=words) as caught:
            read_audio(path, **asked)
        assert str(path) in caught.value.where
        assert caught.value.fix

    def test_absent(self, tmp_path):
        self.refuse(tmp_path / "none.wav", "no such file")

    def test_foreign_suffix(self, tmp_path):
        (tmp_path / "song.txt").write_text("la la")
        self.refuse(tmp_path / "song.txt", ".txt")

    @pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "mp4", "webm"])
    @pytest.mark.parametrize("content", [b"", b"not a sound", bytes(range(256)) * 20])
    def test_not_a_sound(self, tmp_path, suffix, content):
        path = tmp_path / f"junk.{suffix}"
        path.write_bytes(content)
        self.refuse(path, "a sound")

    def test_wav_header_that_lies(self, tmp_path):
        path = tmp_path / "liar.wav"
        data = bytearray(encode_wav(noise(1, 16_000, 1)[:, 0]))
        at = data.index(b"data") + 4
        data[at : at + 4] = struct.pack("<I", 320_000)
        path.write_bytes(data)
        self.refuse(path, "320000 bytes of audio by its header; found 32000 bytes")

    @pytest.mark.parametrize("rate_hz", [1, 999, 2_000_000_000])
    def test_wav_header_with_a_rate_of_no_recording(self, tmp_path, rate_hz):
        path = tmp_path / "rate.wav"
        data = bytearray(encode_wav(noise(1, 16_000, 1)[:, 0]))
        data[24:28] = struct.pack("<I", rate_hz)
        path.write_bytes(data)
        self.refuse(path, f"found {rate_hz} Hz")

    def test_wav_header_of_a_stream_is_no_lie(self, tmp_path):
        path = tmp_path / "stream.wav"
        data = bytearray(encode_wav(noise(1, 16_000, 1)[:, 0]))
        at = data.index(b"data") + 4
        data[4:8] = data[at : at + 4] = b"\xff\xff\xff\xff"
        path.write_bytes(data)
        assert len(read_audio(path)[0]) == 16_000

    @pytest.mark.parametrize("claimed", [32_001, 64_000, 2**36 - 1])
    def test_flac_header_that_lies(self, tmp_path, claimed):
        path = tmp_path / "liar.flac"
        path.write_bytes(flac_that_claims(claimed))
        self.refuse(path, "a sound file|by its header")

    def test_flac_header_that_does_not_know_is_no_lie(self, tmp_path):
        path = tmp_path / "stream.flac"
        path.write_bytes(flac_that_claims(0))
        whole = read_audio(path)[0]
        np.testing.assert_array_equal(whole, quantise(noise(2, 16_000, 1)[:, 0]))
        np.testing.assert_array_equal(read_audio(path, 1, 0.5)[0], whole[16_000:24_000])

    @pytest.mark.parametrize("keep", [0.03, 0.5, 0.95])
    @pytest.mark.parametrize("suffix", ["wav", "flac"])
    def test_truncated(self, tmp_path, suffix, keep):
        path = tmp_path / f"cut.{suffix}"
        soundfile.write(path, noise(2, 16_000), 16_000)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])
        self.refuse(path, "a sound|by its header")

    def test_truncated_mp4(self, tmp_path):
        path = tmp_path / "cut.mp4"
        write_mp4(path, noise(2, 44_100), 44_100)
        path.write_bytes(path.read_bytes()[:5_000])
        self.refuse(path, "a sound")

    def test_a_gap_without_end(self, tmp_path):
        path = tmp_path / "gap.mp4"
        write_mp4(path, noise(1, 44_100), 44_100, jump_s=5_000)
        self.refuse(path, "a gap of 5000 s")
        assert len(read_audio(path, 0, 2)[0]) == 32_000

    def test_picture_without_sound(self, tmp_path):
        path = tmp_path / "mute.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            for _ in range(3):
                grey = np.full((32, 32, 3), 90, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(stream.encode(None))
        self.refuse(path, "a sound track; found none")

    def test_not_finite(self, tmp_path):
        path = tmp_path / "nan.wav"
        soundfile.write(path, np.array([0.1, np.nan, 0.2], np.float32), 16_000, "FLOAT")
        self.refuse(path, "NaN")

    def test_flac_bytes_of_another_rate(self):
        buffer = io.BytesIO()
        soundfile.write(buffer, noise(0.1, 8_000), 8_000, format="FLAC")
        with pytest.raises(DataError, match="8000 Hz, 2 channels"):
            decode_flac(buffer.getvalue())
        with pytest.raises(DataError, match="FLAC stream"):
            decode_flac(b"no")
