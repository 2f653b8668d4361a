"""The reader of the published AVS-Synthetic release."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avsynth.benchmarks.avs_synthetic_release import BENCHMARK, iter_samples, list_clips
from avsynth.formats.images import decode_mask
from avsynth.formats.logmel import logmel
from avsynth.formats.waveform import decode_flac, encode_wav
from avsynth.runtime.errors import DataError

HEADER = "inst_id,img_id,a,b,cls_name,cls_id,dataset,split,audio_name"
ROWS = [
    "0007,000000000025,x,y,computer_keyboard,3,lvis,train,clip_a",
    "0003,000000000025,x,y,bus_(vehicle),5,lvis,train,clip_b",
    "00ff00ff00ff00ff_m01,00ff00ff00ff00ff,x,y,cat,1,openimages,validate,clip_a",
    "12,000000000030,x,y,cat,1,lvis,test,clip_b",
]


def make_release(root: Path, rows: list[str] = ROWS, header: str = HEADER) -> Path:
    rng = np.random.default_rng(0)
    for name in ("images", "masks", "audios"):
        (root / name).mkdir(parents=True)
    (root / "annotations.csv").write_text("\n".join([header, *rows]) + "\n")
    for row in ROWS:
        inst_id, img_id, *_ = row.split(",")
        pixels = rng.integers(0, 255, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{img_id}.jpg")
        mask = np.zeros((30, 40), bool)
        mask[5:20, 8 : 10 + int(inst_id[:2], 16)] = True
        Image.fromarray(mask).save(root / "masks" / f"{inst_id}.png")
    for name in ("clip_a", "clip_b"):
        audio = rng.uniform(-0.5, 0.5, 48_000).astype(np.float32)
        (root / "audios" / f"{name}.wav").write_bytes(encode_wav(audio))
    (root / "category_for_vggsound_audios.pkl").write_bytes(
        pickle.dumps({1: ["clip_a", "clip_b"], 3: ["clip_a"], 5: ["clip_b"]})
    )
    return root


@pytest.fixture
def release(tmp_path) -> Path:
    return make_release(tmp_path / "AVS_Synthetic")


def test_samples_contain_the_bytes_of_the_files(release):
    keyboard = next(
        s for s in iter_samples(release, "train") if s.meta["clip_key"] and "keyboard" in s.key
    )
    assert keyboard.image == (release / "images" / "000000000025.jpg").read_bytes()
    assert keyboard.image_ext == "jpg"
    expected = np.asarray(Image.open(release / "masks" / "0007.png"))
    np.testing.assert_array_equal(decode_mask(keyboard.mask_png), expected)
    assert keyboard.meta["category"] == "computer_keyboard"
    assert keyboard.meta["image_id"] == "coco/000000000025"
    assert keyboard.meta["clip_id"] == "clip_a"


def test_the_audio_is_that_of_log_mel_example_one(release):
    pcm = np.frombuffer((release / "audios" / "clip_a.wav").read_bytes()[44:], np.int16)
    waveform = pcm.astype(np.float32) / 32_768
    [sample] = iter_samples(release, "val")
    np.testing.assert_array_equal(decode_flac(sample.audio_flac), waveform[15_360:31_360])
    np.testing.assert_array_equal(np.load(io.BytesIO(sample.logmel_npy)), logmel(waveform)[1])


def test_splits_ids_and_names(release):
    train, val, test = (list_clips(release, split) for split in ("train", "val", "test"))
    assert [clip.clip_key for clip in train] == ["0003", "0007"]
    assert [clip.category for clip in train] == ["bus", "computer_keyboard"]
    assert [clip.clip_key for clip in val] == ["00ff00ff00ff00ff_m01"]
    assert [clip.images[0].name for clip in test] == ["000000000030.jpg"]
    findings = BENCHMARK.check(release)
    assert {finding.split for finding in findings} == {"train", "val", "test"}
    assert all(finding.found == finding.expected for finding in findings)
    [sample] = iter_samples(release, "val")
    assert sample.meta["image_id"] == "openimages/00ff00ff00ff00ff"


@pytest.mark.parametrize("header", [
    "id,image,a,b,category,category_id,source,split,audio",
    "0,1,2,split,4,5,6,7,8",
    "0,1,split,3,4,5,6,7,8",
])  # fmt: skip
def test_columns_of_unknown_names_are_read_by_position(tmp_path, header):
    at = header.split(",").index("split")
    rows = []
    for row in ROWS:
        cells = row.split(",")
        cells[7], cells[at] = cells[at], cells[7]
        rows.append(",".join(cells))
    root = make_release(tmp_path / "release", rows, header)
    assert [c.clip_key for c in list_clips(root, "train")] == ["0003", "0007"]
    assert [c.audio.stem for c in list_clips(root, "train")] == ["clip_b", "clip_a"]


def test_columns_of_known_names_are_read_in_any_order(tmp_path):
    header = "split,audio_name,dataset,cls_id,cls_name,img_id,inst_id"
    rows = [
        ",".join([c[7], c[8], c[6], c[5], c[4], c[1], c[0]]) for c in (r.split(",") for r in ROWS)
    ]
    root = make_release(tmp_path / "release", rows, header)
    assert [c.category for c in list_clips(root, "train")] == ["bus", "computer_keyboard"]


def test_a_training_row_without_an_audio_name_gets_a_clip_of_its_pool(tmp_path):
    rows = [f"inst{n},000000000025,x,y,cat,1,lvis,train," for n in range(20)]
    root = make_release(tmp_path / "release", rows)
    drawn = [clip.audio.stem for clip in list_clips(root, "train")]
    assert set(drawn) == {"clip_a", "clip_b"}
    assert drawn == [clip.audio.stem for clip in list_clips(root, "train")]


@pytest.mark.parametrize(("row", "found"), [
    ("../../secret,000000000025,x,y,cat,1,lvis,test,clip_a", "secret"),
    ("12,/etc/passwd,x,y,cat,1,lvis,test,clip_a", "passwd"),
    ("12,000000000025,x,y,cat,1,lvis,test,../images/000000000025", "images"),
    ("12,..\\..\\x,x,y,cat,1,lvis,test,clip_a", "x"),
    (".,000000000025,x,y,cat,1,lvis,test,clip_a", "'.'"),
    ("12,000000000025,x,y,cat,1,lvis,test,", "''"),
    ("12,000000000025,x,y,cat,1,lvis,holdout,clip_a", "holdout"),
    ("12,000000000025,x,y,cat,1,lvis,test", "8"),
    ("12,000000000025,x,y,cat,nine,lvis,train,", "nine"),
    ("12,000000000025,x,y,cat,9,lvis,train,", "'9'"),
])  # fmt: skip
def test_bad_rows_are_named_by_line(tmp_path, row, found):
    root = make_release(tmp_path / "release", [ROWS[0], row])
    split = "train" if ",train," in row else "test"
    with pytest.raises(DataError) as caught:
        list_clips(root, split)
    assert caught.value.where.endswith("annotations.csv:3")
    assert found in caught.value.found


def test_an_instance_listed_twice_is_refused(tmp_path):
    root = make_release(tmp_path / "release", [ROWS[0], ROWS[0]])
    with pytest.raises(DataError, match="'0007' again"):
        list_clips(root, "train")


@pytest.mark.parametrize("content", [b"", b"a,b,c\n1,2,3\n", b"split,x\ntest,1\n", b"\xff\xfe\x00"])
def test_another_kind_of_csv_is_refused(tmp_path, content):
    (tmp_path / "annotations.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"annotations\.csv"):
        list_clips(tmp_path, "train")


def test_absent_files_are_named_before_the_first_sample(release):
    (release / "masks" / "12.png").unlink()
    with pytest.raises(DataError, match=r"masks/12\.png"):
        next(iter_samples(release, "test"))
    with pytest.raises(DataError, match="no such file"):
        list_clips(release / "nowhere", "train")


def test_a_short_clip_is_refused(release):
    short = encode_wav(np.zeros(30_959, np.float32))
    (release / "audios" / "clip_b.wav").write_bytes(short)
    with pytest.raises(DataError, match=r"1\.935 s"):
        list(iter_samples(release, "test"))


def test_a_mask_of_another_size_is_refused(release):
    Image.new("1", (40, 31)).save(release / "masks" / "12.png")
    with pytest.raises(DataError, match="a mask of the image's size"):
        list(iter_samples(release, "test"))
