"""Reading rules of the single benchmarks, and refusal of invalid lists."""

import io

import numpy as np
import pytest
from PIL import Image

from avsynth.benchmarks import BENCHMARKS
from avsynth.benchmarks.flickr import read_boxes
from avsynth.benchmarks.frames import bilevel
from avsynth.benchmarks.v3 import BY_SHOTS
from avsynth.formats.images import decode_mask, foreground
from avsynth.formats.logmel import logmel
from avsynth.formats.waveform import decode_flac, encode_wav, read_audio
from avsynth.metrics.localisation import consensus_map
from avsynth.runtime.errors import DataError


def patch_of(sample):
    return np.load(io.BytesIO(sample.logmel_npy), allow_pickle=False)


def test_s4_train_clips_have_only_their_labelled_frame(avsbench, patches_of_clip, square_mask):
    samples = list(BENCHMARKS["s4"].iter_samples(avsbench, "train"))
    assert [s.meta["num_frames"] for s in samples] == [1, 1]
    assert [s.key.rsplit("-", 1)[0] for s in samples] == ["horse_clip-clop", "cat_meowing"]
    for sample in samples:
        assert np.array_equal(decode_mask(sample.mask_png), square_mask(1))


def test_image_mask_audio_and_log_mel_of_a_frame_match(
    avsbench, patches_of_clip, square_mask, tone_of
):
    samples = list(BENCHMARKS["s4"].iter_samples(avsbench, "val"))
    assert [s.meta["clip_key"] for s in samples[::5]] == ["-vid_val1", "vid_val0"]
    for sample in samples[5:]:
        n = sample.meta["frame_index"]
        path = (
            avsbench
            / f"Single-source/s4_data/visual_frames/val/cat_meowing/vid_val0/vid_val0_{n + 1}.png"
        )
        assert sample.image == path.read_bytes()
        assert np.array_equal(decode_mask(sample.mask_png), square_mask(n + 1))
        audio = decode_flac(sample.audio_flac)
        assert np.abs(audio - tone_of(5)[n * 16000 : (n + 1) * 16000]).max() < 1e-4
        assert np.array_equal(patch_of(sample), patches_of_clip(2)[n].numpy())


def test_ms3_masks_of_any_colour_and_audio_that_ends_early(avsbench, square_mask):
    samples = list(BENCHMARKS["ms3"].iter_samples(avsbench, "test"))
    for n, sample in enumerate(samples):
        assert np.array_equal(decode_mask(sample.mask_png), square_mask(n))
        assert sample.meta["category"] == "multi-source"
    assert not decode_mask(samples[0].mask_png).any()
    last = decode_flac(samples[4].audio_flac)
    assert last[:8000].any()
    assert not last[8000:].any()


def test_v2_is_binary_with_ten_frames(avss, square_mask):
    samples = list(BENCHMARKS["v2"].iter_samples(avss, "test"))
    assert {s.meta["clip_key"] for s in samples} == {"new_donkey1", "new_harp"}
    patches = logmel(read_audio(avss / "v2" / "new_donkey1" / "audio.wav")[0])
    for sample in samples[:10]:
        n = sample.meta["frame_index"]
        assert np.array_equal(decode_mask(sample.mask_png), square_mask(n))
        assert np.array_equal(patch_of(sample), patches[n])


def test_audio_shorter_than_the_frames_repeats_the_last_patch(avss, tone_of):
    path = avss / "v2" / "seen_b" / "audio.wav"
    whole = path.read_bytes()
    frames = 16000 * 8
    head = bytearray(whole[:44])
    head[40:44] = (2 * frames).to_bytes(4, "little")
    head[4:8] = (36 + 2 * frames).to_bytes(4, "little")
    path.write_bytes(bytes(head) + whole[44 : 44 + 2 * frames])
    samples = list(BENCHMARKS["v2"].iter_samples(avss, "val"))
    clip = [s for s in samples if s.meta["clip_key"] == "seen_b"]
    assert np.array_equal(patch_of(clip[8]), patch_of(clip[7]))
    assert not np.array_equal(patch_of(clip[7]), patch_of(clip[6]))
    assert not decode_flac(clip[9].audio_flac).any()


def test_v3_joins_metadata_and_ignores_the_split_column(avss):
    listed = {c.clip_key: c.category for c in BY_SHOTS[1].list_clips(avss, "test")}
    assert listed == {"new_donkey2": "donkey", "new_girlboy": "girl_boy"}
    train = BY_SHOTS[0].list_clips(avss, "train")
    assert [(c.clip_key, len(c.images)) for c in train] == [("multi", 5), ("seen_a", 10)]


def test_v3_category_sets_differ_between_0_and_k_shots(avss):
    sets = {
        shots: {c.category for c in BY_SHOTS[shots].list_clips(avss, "test")} for shots in (0, 1)
    }
    assert sets == {0: {"donkey", "girl_boy", "harp"}, 1: {"donkey", "girl_boy"}}


def test_v3_list_with_an_unknown_clip_is_refused(avss, rewrite_csv):
    rewrite_csv(avss / "v3" / "meta_v3_unseen.csv", lambda rows: [*rows, {**rows[0], "uid": "who"}])
    with pytest.raises(DataError, match="1 unknown, first 'who'"):
        BY_SHOTS[0].check(avss)


@pytest.mark.parametrize("evil", ["../../secret", "a/b", "..", "", "a\\b", "/etc/passwd"])
@pytest.mark.parametrize(
    ("name", "file", "column"),
    [
        ("s4", "Single-source/s4_meta_data.csv", "name"),
        ("s4", "Single-source/s4_meta_data.csv", "category"),
        ("ms3", "Multi-sources/ms3_meta_data.csv", "video_id"),
        ("v2", "metadata.csv", "uid"),
        ("v2", "metadata.csv", "label"),
        ("v3", "metadata.csv", "uid"),
    ],
)
def test_names_that_leave_the_root_are_refused(name, file, column, evil, roots, rewrite_csv):
    root = roots(name)
    rewrite_csv(root / file, lambda rows: [{**rows[0], column: evil}, *rows[1:]])
    with pytest.raises(DataError, match=r"separators|a label of"):
        BENCHMARKS[name].check(root)


def test_flickr_names_that_leave_the_root_are_refused(flickr):
    (flickr / "flickr_test.csv").write_text("../23\n")
    with pytest.raises(DataError, match="separators"):
        BENCHMARKS["flickr"].check(flickr)


@pytest.mark.parametrize("name", ["s4", "ms3", "v2", "v3"])
def test_a_clip_listed_twice_is_refused(name, roots, rewrite_csv):
    root = roots(name)
    file = {
        "s4": "Single-source/s4_meta_data.csv",
        "ms3": "Multi-sources/ms3_meta_data.csv",
        "v2": "metadata.csv",
        "v3": "v3/meta_v3_unseen.csv",
    }[name]
    rewrite_csv(root / file, lambda rows: [*rows, rows[0]])
    with pytest.raises(DataError, match="twice"):
        BENCHMARKS[name].check(root)


def test_damaged_lists_are_refused(avsbench):
    path = avsbench / "Multi-sources" / "ms3_meta_data.csv"
    path.write_text("video,split\na,train\n")
    with pytest.raises(DataError, match="columns video_id, split; found video, split"):
        BENCHMARKS["ms3"].check(avsbench)
    path.write_text("video_id,split\na,train\nb\n")
    with pytest.raises(DataError, match=r"csv:3: expected 2 fields"):
        BENCHMARKS["ms3"].check(avsbench)
    path.write_bytes(b"video_id,split\n\xff\xfe,train\n")
    with pytest.raises(DataError, match="UTF-8"):
        BENCHMARKS["ms3"].check(avsbench)


def test_mask_of_another_size_is_refused(avsbench):
    clip = BENCHMARKS["s4"].list_clips(avsbench, "test")[0]
    Image.new("L", (8, 8)).save(clip.masks[2])
    with pytest.raises(DataError, match=r"\(32, 32\); found \(8, 8\)"):
        list(BENCHMARKS["s4"].iter_samples(avsbench, "test"))


def test_too_short_audio_is_refused(avss, tone_of):
    (avss / "v2" / "seen_b" / "audio.wav").write_bytes(encode_wav(tone_of(0.5)))
    with pytest.raises(DataError, match=r"0\.975 s of audio; found 0\.50 s"):
        list(BENCHMARKS["v2"].iter_samples(avss, "val"))


def test_mask_decoders():
    grey = Image.fromarray(np.uint8([[0, 1, 255]]))
    assert bilevel(grey.point(lambda v: 255 * (v > 0))).tolist() == [[False, True, True]]
    assert foreground(grey).tolist() == [[False, True, True]]
    darkest = Image.fromarray(np.uint8([[[0, 0, 0], [0, 0, 64], [32, 0, 0]]]))
    assert foreground(darkest).tolist() == [[False, True, True]]


SQUARE = np.zeros((8, 8), np.uint8)
SQUARE[2:5, 3:7] = 1


def palette_of(colour):
    image = Image.fromarray(SQUARE, "P")
    image.putpalette([0, 0, 0, *colour])
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(SQUARE),
        Image.fromarray(SQUARE * 100),
        Image.fromarray(SQUARE * 255),
        Image.fromarray(SQUARE.astype(bool)),
        Image.fromarray(SQUARE.astype(np.uint16) * 40_000),
        Image.fromarray(np.stack([SQUARE * 255, SQUARE * 0, SQUARE * 0], axis=2)),
        palette_of((128, 0, 0)),
        palette_of((255, 255, 255)),
    ],
    ids=["0 and 1", "grey 100", "0 and 255", "bool", "16 bits", "red", "dark red", "white"],
)
def test_masks_of_any_kind_keep_their_pixels_in_s4(image, tmp_path):
    image.save(tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as read:
        assert np.array_equal(bilevel(read), SQUARE > 0)


def test_grey_edges_of_white_masks_are_dithered_as_published():
    grey = Image.fromarray(np.uint8([[255, 100, 100, 100, 0]] * 3))
    assert np.array_equal(bilevel(grey), np.asarray(grey.convert("1")))


def test_flickr_boxes_consensus_and_middle_second(flickr, tone_of):
    samples = list(BENCHMARKS["flickr"].iter_samples(flickr, "test"))
    assert [s.meta["clip_key"] for s in samples] == ["100", "23"]
    sample = samples[0]
    assert sample.meta["boxes"] == [[0, 0, 128, 128], [64, 0, 192, 128]]
    votes = consensus_map(sample.meta["boxes"])
    assert (votes[50, 20], votes[50, 100], votes[50, 130], votes[150, 20]) == (0.5, 1.0, 0.5, 0.0)
    assert votes.sum() == 0.5 * 2 * 112 * 112
    mask = decode_mask(sample.mask_png)
    assert mask.shape == (48, 64)
    assert mask[:24, :48].all()
    assert mask.sum() == 24 * 48
    assert sample.meta["second"] == 3
    assert np.abs(decode_flac(sample.audio_flac) - tone_of(7)[48000:64000]).max() < 1e-4


@pytest.mark.parametrize(
    "xml",
    [
        "<annotation>", "<a><b/></a>",
        "<a><b><bbox><w/><x>9</x><y>0</y><x>5</x><y>5</y></bbox></b></a>",
        "<a><b><bbox><w/><x>0</x><y>0</y><x>500</x><y>5</y></bbox></b></a>",
        "<a><b><bbox><w/><x>0</x><y>0</y><x>5</x></bbox></b></a>",
        "<a><b><bbox><w/><x>0</x><y>zero</y><x>5</x><y>5</y></bbox></b></a>",
    ],
)  # fmt: skip
def test_bad_flickr_annotations_are_refused(xml, tmp_path):
    (tmp_path / "a.xml").write_text(xml)
    with pytest.raises(DataError, match=r"a\.xml"):
        read_boxes(tmp_path / "a.xml")


def test_a_split_whose_masks_are_all_empty_is_refused(avsbench):
    from avsynth.pipelines.convert import _jobs, _require_foreground, _write

    for path in avsbench.rglob("gt_masks/val/**/*.png"):
        with Image.open(path) as mask:
            Image.new("L", mask.size).save(path)
    written = [_write(job) for job in _jobs("s4", avsbench, avsbench / "new", 100)]
    infos, marked = map(list, zip(*written, strict=True))
    with pytest.raises(DataError, match=r"foreground in the split val; found \d+ empty masks"):
        _require_foreground(avsbench, infos, marked)


@pytest.mark.parametrize("spelled", ["test ", "Test", " TEST", "tEsT"])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("s4", "Single-source/s4_meta_data.csv"),
        ("ms3", "Multi-sources/ms3_meta_data.csv"),
        ("v2", "metadata.csv"),
    ],
)
def test_a_split_is_read_in_every_spelling_or_refused(name, file, spelled, roots, rewrite_csv):
    root = roots(name)
    before = BENCHMARKS[name].list_clips(root, "test")
    spell = {"test": spelled}
    rewrite_csv(
        root / file,
        lambda rows: [{**row, "split": spell.get(row["split"], row["split"])} for row in rows],
    )
    text = (root / file).read_text()
    (root / file).write_text(text.replace(",", ";"), "utf-8-sig")
    assert BENCHMARKS[name].list_clips(root, "test") == before
    assert before
    (root / file).write_text(text.replace(spelled, "testing"))
    with pytest.raises(DataError, match=r"csv:\d+: expected a split of train, val, test"):
        BENCHMARKS[name].list_clips(root, "test")
