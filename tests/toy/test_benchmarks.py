"""AVSBench S4 and MS3, AVSS and the V3 lists of the toy world in their official layouts."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from avsynth.formats.logmel import logmel
from avsynth.toy.avsbench import write_avsbench
from avsynth.toy.avss import LABELS, voc_palette
from avsynth.toy.plan import Plan


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_s4_has_the_official_layout(world: Path) -> None:
    root = world / "avsbench" / "Single-source"
    rows = rows_of(root / "s4_meta_data.csv")
    assert list(rows[0]) == ["name", "start", "category", "split"]
    assert len({row["category"] for row in rows}) >= 8
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    data = root / "s4_data"
    for row in rows:
        where = Path(row["split"]) / row["category"]
        name = row["name"]
        assert 0 <= int(row["start"]) <= 6
        frames = sorted((data / "visual_frames" / where / name).iterdir())
        assert [path.name for path in frames] == [f"{name}_{n}.png" for n in range(1, 6)]
        with Image.open(frames[0]) as frame:
            assert (frame.size, frame.mode) == ((224, 224), "RGB")
        masks = sorted((data / "gt_masks" / where / name).iterdir())
        labelled = 1 if row["split"] == "train" else 5
        assert [path.name for path in masks] == [f"{name}_{n}.png" for n in range(1, labelled + 1)]
        for path in masks:
            with Image.open(path) as mask:
                assert (mask.size, mask.mode) == ((224, 224), "1")
                assert 0.01 < np.asarray(mask).mean() < 0.6
        audio, rate = soundfile.read(data / "audio_wav" / where / f"{name}.wav", dtype="float32")
        assert (rate, len(audio)) == (16_000, 80_000)
        mel = torch.load(data / "audio_log_mel" / where / f"{name}.pkl", weights_only=True)
        assert mel.shape == (5, 1, 96, 64)
        assert mel.dtype == torch.float32
        assert mel.requires_grad
        np.testing.assert_allclose(mel.detach().numpy(), logmel(audio), atol=1e-5)


def test_ms3_has_the_official_layout_and_silent_seconds(world: Path) -> None:
    root = world / "avsbench" / "Multi-sources"
    rows = rows_of(root / "ms3_meta_data.csv")
    assert list(rows[0]) == ["video_id", "split"]
    assert any(len(row["video_id"]) > 11 for row in rows)
    assert len({row["video_id"] for row in rows}) == len(rows)
    data, empty = root / "ms3_data", 0
    for row in rows:
        name = row["video_id"]
        frames = sorted((data / "visual_frames" / name).iterdir())
        assert [path.name for path in frames] == [f"{name}.mp4_{n}.png" for n in range(1, 6)]
        masks = sorted((data / "gt_masks" / row["split"] / name).iterdir())
        assert [path.name for path in masks] == [f"{name}_{n}.png" for n in range(1, 6)]
        audio, _ = soundfile.read(data / "audio_wav" / row["split"] / f"{name}.wav")
        for second, path in enumerate(masks):
            with Image.open(path) as mask:
                area = np.asarray(mask).sum()
            middle = audio[second * 16_000 + 5000 : second * 16_000 + 14_000]
            if area == 0 and middle.std() < 0.02:
                empty += 1
        mel = torch.load(data / "audio_log_mel" / row["split"] / f"{name}.pkl", weights_only=True)
        assert mel.shape == (5, 1, 96, 64)
    assert empty >= 2


def test_without_torch_only_the_pickles_are_omitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    monkeypatch.setattr("avsynth.toy.avsbench.S4_CATEGORIES", ("dog", "cat", "bus"))
    found = write_avsbench(tmp_path, Plan(0, 0.01))
    assert found["log_mel_pickles"] == 0
    assert found["s4_train"] > 0
    assert not list(tmp_path.rglob("*.pkl"))
    assert list(tmp_path.rglob("*.wav"))


@pytest.mark.parametrize(
    ("index", "colour"),
    [
        (0, (0, 0, 0)),
        (1, (128, 0, 0)),
        (7, (128, 128, 128)),
        (64, (32, 0, 0)),
        (70, (32, 128, 128)),
    ],
)
def test_the_palette_equals_pascal_voc(index: int, colour: tuple[int, int, int]) -> None:
    assert tuple(voc_palette()[index].tolist()) == colour


def test_avss_has_the_official_layout(world: Path) -> None:
    root = world / "avss"
    rows = rows_of(root / "metadata.csv")
    assert list(rows[0]) == ["vid", "uid", "s_min", "s_sec", "a_obj", "split", "label"]
    index = json.loads((root / "label2idx.json").read_text())
    assert len(index) == 71
    assert index["background"] == 0
    assert sorted(LABELS[1:]) == list(LABELS[1:])
    palette = voc_palette()
    seen: Counter[str] = Counter()
    for row in rows:
        folder = root / row["label"] / row["uid"]
        count = 10 if row["label"] == "v2" else 5
        assert len(list((folder / "frames").iterdir())) == count
        labelled = 1 if row["label"] == "v1s" and row["split"] == "train" else count
        assert len(list((folder / "labels_rgb").iterdir())) == labelled
        allowed = {index[name] for name in row["a_obj"].split("_") if name in index} | {0}
        for number in range(labelled):
            with (
                Image.open(folder / "labels_semantic" / f"{number}.png") as semantic,
                Image.open(folder / "labels_rgb" / f"{number}.png") as rgb,
                Image.open(folder / "frames" / f"{number}.jpg") as frame,
            ):
                classes = np.asarray(semantic)
                assert frame.size == semantic.size == rgb.size
                assert np.array_equal(palette[classes], np.asarray(rgb))
            assert set(np.unique(classes).tolist()) <= allowed
        if row["label"] == "v2":
            start = 60 * int(row["s_min"]) + int(row["s_sec"])
            assert row["uid"] == f"{row['vid']}_{start * 1000}_{(start + 10) * 1000}"
        assert len(soundfile.read(folder / "audio.wav")[0]) == count * 16_000
        seen[row["label"]] += 1
        seen[row["a_obj"]] += 1
    assert min(seen["v1s"], seen["v1m"], seen["v2"]) >= 6
    assert seen["off-the-screen"] == seen["background"] == 1


def test_v3_seen_and_unseen_categories_are_disjoint(world: Path) -> None:
    root = world / "avss" / "v3"
    lists = {
        name: rows_of(root / f"meta_v3_{name}.csv")
        for name in ("seen", "seen_train", "seen_val", "unseen")
    }
    uids = {name: {row["uid"] for row in rows} for name, rows in lists.items()}
    assert uids["seen_train"] | uids["seen_val"] == uids["seen"]
    assert not uids["seen_train"] & uids["seen_val"]
    assert not uids["seen"] & uids["unseen"]
    assert {row["label"] for row in lists["seen"]} == {"v1m", "v2"}
    unseen = {name for row in lists["unseen"] for name in row["a_obj"].split("_")}
    known = {name for row in lists["seen"] for name in row["a_obj"].split("_")}
    assert len(unseen) == 5
    assert not unseen & known
    assert {row["split"] for row in lists["unseen"]} == {"unseen"}


def test_v3_few_shot_lists_have_the_published_quirks(world: Path) -> None:
    root = world / "avss" / "v3"
    objects = {row["uid"]: row["a_obj"] for row in rows_of(root.parent / "metadata.csv")}
    unseen = {row["uid"] for row in rows_of(root / "meta_v3_unseen.csv")}
    smaller: set[str] = set()
    for shots in (1, 3, 5):
        train = rows_of(root / f"v3_{shots}_shot" / "train.csv")
        test = rows_of(root / f"v3_{shots}_shot" / "test.csv")
        given = {row["uid"] for row in train}
        assert smaller <= given
        smaller = given
        assert not given & {row["uid"] for row in test}
        for row in (*train, *test):
            assert (row["s_min"], row["s_sec"], row["a_obj"]) == ("", "", "")
            assert row["split"] == "v3_1_shot_train"
            assert row["uid"] in unseen
        covered = {objects[row["uid"]] for row in test}
        assert covered == {"clock", "donkey", "helicopter"}
        assert max(Counter(objects[uid] for uid in given).values()) <= shots
