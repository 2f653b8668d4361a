"""Odd files of audio sources: read, or one row with a reason; never skipped without a row."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avsynth.core.paths import Layout
from avsynth.formats.audio_file import AUDIO_SUFFIXES
from avsynth.runtime.errors import DataError
from avsynth.sources.audio.clip_lists import find_media
from tests.sources.audio.test_sources import (
    DOG,
    ONTOLOGY,
    clips_of,
    reasons,
    tone,
    write_audio_files,
    write_audioset,
)


def write_clip(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds), 16_000)


class TestLabelRange:
    @pytest.mark.parametrize(
        ("seconds", "reason"),
        [(9, ""), (10.9, ""), (11, "longer_than_label"), (20, "longer_than_label"),
         (60, "longer_than_label")],
    )  # fmt: skip
    def test_vggsound(self, tmp_path, seconds, reason):
        write_clip(tmp_path / "vggsound" / "audio" / f"{DOG}_000030.wav", seconds)
        (tmp_path / "vggsound" / "vggsound.csv").write_text(f"{DOG},30,dog barking,train\n")
        [clip] = clips_of("vggsound", Layout(tmp_path))
        assert clip.reason == reason
        assert clip.duration_s == seconds

    @pytest.mark.parametrize("name", [f"{DOG}.wav", f"Y{DOG}.wav", f"{DOG}_000007.wav"])
    @pytest.mark.parametrize(
        ("end_s", "seconds", "reason"),
        [(17, 10, ""), (17, 60, "longer_than_label"), (11, 4.5, ""), (11, 10, "longer_than_label")],
    )
    def test_audioset(self, tmp_path, name, end_s, seconds, reason):
        write_audioset(tmp_path)
        shutil.rmtree(tmp_path / "audioset" / "clips")
        write_clip(tmp_path / "audioset" / "clips" / name, seconds)
        row = f'{DOG}, 7.000, {end_s}.000, "{next(iter(ONTOLOGY))}"\n'
        for table in ("balanced_train_segments.csv", "eval_segments.csv"):
            (tmp_path / "audioset" / table).write_text(row)
        [clip] = clips_of("audioset", Layout(tmp_path))
        assert clip.reason == reason


@pytest.mark.parametrize("offset", [0.3, -0.9, 1e-3])
@pytest.mark.parametrize("seconds", [2.0, 2.7])
def test_a_constant_offset_is_silence(tmp_path, offset, seconds):
    folder = tmp_path / "sounds" / "dog"
    folder.mkdir(parents=True)
    soundfile.write(folder / "dc.wav", np.full(int(seconds * 16_000), offset, np.float32), 16_000)
    mixed = np.concatenate([np.full(16_000, offset / 2), offset / 2 + tone(1) / 8])
    soundfile.write(folder / "mixed.wav", mixed, 16_000, "FLOAT")
    clips = {clip.clip_id: clip for clip in clips_of("folder", Layout(tmp_path))}
    assert clips["dog/dc.wav"].reason == "silent"
    quiet, loud = map(float, clips["dog/mixed.wav"].second_db.split())
    assert quiet < -100
    assert loud == pytest.approx(-27.1, abs=0.1)


class TestFolders:
    @pytest.mark.parametrize("suffix", [*AUDIO_SUFFIXES, ".WAV", ".Aiff", ".strange", ""])
    def test_a_file_of_any_name_is_read_by_its_content(self, tmp_path, suffix):
        write_audio_files(tmp_path / "sounds", {"dog": "dog/a.wav"})
        folder = tmp_path / "sounds" / "dog"
        (folder / "a.wav").rename(folder / f"b{suffix}")
        (folder / f"c{suffix}").write_bytes(b"no audio at all")
        clips = {clip.clip_id: clip for clip in clips_of("folder", Layout(tmp_path))}
        assert clips[f"dog/b{suffix}"].status == "ok"
        assert clips[f"dog/c{suffix}"].reason == "undecodable"

    @pytest.mark.parametrize("form", ["AIFF", "AU", "CAF", "W64", "RF64", "OGG", "MP3"])
    def test_other_formats(self, tmp_path, form):
        path = tmp_path / "sounds" / "dog" / f"a.{form.lower()}"
        path.parent.mkdir(parents=True)
        soundfile.write(path, tone(2), 16_000, format=form)
        [clip] = clips_of("folder", Layout(tmp_path))
        assert (clip.status, clip.sample_rate_hz) == ("ok", 16_000)
        assert clip.duration_s == pytest.approx(2, abs=0.1)

    def test_folders_at_any_depth_are_read(self, tmp_path):
        names = {"a": "dog/a.wav", "b": "dog/x/b.wav"}
        write_audio_files(tmp_path / "sounds", names)
        deep = tmp_path / "sounds" / "dog" / "x" / "y" / "z"
        deep.mkdir(parents=True)
        shutil.copyfile(tmp_path / "sounds" / "dog" / "a.wav", deep / "c.wav")
        (deep / "back").symlink_to(tmp_path / "sounds")
        (deep / "notes.txt").write_text("text")
        ids = [clip.clip_id for clip in clips_of("folder", Layout(tmp_path))]
        assert ids == ["dog/a.wav", "dog/x/b.wav", "dog/x/y/z/c.wav"]
        assert set(find_media(tmp_path / "sounds")) == {"a", "b", "c"}

    def test_a_name_that_is_not_utf8_is_a_row(self, tmp_path):
        write_audio_files(tmp_path / "sounds", {"dog": "dog/a.wav"})
        folder = os.fsencode(tmp_path / "sounds" / "dog")
        os.rename(folder + b"/a.wav", folder + b"/caf\xe9.wav")  # noqa: PTH104
        [clip] = clips_of("folder", Layout(tmp_path))
        assert (clip.clip_id, clip.reason) == ("dog/caf\\xe9.wav", "bad_name")

    def test_a_pipe_is_not_opened(self, tmp_path):
        write_audio_files(tmp_path / "sounds", {"dog": "dog/a.wav"})
        os.mkfifo(tmp_path / "sounds" / "dog" / "pipe.wav")
        assert reasons(clips_of("folder", Layout(tmp_path))) == {"ok": 1, "undecodable": 1}

    @pytest.mark.parametrize("where", ["", "dog", "dog/x"])
    def test_a_folder_that_cannot_be_read_is_named(self, tmp_path, where, monkeypatch):
        write_audio_files(tmp_path / "sounds", {"dog": "dog/a.wav", "b": "dog/x/b.wav"})
        locked, scandir = tmp_path / "sounds" / where, os.scandir

        def refuse(path):
            if Path(path) == locked:
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(DataError, match="Permission denied") as caught:
            clips_of("folder", Layout(tmp_path))
        assert caught.value.where == str(locked)
        with pytest.raises(DataError, match="Permission denied"):
            find_media(tmp_path / "sounds")
