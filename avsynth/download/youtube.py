"""A clip cut out of an online video with yt-dlp, and the classification of its errors.

Only the section of the clip is downloaded. The code never circumvents access restrictions: it
uses no proxies, no foreign tokens and no imitation of other clients. It uses cookies only from a
file that the user provides.

Run as a module it is a worker: one JSON job per line on stdin, one JSON result per line on stdout.
"""

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avsynth.download.items import Status
from avsynth.formats.waveform import SAMPLE_RATE_HZ
from avsynth.runtime.errors import MissingExtra

# The first pattern found in yt-dlp's message decides. Robot checks come first, so that a blocked
# request is never taken for a removed video.
REASONS: tuple[tuple[Status, str], ...] = (
    ("bot", r"not a bot|HTTP Error 429|too many requests|rate.?limit|captcha|unusual traffic"),
    ("bot", r"content isn.t available|try again later"),
    ("private", r"private video|is private|members.only|join this channel|confirm your age"),
    ("private", r"age.restricted|sign in to|login required|log in|requires payment|purchase"),
    (
        "geo",
        r"in your country|geo.?restrict|from your location|not available in your|in your region",
    ),
    ("gone", r"has been removed|been terminated|no longer available|account .*closed|deleted"),
    ("gone", r"copyright|does not exist|video unavailable|removed by|HTTP Error (404|410)"),
    ("gone", r"this video is (not available|unavailable)|incomplete youtube id|not exist"),
)


@dataclass(frozen=True, slots=True)
class ClipJob:
    """One clip to cut out of a video."""

    url: str
    start_s: float
    stop_s: float
    folder: str
    """An empty folder for the output."""
    video: bool = False
    cookies: str = ""
    timeout_s: float = 30.0
    probe_only: bool = False
    """Check only whether the clip could be downloaded."""


@dataclass(frozen=True, slots=True)
class ClipResult:
    """The result of a job; ``path`` is the clip, empty on failure."""

    status: Status
    reason: str = ""
    path: str = ""


def classify(message: str) -> Status:
    """Return the status for an error message of yt-dlp; ``transient`` for an unknown one."""
    for status, pattern in REASONS:
        if re.search(pattern, message, re.IGNORECASE):
            return status
    return "transient"


def cut_clip(job: ClipJob) -> ClipResult:
    """Cut a clip; ffmpeg must be on the PATH.

    Raises:
        MissingExtra: yt-dlp is not installed.
    """
    try:
        import yt_dlp
    except ImportError:
        raise MissingExtra("yt-dlp", "download") from None
    with yt_dlp.YoutubeDL(_options(job)) as downloader:
        try:
            downloader.extract_info(job.url, download=not job.probe_only)
        except yt_dlp.utils.YoutubeDLError as error:
            reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).removeprefix("ERROR: ")
            return ClipResult(classify(reason), reason.splitlines()[0][:200] if reason else "")
    if job.probe_only:
        return ClipResult("ok")
    outputs = sorted(p for p in Path(job.folder).iterdir() if p.suffix in {".flac", ".mp4"})
    return (
        ClipResult("ok", "", str(outputs[0]))
        if outputs
        else ClipResult("corrupt", "yt-dlp made no file")
    )


def _options(job: ClipJob) -> dict[str, Any]:
    from yt_dlp.utils import download_range_func

    options: dict[str, Any] = {
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "noplaylist": True,
        "cachedir": False,
        "socket_timeout": job.timeout_s,
        "retries": 2,
        "fragment_retries": 2,
        "outtmpl": str(Path(job.folder) / "clip.%(ext)s"),
        "download_ranges": download_range_func(None, [(job.start_s, job.stop_s)]),
        "format": "bestvideo[height<=720]+bestaudio/best[height<=720]/best"
        if job.video
        else "bestaudio/best",
    }
    if job.cookies:
        options["cookiefile"] = job.cookies
    if job.video:
        options["merge_output_format"] = "mp4"
        options["force_keyframes_at_cuts"] = True
    else:
        options["postprocessors"] = [{"key": "FFmpegExtractAudio", "preferredcodec": "flac"}]
        options["postprocessor_args"] = {
            "extractaudio": ["-ac", "1", "-ar", str(SAMPLE_RATE_HZ), "-sample_fmt", "s16"]
        }
    return options


def ffmpeg() -> str:
    """Return the path of the ffmpeg executable of the ``download`` extra.

    Raises:
        MissingExtra: the extra is not installed.
    """
    try:
        import imageio_ffmpeg
    except ImportError:
        raise MissingExtra("imageio-ffmpeg", "download") from None
    path: str = imageio_ffmpeg.get_ffmpeg_exe()
    return path


def serve_jobs(lines: Iterable[str]) -> None:
    """Read jobs until the end of the input, and write a result for each."""
    results = sys.stdout
    # Prints of libraries must not mix with the results.
    sys.stdout = sys.stderr
    for line in lines:
        result = cut_clip(ClipJob(**json.loads(line)))
        results.write(json.dumps(asdict(result)) + "\n")
        results.flush()


if __name__ == "__main__":
    serve_jobs(sys.stdin)
