import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avsynth.core.hashing import generator
from avsynth.formats.logmel import logmel
from avsynth.toy.categories import CATEGORIES
from avsynth.toy.sounds import TIMBRES, Style, synthesise
from avsynth.toy.vggsound import MISSING, SHORT, SILENT


@pytest.mark.parametrize("style", ["studio", "field"])
def test_nearest_neighbours_classify_timbres(style: Style) -> None:
    """Classify patches of 0.96 s by the mean and standard deviation of each mel band."""
    names = sorted(TIMBRES)
    found: dict[str, list[tuple[int, np.ndarray]]] = {"train": [], "test": []}
    for index, name in enumerate(names):
        for number in range(12):
            audio = synthesise(name, generator(7, style, name, number), 4.0, style)
            for patch in logmel(audio)[:, 0]:
                described = np.concatenate([patch.mean(0), patch.std(0)])
                found["train" if number < 8 else "test"].append((index, described))
    known = np.stack([vector for _, vector in found["train"]])
    labels = np.array([index for index, _ in found["train"]])
    hits = [
        labels[np.square(known - vector).sum(1).argmin()] == index
        for index, vector in found["test"]
    ]
    assert len(hits) == len(names) * 4 * 4
    assert np.mean(hits) > 0.95


@pytest.mark.parametrize("name", sorted(TIMBRES))
def test_a_recording_is_audible_and_in_range(name: str) -> None:
    audio = synthesise(name, generator(0, name), 3.0)
    assert audio.dtype == np.float32
    assert len(audio) == 48_000
    assert np.abs(audio).max() <= 1
    seconds = audio.reshape(3, -1)
    assert 20 * np.log10(np.sqrt(np.square(seconds).mean(1))).min() > -45


def test_a_closed_gate_leaves_only_the_background() -> None:
    gate = np.array([True, False, False, True])
    audio = synthesise("dog", generator(0), 4.0, "studio", gate).reshape(4, -1)
    loud = np.sqrt(np.square(audio[:, 2000:14000]).mean(1))
    assert loud[[1, 2]].max() < 0.05 * loud[[0, 3]].min()


def test_every_sounding_category_has_a_timbre() -> None:
    assert {category.name for category in CATEGORIES if category.vggsound} == set(TIMBRES)


def test_vggsound_has_the_quirks_of_the_real_list(world: Path) -> None:
    folder = world / "vggsound"
    text = (folder / "vggsound.csv").read_text()
    with (folder / "vggsound.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert all(len(row) == 4 and row[3] in ("train", "test") for row in rows)
    assert '"donkey, ass braying"' in text
    files = {path.stem: path for path in (folder / "audio").iterdir()}
    assert {path.suffix for path in files.values()} == {".wav", ".flac"}
    stems = [f"{row[0]}_{int(row[1]):06d}" for row in rows]
    assert len(set(stems)) == len(rows)
    assert set(files) < set(stems)
    ours = {label for category in CATEGORIES for label in category.vggsound}
    absent = [row for row, stem in zip(rows, stems, strict=True) if stem not in files]
    assert len([row for row in absent if row[2] in ours]) == 1
    assert any(row[2] not in ours for row in absent)
    videos = [row[0] for row in rows]
    assert len(set(videos)) < len(videos)  # one video, two clips


def test_vggsound_has_a_short_and_a_silent_clip(world: Path) -> None:
    lengths, silent = [], 0
    for path in sorted((world / "vggsound" / "audio").iterdir()):
        audio, rate = soundfile.read(path, dtype="int16")
        assert rate == 16_000
        assert audio.ndim == 1
        lengths.append(len(audio) / rate)
        silent += not audio.any()
    assert sorted(lengths)[:2] == [3.0, 10.0]
    assert max(lengths) == 10.0
    assert silent == 1
    assert len({MISSING, SHORT, SILENT}) == 3


def test_vggsound_contains_videos_of_the_s4_test_split(world: Path) -> None:
    with (world / "vggsound" / "vggsound.csv").open(newline="") as file:
        videos = {row[0] for row in csv.reader(file)}
    with (world / "avsbench" / "Single-source" / "s4_meta_data.csv").open(newline="") as file:
        s4 = list(csv.DictReader(file))
    leaked = {row["category"] for row in s4 if row["name"] in videos}
    assert leaked == {category.s4 for category in CATEGORIES if category.s4}
    assert {row["split"] for row in s4 if row["name"] in videos} == {"test"}


def test_audioset_segments_use_ids_of_the_ontology(world: Path) -> None:
    folder = world / "audioset"
    lines = (folder / "eval_segments.csv").read_text().splitlines()
    assert [line[0] for line in lines[:3]] == ["#"] * 3
    known = {entry["id"] for entry in json.loads((folder / "ontology.json").read_text())}
    rows = list(csv.reader(lines[3:], skipinitialspace=True))
    assert len(rows) >= 6
    for _, start, end, labels in rows:
        assert float(end) - float(start) == 10
        assert set(labels.split(",")) <= known
    stems = {f"{row[0]}_{int(float(row[1])):06d}" for row in rows}
    files = {path.stem for path in (folder / "audio").iterdir()}
    assert files < stems
    assert len(stems - files) == 1


def test_the_audio_folders_are_named_by_categories_and_labels(world: Path) -> None:
    folders = {path.name for path in (world / "sounds").iterdir()}
    assert {"dog", "donkey, ass braying"} <= folders
    audio, rate = soundfile.read(world / "sounds" / "dog" / "dog-1.flac")
    assert not audio[rate * 3 :].any()
    assert audio[:rate].any()
