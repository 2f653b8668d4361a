"""Every audio format in every container, compared with FFmpeg's own decode; damaged files."""

import shutil
import struct
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from avsynth.formats.audio_file import AUDIO_SUFFIXES
from avsynth.formats.waveform import iter_audio, read_audio
from avsynth.runtime.errors import DataError

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
RATE_HZ = 44_100
SECONDS = 3
FORMATS = {
    "vorbis.webm": ["-c:a", "libvorbis"], "opus.webm": ["-c:a", "libopus"],
    "vorbis.mkv": ["-c:a", "libvorbis"], "mp3.mkv": ["-c:a", "libmp3lame"],
    "aac.mkv": ["-c:a", "aac", "-aac_pns", "0"], "flac.mkv": ["-c:a", "flac"],
    "pcm_u8.mkv": ["-c:a", "pcm_u8"], "aac.mp4": ["-c:a", "aac", "-aac_pns", "0"],
    "aac.m4a": ["-c:a", "aac", "-aac_pns", "0"], "alac.m4a": ["-c:a", "alac"],
    "aac.mov": ["-c:a", "aac", "-aac_pns", "0"], "aac.ts": ["-c:a", "aac", "-aac_pns", "0"],
    "aac.aac": ["-c:a", "aac", "-aac_pns", "0"], "vorbis.ogg": ["-c:a", "libvorbis"],
    "opus.opus": [], "flac.flac": [], "cbr.mp3": ["-b:a", "128k"], "vbr.mp3": ["-q:a", "4"],
    "no_xing.mp3": ["-q:a", "4", "-write_xing", "0"], "layer2.mp2": [], "x.wma": [], "x.ac3": [],
    "x.aiff": [], "x.w64": [], "x.au": [], "x.caf": [], "rf64.wav": ["-rf64", "always"],
    "u8.wav": ["-c:a", "pcm_u8"], "s24.wav": ["-c:a", "pcm_s24le"],
    "f64.wav": ["-c:a", "pcm_f64le"],
    "adpcm.wav": ["-c:a", "adpcm_ms"], "mp3.wav": ["-c:a", "libmp3lame"],
    "mp3.avi": ["-c:a", "libmp3lame"], "aac.flv": ["-c:a", "aac", "-aac_pns", "0"],
}  # fmt: skip


def tone(seconds: float = SECONDS, rate_hz: int = RATE_HZ, hz: float = 440) -> np.ndarray:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def convert(source: Path, target: Path, *options: str) -> Path:
    command = [FFMPEG, "-v", "error", "-y", "-i", str(source), *options, str(target)]
    subprocess.run(command, check=True)
    return target


def decode_by_ffmpeg(path: Path) -> np.ndarray:
    command = [FFMPEG, "-v", "error", "-i", str(path), "-map", "0:a:0", "-ac", "1", "-f", "f32le"]
    raw = subprocess.run([*command, "-"], capture_output=True, check=True).stdout
    with av.open(str(path)) as container:
        rate_hz = container.streams.audio[0].rate
    return soxr.resample(np.frombuffer(raw, np.float32), rate_hz, 16_000, quality="HQ")


def signal_to_noise_db(waveform: np.ndarray, expected: np.ndarray) -> float:
    n = min(len(waveform), len(expected))
    error = np.square(waveform[:n] - expected[:n], dtype=np.float64).sum()
    return float(10 * np.log10(np.square(expected[:n], dtype=np.float64).sum() / (error + 1e-12)))


def purity_db(waveform: np.ndarray, hz: float = 440) -> float:
    """Compute the level of a tone over everything else, without the ends."""
    part = waveform[4_000 : len(waveform) - 4_000].astype(np.float64)
    t = np.arange(len(part)) / 16_000
    basis = np.stack([np.sin(2 * np.pi * hz * t), np.cos(2 * np.pi * hz * t)], axis=1)
    fit = basis @ np.linalg.lstsq(basis, part, rcond=None)[0]
    return float(10 * np.log10(np.sum(fit**2) / np.sum((part - fit) ** 2)))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("source") / "tone.wav"
    soundfile.write(path, tone(), RATE_HZ)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_and_container_decodes_as_by_ffmpeg(source, tmp_path, name):
    path = convert(source, tmp_path / name, *FORMATS[name])
    waveform, _ = read_audio(path)
    expected = decode_by_ffmpeg(path)
    assert abs(len(waveform) - len(expected)) <= 1
    assert signal_to_noise_db(waveform, expected) > 80
    part, _ = read_audio(path, 1.2345, 0.5)
    np.testing.assert_allclose(part, waveform[19_752:27_752], atol=2e-6)
    # The name says nothing: the same bytes under another name are the same audio.
    other = tmp_path / ("other.mp4" if path.suffix == ".wav" else "other.wav")
    shutil.copyfile(path, other)
    np.testing.assert_array_equal(read_audio(other)[0], waveform)


def write_stamped(path: Path, codec: str, stamp, hz: float = 440) -> Path:
    """Write a tone; ``stamp`` maps a packet's number and time in seconds to its time stamp."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono", options={"aac_pns": "0"})
        stream.bit_rate = 192_000
        sound, size = tone(SECONDS, 48_000, hz), 960 if codec == "libopus" else 1024
        packets = []
        # Without noise substitution, which the decoder fills with random numbers of its own.
        for start in range(0, len(sound) - size + 1, size):
            frame = av.AudioFrame.from_ndarray(
                sound[None, start : start + size], format="fltp", layout="mono"
            )
            frame.rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            packets += stream.encode(frame)
        for number, packet in enumerate([*packets, *stream.encode(None)]):
            at_s = stamp(number, float(packet.pts * packet.time_base))
            packet.pts = packet.dts = round(at_s / packet.time_base)
            container.mux(packet)
    return path


WOBBLES = {
    "rounded": lambda n, t: round(t, 2),
    "wobble": lambda n, t: t + 0.009 * (n % 2),
    "slow wobble": lambda n, t: t + 0.04 * np.sin(n / 9),
    "drift": lambda n, t: 1.08 * t,
    "backward drift": lambda n, t: 0.93 * t,
}


@pytest.mark.parametrize("codec_name", ["aac.mp4", "aac.mkv", "aac.m4a"])
@pytest.mark.parametrize("kind", WOBBLES)
def test_a_contiguous_tone_with_wobbling_stamps_stays_a_tone(tmp_path, codec_name, kind):
    codec, _, suffix = codec_name.partition(".")
    path = write_stamped(tmp_path / f"x.{suffix}", codec, WOBBLES[kind])
    waveform, _ = read_audio(path)
    assert purity_db(waveform) > 40
    assert len(waveform) / 16_000 == pytest.approx(SECONDS, abs=0.06)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_real_gaps_and_late_tracks_shift_time(tmp_path, suffix):
    gap = write_stamped(tmp_path / f"gap.{suffix}", "aac", lambda n, t: t + 2 * (t > 1))
    waveform, _ = read_audio(gap)
    assert len(waveform) / 16_000 == pytest.approx(SECONDS + 2, abs=0.1)
    assert not waveform[20_000:45_000].any()
    late = write_stamped(tmp_path / f"late.{suffix}", "aac", lambda n, t: t + 1.5)
    waveform, _ = read_audio(late)
    assert len(waveform) / 16_000 == pytest.approx(SECONDS + 1.5, abs=0.1)
    assert not waveform[:22_000].any()
    assert purity_db(waveform[26_000:]) > 40


@pytest.mark.parametrize("step_s", [0.5, 2.0, 60.0])
def test_parts_of_a_file_with_a_long_gap_join_to_the_whole(tmp_path, step_s):
    path = write_stamped(tmp_path / "gap.mp4", "aac", lambda n, t: t + 30 * (t > 1))
    whole, _ = read_audio(path)
    parts = [part for part, _ in iter_audio(path, step_s)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-6)


class TestLength:
    @pytest.mark.parametrize("odd", [0, 1])
    @pytest.mark.parametrize(
        "claimed", [0, 0x7FFF_0000, 0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]
    )
    def test_a_wav_of_unknown_length_is_read_to_its_end(self, source, tmp_path, claimed, odd):
        data = bytearray(source.read_bytes())
        at = data.index(b"data") + 4
        data[at : at + 4] = struct.pack("<I", claimed)
        data[4:8] = struct.pack("<I", min(claimed + 36, 0xFFFF_FFFF))
        path = tmp_path / "pipe.wav"
        path.write_bytes(data[: len(data) - odd])
        expected = read_audio(source)[0]
        waveform, _ = read_audio(path)
        assert abs(len(waveform) - len(expected)) <= 1
        np.testing.assert_allclose(waveform[:47_000], expected[:47_000], atol=1e-6)

    @pytest.mark.parametrize("form", ["wav", "flac", "au", "caf", "mp3", "w64", "aiff"])
    def test_a_file_written_through_a_pipe(self, source, tmp_path, form):
        command = [FFMPEG, "-v", "error", "-i", str(source), "-f", form, "-"]
        (tmp_path / "x").write_bytes(subprocess.run(command, capture_output=True).stdout)
        assert len(read_audio(tmp_path / "x")[0]) / 16_000 == pytest.approx(SECONDS, abs=0.05)

    def test_a_variable_mp3_without_a_length(self, tmp_path):
        quiet = 1e-3 * np.random.default_rng(0).standard_normal(RATE_HZ * 25)
        loud = np.random.default_rng(1).uniform(-0.5, 0.5, RATE_HZ * 5)
        soundfile.write(tmp_path / "a.wav", np.concatenate([loud, quiet]), RATE_HZ)
        options = ["-q:a", "2", "-write_xing", "0"]
        path = convert(tmp_path / "a.wav", tmp_path / "a.mp3", *options)
        waveform, _ = read_audio(path)
        assert len(waveform) / 16_000 == pytest.approx(30, abs=0.1)
        assert sum(len(part) for part, _ in iter_audio(path, 7.0)) == len(waveform)

    @pytest.mark.parametrize("suffix", ["ogg", "opus", "mp3"])
    def test_chained_files_are_read_whole(self, source, tmp_path, suffix):
        one = convert(source, tmp_path / f"one.{suffix}").read_bytes()
        (tmp_path / f"both.{suffix}").write_bytes(one + one)
        waveform, _ = read_audio(tmp_path / f"both.{suffix}")
        assert len(waveform) / 16_000 == pytest.approx(2 * SECONDS, abs=0.1)
        assert np.abs(waveform[60_000:90_000]).max() > 0.4


@pytest.mark.parametrize("scale", [128, 32_768, 2**31])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_samples_of_an_integer_scale_are_refused(tmp_path, scale, subtype):
    soundfile.write(tmp_path / "x.wav", tone() * scale, RATE_HZ, subtype)
    with pytest.raises(DataError, match="peak"):
        read_audio(tmp_path / "x.wav")
    soundfile.write(tmp_path / "x.wav", tone() * 3, RATE_HZ, subtype)
    assert np.abs(read_audio(tmp_path / "x.wav")[0]).max() == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.m4a", "a.webm", "a.mp3", "a.flac", "a.mkv"])
def test_a_title_in_another_encoding_does_no_harm(source, tmp_path, name):
    path = convert(source, tmp_path / name, "-metadata", "title=Kafe@@@@")
    path.write_bytes(path.read_bytes().replace(b"Kafe@@@@", b"Caf\xe9\xff\xfe\x80\x81"))
    assert len(read_audio(path)[0]) / 16_000 == pytest.approx(SECONDS, abs=0.06)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Change bytes, cut, repeat or drop a part; half of the changes hit the header."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 12))):
        end = len(out) if rng.random() < 0.5 else min(len(out), 400)
        at = int(rng.integers(0, end)) if end else 0
        size = int(rng.integers(1, 9))
        kind = rng.integers(0, 5)
        if kind <= 1:
            out[at : at + size] = rng.bytes(size)
        elif kind == 2:
            out[at : at + size] = bytes([int(rng.choice([0, 127, 128, 255]))]) * size
        elif kind == 3:
            del out[at : at + int(rng.integers(1, 200))]
        else:
            out[at:at] = out[at : at + int(rng.integers(1, 200))]
    return bytes(out[: int(rng.integers(0, len(out) + 1))] if rng.random() < 0.1 else out)


def fuzz(source: Path, folder: Path, per_format: int) -> None:
    short = folder / "short.wav"
    soundfile.write(short, soundfile.read(source)[0][: RATE_HZ // 2], RATE_HZ)
    title = ["-metadata", "title=a title"]
    for name, options in FORMATS.items():
        data = convert(short, folder / name, *options, *title).read_bytes()
        rng = np.random.default_rng(len(name))
        for number in range(per_format):
            path = folder / f"damaged{Path(name).suffix}"
            path.write_bytes(damaged(data, rng))
            start = time.monotonic()
            try:
                seconds = sum(len(part) for part, _ in iter_audio(path, 60.0)) / 16_000
            except DataError:
                seconds = 0.0
            assert time.monotonic() - start < 10, (name, number)
            assert seconds < 3_600, (name, number)


def test_a_damaged_file_is_a_data_error_or_audio(source, tmp_path):
    fuzz(source, tmp_path, 10)


@pytest.mark.slow
def test_many_damaged_files_are_a_data_error_or_audio(source, tmp_path):
    fuzz(source, tmp_path, 300)


def test_suffixes_are_lower_case_and_unique():
    assert len(set(AUDIO_SUFFIXES)) == len(AUDIO_SUFFIXES)
    assert all(one == one.lower() and one.startswith(".") for one in AUDIO_SUFFIXES)


def test_a_file_like_no_audio_is_refused(tmp_path):
    data = b"\x89PNG\r\n\x1a\n" + bytes(200)
    (tmp_path / "x.wav").write_bytes(data)
    with pytest.raises(DataError, match="a sound"):
        read_audio(tmp_path / "x.wav")
