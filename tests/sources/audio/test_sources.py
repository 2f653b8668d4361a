"""Contract of all audio sources, then the rules of each source."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avsynth.core.params.building import AudioParams
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip
from avsynth.formats.waveform import encode_flac, encode_wav, read_audio, rms_db
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.audio import AUDIO_SOURCES
from avsynth.sources.categories import Vocabulary, load_vocabulary

VOCABULARY = load_vocabulary().choose(["cat", "dog", "horse", "bird", "computer_mouse", "rooster"])
DOG, CAT, HORSE, BIRD = "AAAAAAAAAAA", "-ABCDEFGHI_", "Yorsehorse1", "bird_bird-1"
GONE, BOTH, SHORT, MUTE, BROKEN = (f"{n:0>11}" for n in ("gone", "both", "short", "mute", "broken"))
SEGMENTS = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=22160, num_segs=22160, num_unique_labels=527, num_positive_labels=52882
# YTID, start_seconds, end_seconds, positive_labels
"""
ONTOLOGY = {"/m/dog": "Dog", "/m/bark": "Bark", "/m/cat": "Cat", "/m/horse": "Horse",
            "/m/chirp": "Chirp, tweet", "/m/car": "Car"}  # fmt: skip


def tone(seconds: float, gain: float = 0.5) -> np.ndarray:
    t = np.arange(int(seconds * 16_000)) / 16_000
    return (gain * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


def write_audio_files(folder: Path, names: dict[str, str]) -> None:
    """Write one file per role; the role sets its content."""
    folder.mkdir(parents=True, exist_ok=True)
    for role, name in names.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        audio = {"short": tone(0.9), "mute": np.zeros(48_000, np.float32)}.get(role, tone(2.5))
        encoded = encode_flac(audio) if path.suffix == ".flac" else encode_wav(audio)
        path.write_bytes(b"RIFF, not really" if role == "broken" else encoded)


def write_vggsound(root: Path) -> None:
    ids = {"dog": DOG, "cat": CAT, "both": BOTH, "short": SHORT, "mute": MUTE, "broken": BROKEN}
    write_audio_files(root / "vggsound" / "audio", {r: f"{i}_000007.wav" for r, i in ids.items()})
    write_audio_files(root / "vggsound" / "audio", {"bird": f"deeper/{BIRD}_000030.flac"})
    rows = [f"{DOG},7,dog barking,train", f"{CAT},7,cat purring,test",
            f"{GONE},7,dog baying,train", f"{BOTH},7,dog barking,train",
            f"{BOTH},7,cat meowing,train", f"{MUTE},7,dog baying,test",
            f"{SHORT},7,cat hissing,test", f"{BROKEN},7,horse neighing,test",
            f'{BIRD},30,"bird chirping, tweeting",train', f"{HORSE},7,playing tuba,train",
            f"{DOG},soon,dog barking,train"]  # fmt: skip
    (root / "vggsound" / "vggsound.csv").write_text("\n".join(rows) + "\n")


def write_audioset(root: Path) -> None:
    ids = {"dog": f"{DOG}.wav", "cat": f"Y{CAT}.wav", "both": f"{BOTH}_7.wav",
           "mute": f"Y{MUTE}_7.000.wav", "short": f"{SHORT}_000007.wav",
           "broken": f"{BROKEN}_7000.wav", "bird": f"a/{BIRD}_7.000_17.000.flac"}  # fmt: skip
    write_audio_files(root / "audioset" / "clips", ids)
    rows = [f'{DOG}, 7.000, 17.000, "/m/dog,/m/bark,/m/unknown"', f'{CAT}, 7.000, 17.000, "/m/cat"',
            f'{GONE}, 7.000, 17.000, "/m/dog"', f'{BOTH}, 7.000, 17.000, "/m/dog,/m/cat"',
            f'{MUTE}, 7.000, 17.000, "/m/bark"', f'{HORSE}, 7.000, 17.000, "/m/car"']  # fmt: skip
    rest = [f'{SHORT}, 7.000, 17.000, "/m/cat"', f'{BROKEN}, 7.000, 17.000, "/m/horse"',
            f'{BIRD}, 7.000, 17.000, "/m/chirp"', f'{DOG}, soon, 17.000, "/m/dog"']  # fmt: skip
    folder = root / "audioset"
    (folder / "balanced_train_segments.csv").write_text(SEGMENTS + "\n".join(rows) + "\n")
    (folder / "eval_segments.csv").write_text(SEGMENTS + "\n".join(rest) + "\n")
    entries = [{"id": mid, "name": name, "child_ids": []} for mid, name in ONTOLOGY.items()]
    (folder / "ontology.json").write_text(json.dumps(entries))


def write_folder(root: Path) -> None:
    write_audio_files(root / "sounds", {
        "dog": "dog/a.wav", "cat": "Cat purring/b.wav", "mute": "dog/mute.wav",
        "short": "cat/short.wav", "broken": "horse/broken.wav", "bird": "bird/c.flac",
        "mouse": "mouse_(computer_equipment)/d.wav", "tuba": "tuba/e.wav"})  # fmt: skip
    (root / "sounds" / "dog" / "readme.txt").write_text("no audio")


def make_params(**changes: object) -> AudioParams:
    raw: dict = {
        "sources": {
            "vggsound": {"root": "vggsound", "table": "vggsound.csv", "media": "audio"},
            "audioset": {
                "root": "audioset",
                "tables": ["balanced_train_segments.csv", "eval_segments.csv"],
                "ontology": "ontology.json",
                "media": "clips",
            },
            "folder": {"root": "sounds"},
        },
        "filters": {"min_duration_s": 0.975, "min_rms_db": -60.0},
        "max_drop_frac": 0.9,
    }
    return AudioParams.model_validate({**raw, **changes})


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Layout:
    root = tmp_path_factory.mktemp("world")
    write_vggsound(root)
    write_audioset(root)
    write_folder(root)
    return Layout(root)


def clips_of(source: str, layout: Layout, vocabulary: Vocabulary = VOCABULARY) -> list[AudioClip]:
    found = AUDIO_SOURCES[source](layout, make_params(), vocabulary, Runtime())
    return sorted(found, key=lambda clip: clip.clip_id)


def reasons(clips: list[AudioClip]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for clip in clips:
        key = clip.reason or clip.status
        counted[key] = counted.get(key, 0) + 1
    return counted


LIST_REASONS = {"ok": 3, "missing_file": 1, "ambiguous_label": 1, "silent": 1, "too_short": 1,
                "undecodable": 1, "bad_row": 1}  # fmt: skip
EXPECTED = {
    "vggsound": LIST_REASONS,
    "audioset": LIST_REASONS,
    "folder": {"ok": 4, "silent": 1, "too_short": 1, "undecodable": 1},
}


def test_every_source_has_a_contract_case():
    assert set(EXPECTED) == set(AUDIO_SOURCES)


@pytest.mark.parametrize("source", EXPECTED)
class TestContract:
    def test_every_clip_is_listed_once_with_its_reason(self, source, world):
        clips = clips_of(source, world)
        assert reasons(clips) == EXPECTED[source]
        assert len({clip.clip_id for clip in clips}) == len(clips)
        assert {clip.source for clip in clips} == {source}

    def test_a_used_clip_is_measured(self, source, world):
        used = [clip for clip in clips_of(source, world) if clip.status == "ok"]
        assert {"dog", "cat", "bird"} <= {clip.category for clip in used}
        folder = world.resolve(make_params().folders()[source])
        for clip in used:
            assert ".." not in clip.audio_path
            assert not Path(clip.audio_path).is_absolute()
            waveform, _ = read_audio(folder / clip.audio_path)
            assert clip.duration_s == pytest.approx(2.5)
            assert clip.sample_rate_hz == 16_000
            assert clip.rms_db == pytest.approx(rms_db(waveform), abs=0.05)
            assert clip.second_db == "-9.0 -9.0"
            assert clip.video_id
            assert clip.reason == ""

    def test_only_categories_of_the_vocabulary_are_listed(self, source, world):
        clips = clips_of(source, world, load_vocabulary().choose(["bird"]))
        assert {clip.category for clip in clips if clip.reason != "bad_row"} == {"bird"}
        assert reasons(clips)["ok"] == 1

    def test_an_absent_root_is_named(self, source, tmp_path):
        with pytest.raises(DataError) as caught:
            clips_of(source, Layout(tmp_path))
        assert str(tmp_path) in caught.value.where


class TestYoutubeLists:
    def test_vggsound_fields(self, world):
        bird = next(c for c in clips_of("vggsound", world) if c.category == "bird")
        assert bird == replace(
            bird,
            clip_id=f"{BIRD}_000030",
            video_id=BIRD,
            label="bird chirping, tweeting",
            audio_path=f"deeper/{BIRD}_000030.flac",
            start_s=30.0,
            split_hint="train",
            url=f"https://www.youtube.com/watch?v={BIRD}&t=30",
        )
        assert "CC BY 4.0" in bird.licence
        assert "uploader" in bird.licence

    def test_audioset_fields(self, world):
        clips = {c.video_id: c for c in clips_of("audioset", world)}
        dog, bird = clips[DOG], clips[BIRD]
        assert (dog.clip_id, dog.label, dog.split_hint) == (f"{DOG}_7000", "Dog;Bark", "train")
        assert (bird.label, bird.split_hint, bird.start_s) == ("Chirp, tweet", "test", 7.0)
        assert clips[CAT].audio_path == f"Y{CAT}.wav"

    def test_a_bad_row_is_named_by_its_line(self, world):
        [bad] = [c for c in clips_of("vggsound", world) if c.reason == "bad_row"]
        assert bad.clip_id == "vggsound.csv:11"
        assert math.isnan(bad.rms_db)

    @pytest.mark.parametrize("row", [
        "../../../etc,7,dog barking,train",
        "/etc/passwd,7,dog barking,train",
        "AAAAAAAAAA.,7,dog barking,train",
        f"{DOG},-7,dog barking,train",
        f"{DOG},7.5,dog barking,train",
        f"{DOG},,dog barking,train",
        f"{DOG},99999999999,dog barking,train",
        f"{DOG},7,dog barking",
        f"{DOG},7,dog barking,validation",
        f"{DOG},7,bird chirping, tweeting,train",
    ])  # fmt: skip
    def test_bad_rows_are_dropped_and_never_become_paths(self, tmp_path, row):
        write_audio_files(tmp_path / "vggsound" / "audio", {"dog": f"{DOG}_000007.wav"})
        table = tmp_path / "vggsound" / "vggsound.csv"
        table.write_text(f"{DOG},7,dog barking,train\n{row}\n")
        clips = clips_of("vggsound", Layout(tmp_path))
        assert reasons(clips) == {"ok": 1, "bad_row": 1}
        assert [c.audio_path for c in clips if c.reason == "bad_row"] == [""]

    @pytest.mark.parametrize("name", [
        "_000030", "_30", "_30.0", "_30000_40000", "_30.000_40.000", "_30_40", "_000030_000040",
    ])  # fmt: skip
    @pytest.mark.parametrize("row", [
        "{},30,dog barking,test", "{};30.0;Dog_barking;Test ", "{}\t30\tDOG BARKING\ttest",
    ])  # fmt: skip
    def test_names_of_clips_and_forms_of_rows(self, tmp_path, name, row):
        write_audio_files(tmp_path / "vggsound" / "audio", {"dog": f"{DOG}{name}.WAV"})
        (tmp_path / "vggsound" / "vggsound.csv").write_text(row.format(DOG), "utf-8-sig")
        [clip] = clips_of("vggsound", Layout(tmp_path))
        assert (clip.clip_id, clip.status, clip.split_hint) == (f"{DOG}_000030", "ok", "test")

    def test_damaged_rows_of_a_spreadsheet_are_counted(self, tmp_path):
        write_audio_files(tmp_path / "vggsound" / "audio", {"dog": f"{DOG}_000007.wav"})
        rows = [f"{DOG},7,dog barking,train"] * 3 + ["#NAME?,7,dog barking,train"]
        rows += [f'{DOG},7,"dog barking,train', f"{DOG},7,dog barking,train"]
        (tmp_path / "vggsound" / "vggsound.csv").write_text("\n".join(rows))
        assert reasons(clips_of("vggsound", Layout(tmp_path))) == {"ok": 1, "bad_row": 2}

    def test_a_list_with_no_label_of_the_vocabulary_is_an_error(self, tmp_path):
        (tmp_path / "vggsound" / "audio").mkdir(parents=True)
        (tmp_path / "vggsound" / "vggsound.csv").write_text(f"{DOG},7,dgo barking,train\n")
        with pytest.raises(DataError, match=r"dgo barking.*Did you mean 'dog barking'"):
            clips_of("vggsound", Layout(tmp_path))

    @pytest.mark.parametrize("content", [
        b"", b"\xff\xfe\x00\x01 not text", b'{"info": {}, "annotations": []}\n',
        b"category,lvis\ndog,dog\n", b'"\n' * 3 + b"x" * 200_000,
    ])  # fmt: skip
    def test_another_kind_of_file_is_refused(self, tmp_path, content):
        (tmp_path / "vggsound" / "audio").mkdir(parents=True)
        (tmp_path / "vggsound" / "vggsound.csv").write_bytes(content)
        with pytest.raises(DataError, match="label, split") as caught:
            clips_of("vggsound", Layout(tmp_path))
        assert "vggsound.csv" in caught.value.where

    def test_a_clip_listed_twice_with_one_category_is_one_clip(self, tmp_path):
        write_audio_files(tmp_path / "vggsound" / "audio", {"dog": f"{DOG}_000007.wav"})
        rows = [f"{DOG},7,dog barking,train", f"{DOG},7,dog baying,train"]
        (tmp_path / "vggsound" / "vggsound.csv").write_text("\n".join(rows))
        [clip] = clips_of("vggsound", Layout(tmp_path))
        assert (clip.status, clip.label) == ("ok", "dog barking;dog baying")

    def test_lossless_files_take_precedence(self, tmp_path):
        names = {"a": f"{DOG}_000007.flac", "b": f"{DOG}_000007.wav"}
        write_audio_files(tmp_path / "vggsound" / "audio", names)
        (tmp_path / "vggsound" / "vggsound.csv").write_text(f"{DOG},7,dog barking,train\n")
        [clip] = clips_of("vggsound", Layout(tmp_path))
        assert clip.audio_path.endswith(".wav")

    @pytest.mark.parametrize("ontology", ["{}", "[1]", '[{"id": "/m/dog"}]', "[", '"text"'])
    def test_a_damaged_ontology_is_refused(self, tmp_path, ontology):
        write_audioset(tmp_path)
        (tmp_path / "audioset" / "ontology.json").write_text(ontology)
        with pytest.raises(DataError, match="ontology"):
            clips_of("audioset", Layout(tmp_path))


class TestFolder:
    def test_a_long_recording_is_measured_to_its_end(self, tmp_path):
        audio = np.concatenate([tone(60), np.zeros(48_000, np.float32), tone(60.5, 0.05)])
        (tmp_path / "sounds" / "dog").mkdir(parents=True)
        (tmp_path / "sounds" / "dog" / "long.flac").write_bytes(encode_flac(audio))
        [clip] = clips_of("folder", Layout(tmp_path))
        assert clip.duration_s == 123.5
        assert clip.second_db.split() == ["-9.0"] * 60 + ["-inf"] * 3 + ["-29.0"] * 60
        assert clip.rms_db == pytest.approx(rms_db(audio), abs=0.05)

    def test_subfolders_are_named_by_category_or_label(self, world):
        used = {c.clip_id: c for c in clips_of("folder", world)}
        assert used["Cat purring/b.wav"].category == "cat"
        assert used["Cat purring/b.wav"].label == "Cat purring"
        assert used["mouse_(computer_equipment)/d.wav"].category == "computer_mouse"
        assert not any("tuba" in clip_id or "readme" in clip_id for clip_id in used)

    def test_without_credits_each_file_is_its_own_recording(self, world):
        clips = clips_of("folder", world)
        assert len({c.video_id for c in clips}) == len(clips)

    @pytest.mark.parametrize("header", [
        "filename,video_id,licence,author,url",
        "filename,src_file,clip_license,author,src_url",
    ])  # fmt: skip
    def test_files_of_one_recording_share_its_credit(self, tmp_path, header):
        write_audio_files(tmp_path / "sounds", {n: f"dog/{n}.wav" for n in ("a", "b", "c")})
        rows = [f"{n}.wav,110389,CC-BY,An Author,https://example.org/1" for n in "ab"]
        (tmp_path / "sounds" / "clips.csv").write_text("\n".join([header, *rows]))
        first, second, third = clips_of("folder", Layout(tmp_path))
        assert first.video_id == second.video_id == "110389"
        assert third.video_id == "dog/c.wav"
        assert first.licence == second.licence == "CC-BY (by An Author)"
        assert first.url == "https://example.org/1"

    def test_credits_without_file_names_are_refused(self, tmp_path):
        write_audio_files(tmp_path / "sounds", {"a": "dog/a.wav"})
        (tmp_path / "sounds" / "clips.csv").write_text("name,licence\na.wav,CC0\n")
        with pytest.raises(DataError, match="'filename'"):
            clips_of("folder", Layout(tmp_path))

    @pytest.mark.parametrize("column", ["licence", "License", "clip_license"])
    def test_credits_are_joined_by_path(self, tmp_path, column):
        write_audio_files(tmp_path / "sounds", {n: f"{n}/0.wav" for n in ("dog", "cat")})
        text = f"filename;video_id;{column}\ndog/0.wav;one;CC0\n.\\cat\\0.wav;two;CC-BY\n"
        (tmp_path / "sounds" / "clips.csv").write_bytes(text.encode("utf-16"))
        found = {c.clip_id: (c.video_id, c.licence) for c in clips_of("folder", Layout(tmp_path))}
        assert found == {"dog/0.wav": ("one", "CC0"), "cat/0.wav": ("two", "CC-BY")}

    @pytest.mark.parametrize("rows", ["0.wav,CC0", "other/9.wav,CC0", "dog/0.wav", ",CC0",
                                      "dog/0.wav,CC0\ndog/0.wav,CC-BY"])  # fmt: skip
    def test_credits_of_two_files_or_of_none_are_refused(self, tmp_path, rows):
        write_audio_files(tmp_path / "sounds", {n: f"{n}/0.wav" for n in ("dog", "cat")})
        (tmp_path / "sounds" / "clips.csv").write_text(f"filename,licence\n{rows}\n")
        if rows == "dog/0.wav":
            assert {c.licence for c in clips_of("folder", Layout(tmp_path))} == {""}
            return
        with pytest.raises(DataError, match=r"clips\.csv"):
            clips_of("folder", Layout(tmp_path))

    def test_credits_cannot_leave_the_folder(self, tmp_path):
        write_audio_files(tmp_path / "sounds", {"a": "dog/a.wav"})
        (tmp_path / "sounds" / "clips.csv").write_text("filename,licence\n../../secret.wav,CC0\n")
        assert [c.audio_path for c in clips_of("folder", Layout(tmp_path))] == ["dog/a.wav"]

    def test_unknown_folder_names_suggest_the_nearest(self, tmp_path):
        write_audio_files(tmp_path / "sounds", {"a": "hors/a.wav"})
        with pytest.raises(DataError, match="Did you mean 'horse'"):
            clips_of("folder", Layout(tmp_path))


class TestRealData:
    """Clips and lists as published."""

    def test_vggsound(self, realdata):
        sources = {"vggsound": {"root": "vggsound", "table": "vggsound.csv", "media": "."}}
        params, vocabulary = make_params(sources=sources), load_vocabulary()
        found = AUDIO_SOURCES["vggsound"](Layout(realdata), params, vocabulary, Runtime())
        clips = {clip.clip_id: clip for clip in found}
        assert {clip.reason for clip in clips.values()} == {"", "missing_file"}
        present = [p for p in (realdata / "vggsound").glob("*/*") if p.stem in clips]
        assert {p.suffix for p in present} == {".wav", ".mp4"}
        for path in present:
            clip = clips[path.stem]
            assert clip.status == "ok"
            assert 9.9 < clip.duration_s < 10.1
            assert len(clip.second_db.split()) == int(clip.duration_s)
            assert clip.rms_db > -40
        commas = {clip.label for clip in clips.values() if "," in clip.label}
        assert "bird chirping, tweeting" in commas

    def test_esc50(self, realdata):
        params = make_params(sources={"folder": {"root": "esc50"}})
        found = AUDIO_SOURCES["folder"](Layout(realdata), params, load_vocabulary(), Runtime())
        clips = list(found)
        assert len(clips) > 80
        assert all(clip.status == "ok" for clip in clips)
        takes: dict[str, set[tuple[str, str]]] = {}
        for clip in clips:
            takes.setdefault(clip.video_id, set()).add((clip.licence, clip.url))
        assert len(takes) < len(clips)
        assert all(len(credit) == 1 and all(*credit) for credit in takes.values())
        assert any("-inf" in clip.second_db for clip in clips), "some end in digital silence"
