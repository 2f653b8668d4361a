"""The on-disk index returns the content of the annotation file, for any size of its runs."""

import json
import random
from collections import Counter

import pytest

from avsynth.runtime.errors import DataError, SpaceError
from avsynth.runtime.options import Runtime
from avsynth.sources.masks import annotation_index, index_writer
from avsynth.sources.masks.annotation_index import load_index, open_index
from avsynth.sources.masks.index_writer import write_index

FILE = {
    "annotations": [
        {
            "id": number,
            "image_id": number % 11,
            "category_id": [5, 900, 7, 5, 1][number % 5],
            "iscrowd": number % 2,
            "area": number + 0.5,
            "bbox": [number, 1, 2, 3],
            "segmentation": [[number, 1.25, 2, 3, 4, 5]] * (number % 4),
        }
        for number in random.Random(3).sample(range(1000), 200)
    ],
    "images": [
        {"id": i, "height": 4, "width": 5, "coco_url": f"u{i}", "not_exhaustive_category_ids": [i]}
        for i in range(11)
    ],
    "categories": [{"id": i, "name": f"c{i}", "synonyms": ["x"]} for i in (1, 5, 7, 900, 901)],
    "licenses": [{"id": 1, "name": "n", "url": "u"}],
}
COUNTS = {901: 0} | Counter(a["category_id"] for a in FILE["annotations"])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(FILE))
    return path


@pytest.mark.parametrize("run_bytes", [1, 300, 2000, 1 << 24])
@pytest.mark.parametrize("wanted", [[5], [1, 900], [901], [], [1, 5, 7, 900]])
def test_the_rows_of_categories_are_read_back(path, tmp_path, monkeypatch, run_bytes, wanted):
    monkeypatch.setattr(index_writer, "RUN_BYTES", run_bytes)
    folder = tmp_path / "index"
    folder.mkdir()
    write_index(path, folder, Runtime())
    index = load_index(folder)
    found = {}
    for rows, texts in index.read(index.extents_of(wanted)):
        assert len(set(rows["category_id"].tolist())) == 1
        assert len(rows) == len(texts)
        for row, text in zip(rows, texts, strict=True):
            found[int(row["id"])] = (row, text)
    expected = {a["id"]: a for a in FILE["annotations"] if a["category_id"] in wanted}
    assert set(found) == set(expected)
    for number, entry in expected.items():
        row, text = found[number]
        assert json.loads(text) == entry["segmentation"]
        assert (row["image_id"], row["crowd"]) == (entry["image_id"], entry["iscrowd"])
    image_ids = {a["image_id"] for a in expected.values()}
    assert {i: image.coco_url for i, image in index.images(index.extents_of(wanted)).items()} == {
        i: f"u{i}" for i in image_ids
    }


def test_categories_licences_and_counts_are_read_back(path, tmp_path):
    index = open_index(path, Runtime(cache_dir=tmp_path))
    assert [(c.id, c.name, c.synonyms) for c in index.categories][1] == (5, "c5", ("x",))
    assert [one.url for one in index.licences] == ["u"]
    assert index.count() == COUNTS


def test_the_index_is_built_once_and_again_when_the_file_changes(path, tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(
        annotation_index, "write_index", lambda *a, real=write_index: built.append(a) or real(*a)
    )
    runtime = Runtime(cache_dir=tmp_path / "cache")
    first = open_index(path, runtime)
    assert open_index(path, runtime).folder == first.folder
    assert len(built) == 1
    copy = path.with_name("copy.json")
    copy.write_bytes(path.read_bytes())
    assert open_index(copy, runtime).folder == first.folder  # the same bytes elsewhere
    assert len(built) == 1
    path.write_text(json.dumps(FILE | {"licenses": []}))
    assert open_index(path, runtime).licences == ()
    assert len(built) == 2


def test_a_damaged_file_leaves_no_index_behind(path, tmp_path):
    path.write_text(path.read_text()[:-30])
    cache = tmp_path / "cache"
    for _ in range(2):
        with pytest.raises(DataError, match="truncated"):
            open_index(path, Runtime(cache_dir=cache))
    assert list((cache / "instances").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_an_error(path, tmp_path):
    (tmp_path / "cache").write_text("a file in place of the folder")
    with pytest.raises(SpaceError, match="--cache-dir"):
        open_index(path, Runtime(cache_dir=tmp_path / "cache"))


def test_a_file_that_may_not_be_read_is_not_called_a_fault_of_the_cache(
    path, tmp_path, monkeypatch
):
    real = type(path).open

    def refuse(self, *args, **options):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **options)

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(DataError, match=r"a\.json.*Permission denied"):
        open_index(path, Runtime(cache_dir=tmp_path / "cache"))
