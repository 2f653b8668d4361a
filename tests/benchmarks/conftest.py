"""Fixtures: small worlds in the official layouts, with known pixels and known audio."""

import csv
import io

import numpy as np
import pytest
import torch
from PIL import Image

from avsynth.formats.waveform import encode_wav

SIDE_PX = 32


def random_image(seed):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8))


def square(size):
    """Return a mask with a square of this side in the corner: bool [32, 32]."""
    mask = np.zeros((SIDE_PX, SIDE_PX), bool)
    mask[:size, :size] = True
    return mask


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def tone(seconds):
    """Return a tone with another pitch in each second: float32 [16000 * seconds]."""
    t = np.arange(round(16000 * seconds)) / 16000
    pitch = 200 * (1 + np.floor(t))
    return (0.5 * np.sin(2 * np.pi * pitch * t)).astype(np.float32)


def write_audio(path, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_wav(tone(seconds)))


def write_pickle(path, value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


def write_csv(path, rows, header=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        if header:
            writer.writeheader()
        writer.writerows(rows)


def patches_of(number):
    """Return log-mels that differ by clip and by frame: float32 [5, 1, 96, 64]."""
    return torch.arange(5.0).view(5, 1, 1, 1).expand(5, 1, 96, 64).contiguous() + 10 * number


@pytest.fixture
def avsbench(tmp_path):
    """Write S4 (two clips per split) and MS3 (one per split); frame n has a square of side n."""
    rows = [
        {"name": f"{'-' * (i % 2)}vid_{split}{i}", "start": i, "category": cat, "split": split}
        for split in ("train", "val", "test")
        for i, cat in enumerate(("cat_meowing", "horse_clip-clop"))
    ]
    write_csv(tmp_path / "Single-source" / "s4_meta_data.csv", rows[::-1])
    data = tmp_path / "Single-source" / "s4_data"
    for number, row in enumerate(rows):
        name, where = row["name"], f"{row['split']}/{row['category']}"
        for n in range(1, 6):
            save(random_image(n), data / "visual_frames" / where / name / f"{name}_{n}.png")
            if n == 1 or row["split"] != "train":
                mask = Image.fromarray(np.uint8(square(n) * 255))
                save(mask, data / "gt_masks" / where / name / f"{name}_{n}.png")
        write_pickle(data / "audio_log_mel" / where / f"{name}.pkl", patches_of(number))
        write_audio(data / "audio_wav" / where / f"{name}.wav", 5)
    _write_ms3(tmp_path / "Multi-sources")
    return tmp_path


def _write_ms3(folder):
    rows = [{"video_id": f"multi_{split}", "split": split} for split in ("train", "val", "test")]
    write_csv(folder / "ms3_meta_data.csv", rows)
    data = folder / "ms3_data"
    for row in rows:
        name, split = row["video_id"], row["split"]
        for n in range(1, 6):
            save(random_image(n), data / "visual_frames" / name / f"{name}.mp4_{n}.png")
            mask = Image.fromarray(np.uint8(square(n - 1)), "P")  # frame 1 has an empty mask
            mask.putpalette([0, 0, 0, 9, 0, 0] + [0] * 762)  # dark red is foreground
            save(mask, data / "gt_masks" / split / name / f"{name}_{n}.png")
        write_pickle(data / "audio_log_mel" / split / f"{name}.pkl", patches_of(0))
        write_audio(data / "audio_wav" / split / f"{name}.wav", 4.5)


@pytest.fixture
def avss(tmp_path):
    """Write six v2 clips, one v1m, one v1s; V3 lists: harp is unseen at 0 shots, absent at k."""
    root = tmp_path / "avss"
    clips = [
        ("seen_a", "guitar_piano", "train", "v2"), ("seen_b", "dog", "val", "v2"),
        ("new_donkey1", "donkey", "test", "v2"), ("new_donkey2", "donkey", "train", "v2"),
        ("new_harp", "harp", "test", "v2"), ("new_girlboy", "girl_boy", "val", "v2"),
        ("multi", "dog_man", "test", "v1m"), ("single", "cat", "train", "v1s"),
    ]  # fmt: skip
    rows = [
        {"vid": uid, "uid": uid, "s_min": 0, "s_sec": 4, "a_obj": a, "split": s, "label": label}
        for uid, a, s, label in clips
    ]
    write_csv(root / "metadata.csv", rows)
    for row in rows:
        _write_avss_clip(root / row["label"] / row["uid"], 10 if row["label"] == "v2" else 5)
    lists = {
        "meta_v3_seen_train": ["seen_a", "multi"],
        "meta_v3_seen_val": ["seen_b"],
        "meta_v3_unseen": ["new_donkey1", "new_donkey2", "new_harp", "new_girlboy"],
    }
    for shots in (1, 3, 5):
        lists[f"v3_{shots}_shot/train"] = ["new_donkey1"]
        lists[f"v3_{shots}_shot/test"] = ["new_girlboy", "new_donkey2"]
    bare = {"s_min": "", "s_sec": "", "a_obj": "", "split": "v3_1_shot_train", "label": "v2"}
    for name, uids in lists.items():
        write_csv(root / "v3" / f"{name}.csv", [{"vid": u, "uid": u, **bare} for u in uids])
    return root


def _write_avss_clip(folder, frames):
    for n in range(frames):
        save(random_image(n), folder / "frames" / f"{n}.jpg", quality=90)
        colours = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
        colours[square(n)] = (32, 0, 0) if n % 2 else (0, 0, 64)  # dark colours of the palette
        save(Image.fromarray(colours), folder / "labels_rgb" / f"{n}.png")
    write_audio(folder / "audio.wav", frames)


@pytest.fixture
def flickr(tmp_path):
    """Write two images of 64 x 48, each with two overlapping boxes."""
    root = tmp_path / "flickr"
    for name in ("100", "23"):
        save(random_image(1).resize((64, 48)), root / "frames" / f"{name}.jpg")
        write_audio(root / "audio" / f"{name}.wav", 7)
        boxes = "".join(
            f"<bbox><who>{i}</who><x>{x}</x><y>0</y><x>{x + 128}</x><y>128</y></bbox>"
            for i, x in enumerate((0, 64))
        )
        path = root / "Annotations" / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"<annotation><object>{boxes}</object></annotation>")
    (root / "flickr_test.csv").write_text("23,x\n100,y\n")
    return root


@pytest.fixture
def patches_of_clip():
    return patches_of


@pytest.fixture
def tone_of():
    return tone


@pytest.fixture
def square_mask():
    return square


@pytest.fixture
def rewrite_csv():
    """Return a function that changes the rows of a csv in place."""

    def rewrite(path, change):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        write_csv(path, change(rows))

    return rewrite


@pytest.fixture
def roots(request):
    """Return a function: benchmark name -> its root, written on the first call."""

    def root_of(name):
        world = "avsbench" if name in ("s4", "ms3") else "flickr" if name == "flickr" else "avss"
        return request.getfixturevalue(world)

    return root_of
