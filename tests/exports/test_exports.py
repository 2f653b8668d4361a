"""Exports are read by a copy of the papers' loader, by pycocotools and by our importer."""

import contextlib
import csv
import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from pycocotools.coco import COCO

from avsynth.benchmarks.avs_synthetic_release import iter_samples
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.core.records import SPLITS
from avsynth.exports.avs_synthetic import export_avs_synthetic
from avsynth.exports.coco import export_coco
from avsynth.formats.images import decode_mask
from avsynth.formats.logmel import logmel
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import decode_flac
from avsynth.pipelines.convert import convert
from avsynth.runtime.errors import DataError, SpaceError
from avsynth.runtime.options import Runtime


@pytest.fixture(scope="module")
def shards(built) -> Path:
    return built / "data" / "shards" / "avs-synthetic"


@pytest.fixture(scope="module")
def exported(shards, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("export") / "AVS_Synthetic"
    assert export_avs_synthetic(shards, directory) == len(ShardReader(shards))
    return directory


class ReferenceLoader:
    """A loader that reads like the published one: by column position, with pools for training."""

    def __init__(self, root: Path, split: str) -> None:
        self.root = root
        with (root / "annotations.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert len(header) == 9
        wanted = {"train": "train", "val": "validate", "test": "test"}[split]
        self.rows = [row for row in rows if row[header.index("split")] == wanted]
        with (root / "category_for_vggsound_audios.pkl").open("rb") as file:
            self.pools = pickle.load(file)  # a trusted file; the published loader does the same

    def image(self, row: list[str]) -> np.ndarray:
        return np.asarray(Image.open(self.root / "images" / f"{row[1]}.jpg").convert("RGB"))

    def mask(self, row: list[str]) -> np.ndarray:
        return np.asarray(Image.open(self.root / "masks" / f"{row[0]}.png").convert("1"))

    def logmel_of(self, name: str) -> np.ndarray:
        pcm, rate_hz = soundfile.read(self.root / "audios" / f"{name}.wav", dtype="int16")
        assert rate_hz == 16_000
        return logmel(pcm.astype(np.float32) / 32_768)[1]

    def pool(self, row: list[str]) -> list[str]:
        return self.pools[int(row[5])]


@pytest.mark.parametrize("split", SPLITS)
def test_the_reference_loader_reads_the_export(shards, exported, split):
    loader, reader = ReferenceLoader(exported, split), ShardReader(shards, split)
    rows = {row[0]: row for row in loader.rows}
    assert set(rows) == set(reader.keys)
    assert len(rows) > 3
    for key, parts in reader:
        row, meta = rows[key], json.loads(parts["meta.json"])
        assert row[4] == meta["category"]
        image = np.asarray(Image.open(io.BytesIO(parts["image.jpg"])).convert("RGB"))
        np.testing.assert_array_equal(loader.image(row), image)
        np.testing.assert_array_equal(loader.mask(row), decode_mask(parts["mask.png"]))
        expected = np.load(io.BytesIO(parts["logmel.npy"]))
        np.testing.assert_array_equal(loader.logmel_of(row[8]), expected)


def test_the_pools_contain_only_training_clips_of_their_category(exported):
    loader = ReferenceLoader(exported, "train")
    by_category: dict[int, set[str]] = {}
    for row in loader.rows:
        by_category.setdefault(int(row[5]), set()).add(row[8])
    assert {i: set(names) for i, names in loader.pools.items()} == by_category
    test_clips = {row[8] for s in ("val", "test") for row in ReferenceLoader(exported, s).rows}
    assert test_clips.isdisjoint(set().union(*by_category.values()))
    assert len(loader.rows) > 20
    for row in loader.rows[:20]:
        assert loader.pool(row)
        assert all(loader.logmel_of(name).shape == (1, 96, 64) for name in loader.pool(row)[:2])


def test_export_and_import_round_trip(shards, exported):
    reader = ShardReader(shards)
    imported = {s.key: s for split in SPLITS for s in iter_samples(exported, split)}
    assert list(imported) == list(dict.fromkeys(imported))
    assert set(imported) == set(reader.keys)
    for key, parts in reader:
        sample, meta = imported[key], json.loads(parts["meta.json"])
        assert sample.image == parts[f"image.{sample.image_ext}"]
        np.testing.assert_array_equal(decode_mask(sample.mask_png), decode_mask(parts["mask.png"]))
        np.testing.assert_array_equal(
            decode_flac(sample.audio_flac), decode_flac(parts["audio.flac"])
        )
        assert sample.logmel_npy == parts["logmel.npy"]
        meta["dataset"] = "avs-synthetic-release"
        assert meta.items() <= sample.meta.items()


def test_the_same_shards_give_the_same_bytes(shards, exported, tmp_path):
    export_avs_synthetic(shards, tmp_path / "again")
    names = sorted(p.relative_to(exported) for p in exported.rglob("*") if p.is_file())
    assert len(names) > 20
    assert names == sorted(
        p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file()
    )
    for name in names:
        assert (exported / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_pycocotools_reads_the_coco_export(shards, tmp_path, capsys):
    path = tmp_path / "out" / "instances.json"
    reader = ShardReader(shards)
    assert export_coco(shards, path) == len(reader)
    coco = COCO(path)
    capsys.readouterr()
    annotations = coco.loadAnns(coco.getAnnIds())
    assert {annotation["sample"] for annotation in annotations} == set(reader.keys)
    for annotation in annotations:
        parts = reader.parts(annotation["sample"])
        mask, meta = decode_mask(parts["mask.png"]), json.loads(parts["meta.json"])
        np.testing.assert_array_equal(coco.annToMask(annotation).astype(bool), mask)
        assert annotation["area"] == mask.sum()
        rows, columns = np.nonzero(mask)
        left, top = columns.min(), rows.min()
        assert annotation["bbox"] == [left, top, columns.max() - left + 1, rows.max() - top + 1]
        assert coco.cats[annotation["category_id"]]["name"] == meta["category"]
        image = coco.imgs[annotation["image_id"]]
        assert (image["height"], image["width"]) == mask.shape
        assert image["split"] == meta["split"]
        assert meta["image_id"].endswith(image["file_name"].removesuffix(".jpg"))


class TestBadOutput:
    def test_a_folder_that_is_not_empty_is_not_changed(self, shards, tmp_path):
        (tmp_path / "mine.txt").write_text("keep")
        with pytest.raises(DataError, match="new or an empty folder"):
            export_avs_synthetic(shards, tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]

    def test_an_empty_folder_is_filled(self, shards, tmp_path):
        (tmp_path / "empty").mkdir()
        assert export_avs_synthetic(shards, tmp_path / "empty") > 0
        assert [p.name for p in tmp_path.iterdir()] == ["empty"]

    def test_a_damaged_shard_leaves_nothing(self, shards, tmp_path):
        copy = tmp_path / "shards"
        copy.mkdir()
        for path in shards.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        last = sorted(copy.glob("*.tar"))[-1]
        last.write_bytes(last.read_bytes()[:-512])
        with pytest.raises(DataError, match="bytes"):
            export_avs_synthetic(copy, tmp_path / "out")
        with pytest.raises(DataError, match="bytes"):
            export_coco(copy, tmp_path / "out.json")
        assert [p.name for p in tmp_path.iterdir()] == ["shards"]

    def test_an_unwritable_folder_is_reported(self, shards, tmp_path):
        blocker = tmp_path / "file"
        blocker.write_text("a file where a folder should be")
        with pytest.raises(SpaceError):
            export_avs_synthetic(shards, blocker / "out")
        with pytest.raises(SpaceError):
            export_coco(shards, blocker / "out.json")

    def test_no_shards(self, tmp_path):
        with pytest.raises(DataError, match="index of a dataset"):
            export_avs_synthetic(tmp_path, tmp_path / "out")


def test_convert_reads_our_export_into_separate_shards(built: Path, tmp_path: Path):
    params = load_params(built)
    layout = Layout(tmp_path)
    export_avs_synthetic(built / "data/shards/avs-synthetic", layout.release)
    funnel = convert("avs-synthetic-release", params, layout, Runtime())
    again = ShardReader(layout.shards("avs-synthetic-release"))
    before = ShardReader(built / "data/shards/avs-synthetic")
    assert funnel["count"].sum() == len(again) == len(before)
    assert set(again.keys) == set(before.keys)
    for key in before.keys[::10]:
        ours, theirs = before.parts(key), again.parts(key)
        for part in ("image.jpg", "audio.flac", "logmel.npy"):
            assert ours[part] == theirs[part]
        assert np.array_equal(decode_mask(ours["mask.png"]), decode_mask(theirs["mask.png"]))


@pytest.mark.parametrize("image_id", ["coco/000000000001", "openimages/0123456789abcdef"])
def test_two_images_of_one_id_are_refused(image_id):
    from avsynth.exports.instances import iter_instances

    class Reader(list):
        keys = ("dog-1", "dog-2")

        def naming(self, key):
            return contextlib.nullcontext()

    meta = json.dumps({"category": "dog", "split": "train", "image_id": image_id}).encode()
    samples = [(f"dog-{n}", {"image.jpg": bytes([n]), "meta.json": meta}) for n in (1, 2)]
    with pytest.raises(DataError, match="two different ones"):
        list(iter_instances(Reader(samples)))
