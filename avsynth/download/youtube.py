"""Cut one clip out of an online video with yt-dlp, and say in few words why that failed.

Only the section wanted is fetched. No wall is ever climbed: no proxies, no borrowed tokens, no
other client's disguise. Cookies are used when the user hands over a file, and only then.

Run as a module it is a worker: one JSON job per line on stdin, one JSON answer per line on stdout.
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

# The first pattern that is found in yt-dlp's message decides; walls before everything else, so
# that a wall is never taken for a video that is gone.
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
class Cut:
    """One clip to cut."""

    url: str
    start_s: float
    stop_s: float
    folder: str
    """An empty folder; what is made lies there."""
    video: bool = False
    cookies: str = ""
    timeout_s: float = 30.0
    look_only: bool = False
    """Do not fetch anything: only say whether it could be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How it went; ``path`` is the clip."""

    status: Status
    reason: str = ""
    path: str = ""


def classify(message: str) -> Status:
    """Say what a message of yt-dlp means for an item; ``transient`` when it is not known."""
    for status, pattern in REASONS:
        if re.search(pattern, message, re.IGNORECASE):
            return status
    return "transient"


def cut(job: Cut) -> Answer:
    """Cut a clip; ffmpeg must be on the PATH.

    Raises:
        MissingExtra: yt-dlp is not installed.
    """
    try:
        import yt_dlp
    except ImportError:
        raise MissingExtra("yt-dlp", "download") from None
    with yt_dlp.YoutubeDL(_options(job)) as engine:
        try:
            engine.extract_info(job.url, download=not job.look_only)
        except yt_dlp.utils.YoutubeDLError as error:
            reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).removeprefix("ERROR: ")
            return Answer(classify(reason), reason.splitlines()[0][:200] if reason else "")
    if job.look_only:
        return Answer("ok")
    made = sorted(p for p in Path(job.folder).iterdir() if p.suffix in {".flac", ".mp4"})
    return Answer("ok", "", str(made[0])) if made else Answer("corrupt", "yt-dlp made no file")


def _options(job: Cut) -> dict[str, Any]:
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
    """Find ffmpeg: the one that the extra brings.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import imageio_ffmpeg
    except ImportError:
        raise MissingExtra("imageio-ffmpeg", "download") from None
    path: str = imageio_ffmpeg.get_ffmpeg_exe()
    return path


def work(lines: Iterable[str]) -> None:
    """Answer jobs until there are no more."""
    answers = sys.stdout
    # What libraries print must not get between the answers.
    sys.stdout = sys.stderr
    for line in lines:
        answer = cut(Cut(**json.loads(line)))
        answers.write(json.dumps(asdict(answer)) + "\n")
        answers.flush()


if __name__ == "__main__":
    work(sys.stdin)
