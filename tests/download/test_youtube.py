"""Real yt-dlp and ffmpeg, which cut clips from a video on a local server."""

import asyncio
import os
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from avsynth.download.clip_workers import ClipWorkers, download_clip
from avsynth.download.items import Item, Outcome
from avsynth.download.rate_limit import CircuitOpenError, RateLimiter
from avsynth.download.youtube import ClipJob, classify, ffmpeg
from tests.helpers.local_host import Host

VIDEO_ID = "abcdefghijk"
TONES_HZ = (300, 700, 1500)
"""The tone of seconds 0-10, 10-20 and 20-30."""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A 30-second stereo video with another tone every ten seconds."""
    folder = tmp_path_factory.mktemp("video")
    path = folder / "v.mp4"
    t = np.arange(441_000) / 44_100
    mono = np.concatenate([np.sin(2 * np.pi * hz * t) for hz in TONES_HZ])
    soundfile.write(folder / "v.wav", np.stack([0.5 * mono, 0.3 * mono], axis=1), 44_100)
    frames = "testsrc=size=160x120:rate=10:duration=30"
    command = [ffmpeg(), "-v", "error", "-f", "lavfi", "-i", frames]
    command += ["-i", str(folder / "v.wav"), "-g", "10", "-movflags", "+faststart", str(path)]
    subprocess.run(command, check=True)
    return path.read_bytes()


def watch(host: Host, video_id: str = VIDEO_ID) -> str:
    return f"{host.url}/watch?v={video_id}"


def download(
    jobs: list[tuple[Item, ClipJob]],
    root: Path,
    *,
    count: int = 1,
    hang_s: float = 60,
    limiter: RateLimiter | None = None,
) -> dict[str, Outcome]:
    async def run() -> dict[str, Outcome]:
        scratch = root / "scratch"
        async with ClipWorkers(count, limiter or RateLimiter(0.0), scratch, hang_s) as clip_workers:
            tasks = (download_clip(clip_workers, cut, item, root) for item, cut in jobs)
            return {item.item_id: o for pairs in await asyncio.gather(*tasks) for item, o in pairs}

    return asyncio.run(run())


def clip(host: Host, start_s: float, video_id: str = VIDEO_ID, suffix: str = ".flac") -> Item:
    name = f"{video_id}_{int(start_s):06d}"
    return Item(name, watch(host, video_id), name + suffix, "dog", start_s=start_s)


def test_cuts_ten_seconds_of_mono_16_khz_flac(host: Host, video: bytes, tmp_path: Path) -> None:
    host.files[f"/watch?v={VIDEO_ID}"] = video
    item = clip(host, 10)
    outcomes = download([(item, ClipJob(item.url, 10, 20, ""))], tmp_path)
    assert outcomes[item.item_id].status == "ok", outcomes
    path = tmp_path / f"{VIDEO_ID}_000010.flac"
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.format) == (16_000, 1, "FLAC")
    assert info.duration == pytest.approx(10.0, abs=0.1)
    samples, _ = soundfile.read(path, dtype="float32")
    middle = samples[16_000:144_000]
    loudest = np.abs(np.fft.rfft(middle)).argmax() * 16_000 / len(middle)
    assert loudest == pytest.approx(TONES_HZ[1], abs=2)
    # The mean of two channels with amplitudes 0.5 and 0.3; one channel alone would differ.
    assert np.abs(middle).max() == pytest.approx(0.4, abs=0.05)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_cuts_a_video_if_requested(host: Host, video: bytes, tmp_path: Path) -> None:
    host.files[f"/watch?v={VIDEO_ID}"] = video
    item = clip(host, 20, suffix=".mp4")
    outcomes = download([(item, ClipJob(item.url, 20, 30, "", video=True))], tmp_path)
    assert outcomes[item.item_id].status == "ok", outcomes
    with av.open(str(tmp_path / item.target)) as container:
        assert {s.type for s in container.streams} == {"video", "audio"}
        assert container.duration / 1e6 == pytest.approx(10.0, abs=0.3)


def test_an_absent_video_is_reported_and_the_others_continue(
    host: Host, video: bytes, tmp_path: Path
) -> None:
    host.files[f"/watch?v={VIDEO_ID}"] = video
    items = [clip(host, 0), clip(host, 0, "gonegonegon"), clip(host, 10)]
    host.misbehave("/watch?v=botbotbotbo", *["status=429"] * 9)
    items.append(clip(host, 0, "botbotbotbo"))
    jobs = [(i, ClipJob(i.url, i.start_s or 0, (i.start_s or 0) + 10, "")) for i in items]
    outcomes = download(jobs, tmp_path, count=2)
    assert [o.status for o in outcomes.values()] == ["ok", "gone", "ok", "bot"]


def test_a_hanging_video_times_out_and_its_worker_is_killed(
    host: Host, video: bytes, tmp_path: Path
) -> None:
    host.files[f"/watch?v={VIDEO_ID}"] = video
    host.misbehave("/watch?v=hanghanghan", *["silent=60"] * 9)
    items = [clip(host, 0, "hanghanghan"), clip(host, 0)]
    jobs = [(i, ClipJob(i.url, 0, 10, "")) for i in items]
    outcomes = download(jobs, tmp_path, hang_s=6)
    assert outcomes[items[0].item_id] == Outcome("transient", "no answer within 6 s")
    assert outcomes[items[1].item_id].status == "ok"
    children = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "avsynth.download.youtube" not in children.stdout


def test_robot_checks_in_a_row_open_the_circuit(host: Host, tmp_path: Path) -> None:
    items = [clip(host, 0, f"{n:011d}") for n in range(8)]
    for item in items:
        host.misbehave(f"/watch?v={item.item_id[:11]}", *["status=429"] * 9)
    jobs = [(i, ClipJob(i.url, 0, 10, "")) for i in items]
    limiter = RateLimiter(0.0, max_interval_s=0.01, max_refusals=3)
    with pytest.raises(CircuitOpenError, match="3 refusals in a row"):
        download(jobs, tmp_path, limiter=limiter)
    asked = sum(host.requests[f"/watch?v={i.item_id[:11]}"] > 0 for i in items)
    assert asked == 3


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("[youtube] x: Sign in to confirm you’re not a bot. Use --cookies", "bot"),
        ("[youtube] x: Video unavailable. This content isn’t available, try again later.", "bot"),
        ("[youtube] x: HTTP Error 429: Too Many Requests", "bot"),
        ("[youtube] x: Private video. Sign in if you've been granted access", "private"),
        ("[youtube] x: Sign in to confirm your age", "private"),
        ("[youtube] x: Join this channel to get access to members-only content", "private"),
        ("[youtube] x: The uploader has not made this video available in your country", "geo"),
        ("[youtube] x: Video unavailable", "gone"),
        ("[youtube] x: This video has been removed by the uploader", "gone"),
        ("[youtube] x: This video is no longer available: the account was terminated", "gone"),
        ("[youtube] x: Video unavailable. This video contains content from SME, who has blocked it "
         "in your country on copyright grounds", "geo"),
        ("[youtube] x: Video unavailable. Blocked on copyright grounds", "gone"),
        ("[generic] x: HTTP Error 404: Not Found", "gone"),
        ("[youtube] x: Requested format is not available", "transient"),
        ("<urlopen error timed out>", "transient"),
        ("HTTP Error 403: Forbidden", "transient"),
        ("something that nobody has seen before", "transient"),
    ],
)  # fmt: skip
def test_messages_are_classified(message: str, status: str) -> None:
    assert classify(message) == status
