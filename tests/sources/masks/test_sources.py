"""Contract of all mask sources on the toy world; rules of each source on small worlds."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avsynth.core.paths import Layout
from avsynth.exports.instances import Instance
from avsynth.formats.images import decode_mask
from avsynth.formats.mask_rle import rle_to_mask
from avsynth.runtime.errors import ConfigError, DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.masks import MASK_SOURCES
from avsynth.sources.masks.coco_family import check_matched, match_names
from avsynth.sources.masks.coco_json import SourceCategory
from avsynth.sources.masks.openimages import read_label_rows
from tests.helpers import mask_worlds as worlds

WRITERS = {
    "lvis": worlds.write_lvis,
    "coco": worlds.write_coco,
    "openimages": worlds.write_openimages,
}


def records_of(root, source, filters=None, categories=(), **runtime):
    runtime = Runtime(cache_dir=root / "cache", **runtime)
    params = worlds.params_of(source, filters)
    return list(MASK_SOURCES[source](Layout(root), params, worlds.vocabulary(*categories), runtime))


def by_id(records):
    assert records
    return {r.mask_id: r for r in records}


def toy_params(source, toy_world):
    settings = {
        "lvis": {
            "files": ["lvis_v1_train.json", "lvis_v1_val.json"],
            "images": str(toy_world / "lvis"),
        },
        "coco": {
            "files": ["annotations/instances_train2017.json"],
            "images": str(toy_world / "coco"),
        },
        "openimages": {"splits": ["train", "validation"]},
    }[source]
    return worlds.masks_params(**{source: {"root": str(toy_world / source), **settings}})


@pytest.mark.parametrize("source", MASK_SOURCES)
def test_contract_of_a_source(source, toy_world, tmp_path):
    params = toy_params(source, toy_world)
    names = worlds.load_vocabulary().choose(46)
    read = MASK_SOURCES[source]
    records = list(read(Layout(tmp_path), params, names, Runtime(cache_dir=tmp_path / "cache")))
    assert len(records) >= 15
    assert len({(r.mask_id, r.category) for r in records}) == len(records)
    assert {r.category for r in records} <= set(names.names)
    for record in records:
        assert record.source == source
        assert "+" not in record.mask_id
        assert (record.status == "ok") == (record.reason == "")
        assert record.split_hint in {"train", "val"}
        if record.status == "ok":
            check_usable(record, toy_world / source)
    spread = Runtime(workers=2, executor="process", cache_dir=tmp_path / "cache")
    assert list(read(Layout(tmp_path), params, names, spread)) == records


def check_usable(record, images: Path):
    assert record.licence
    assert record.url.startswith("http")
    with Image.open(images / record.image_path) as image:
        assert image.size == (record.width_px, record.height_px)
    mask = rle_to_mask(record.rle, record.height_px, record.width_px)
    ys, xs = np.nonzero(mask)
    box = (record.x0_px, record.y0_px, record.x1_px, record.y1_px)
    assert box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert record.area_frac == pytest.approx(mask.mean(), abs=1e-12)


def test_lvis_masks_have_their_reasons(tmp_path):
    worlds.write_lvis(tmp_path)
    records = by_id(records_of(tmp_path, "lvis"))
    assert {i: r.reason for i, r in records.items()} == {
        "lvis_v1_train-1": "",
        "lvis_v1_train-2": "",
        "lvis_v1_train-3": "empty",
        "lvis_v1_train-5": "missing_image",
        "lvis_v1_train-6": "missing_image",
        "lvis_v1_train-7": "bad_mask",
    }
    dog = records["lvis_v1_train-1"]
    assert (dog.category, dog.image_id, dog.image_path) == (
        "dog",
        "coco/000000000034",
        "train2017/000000000034.jpg",
    )
    assert (dog.x0_px, dog.y0_px, dog.x1_px, dog.y1_px) == (10, 10, 30, 30)
    assert dog.area_frac == 400 / 2400
    assert dog.licence == "http://example.org/by"
    assert dog.url == "http://images.cocodataset.org/train2017/000000000034.jpg"
    assert records["lvis_v1_train-3"].image_path == "val2017/000000000049.jpg"


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"min_area_frac": 0.2}, "too_small"),
        ({"max_area_frac": 0.1}, "too_large"),
        ({"drop_border": True}, "border"),
        ({"drop_not_exhaustive": True}, "not_exhaustive"),
    ],
)
def test_filters_drop_the_cat_with_a_reason(tmp_path, filters, reason):
    worlds.write_lvis(tmp_path)
    cat = by_id(records_of(tmp_path, "lvis", filters))["lvis_v1_train-2"]
    assert (cat.status, cat.reason) == ("dropped", reason)


@pytest.mark.parametrize(("drop_crowd", "reason"), [(True, "crowd"), (False, "")])
def test_coco_crowds_are_dropped_on_request(tmp_path, drop_crowd, reason):
    worlds.write_coco(tmp_path)
    records = by_id(records_of(tmp_path, "coco", {"drop_crowd": drop_crowd}))
    crowd = records["instances_val2017-900100000034"]
    assert crowd.reason == reason
    if not drop_crowd:
        assert crowd.area_frac == pytest.approx(1 / 3)
        assert (crowd.x0_px, crowd.x1_px) == (0, 20)
    assert records["instances_val2017-2"].image_path == "val2017/000000000049.jpg"


def test_lvis_names_and_lone_synonyms_match_but_never_ids(tmp_path):
    swapped = [
        {**entry, "name": name, "synonyms": synonyms}
        for entry, name, synonyms in zip(
            worlds.LVIS_CATEGORIES,
            ["dog", "kitten", "tomcat"],
            [["dog"], ["kitten", "cat"], ["tomcat"]],
            strict=True,
        )
    ]
    worlds.write_lvis(tmp_path, categories=swapped)
    records = by_id(records_of(tmp_path, "lvis"))
    assert records["lvis_v1_train-4"].category == "dog"
    assert records["lvis_v1_train-2"].category == "cat"
    assert "lvis_v1_train-1" not in records  # it has the id of the real dog, but another name


def test_a_synonym_of_two_categories_matches_neither(tmp_path):
    both = [{**e, "name": f"thing_{e['id']}", "synonyms": ["cat"]} for e in worlds.LVIS_CATEGORIES]
    worlds.write_lvis(tmp_path, categories=both)
    assert records_of(tmp_path, "lvis") == []


def test_a_name_that_complete_lvis_lacks_is_an_error(tmp_path):
    many = [
        {"id": i, "name": f"thing_{i}", "synset": f"t{i}.n.01", "synonyms": []}
        for i in range(1, 1203)
    ]
    dogs = {"id": 1203, "name": "dogs", "synset": "dog.n.01", "synonyms": []}
    worlds.write_lvis(tmp_path, categories=[*many, dogs])
    with pytest.raises(ConfigError, match="Did you mean 'dogs'"):
        records_of(tmp_path, "lvis", categories=("dog",))


def test_lvis_v05_is_refused_and_both_versions_are_named(tmp_path):
    old = [{**e, "id": e["id"] + 1} for e in worlds.LVIS_CATEGORIES]
    worlds.write_lvis(tmp_path, categories=old)
    with pytest.raises(DataError, match=r"LVIS v1 .*LVIS v0\.5"):
        records_of(tmp_path, "lvis")


@pytest.mark.parametrize(
    ("source", "found"), [("lvis", "without synsets"), ("coco", "with synsets")]
)
def test_a_file_of_the_other_dataset_is_refused(tmp_path, source, found):
    writers = {"lvis": worlds.write_coco, "coco": worlds.write_lvis}
    names = {"lvis": "lvis_v1_train.json", "coco": "instances_val2017.json"}
    writers[source](tmp_path).rename(tmp_path / names[source])
    with pytest.raises(DataError, match=found):
        records_of(tmp_path, source)


def test_a_missing_image_folder_is_an_error(tmp_path):
    worlds.write_lvis(tmp_path)
    (tmp_path / "val2017" / f"{49:012d}.jpg").unlink()
    (tmp_path / "val2017").rmdir()
    with pytest.raises(DataError, match=r"image folder .*val2017"):
        records_of(tmp_path, "lvis")


@pytest.mark.parametrize("source", ["lvis", "coco"])
def test_a_missing_or_truncated_json_is_an_error(tmp_path, source):
    path = WRITERS[source](tmp_path)
    path.write_text(path.read_text()[:-40])
    with pytest.raises(DataError, match="truncated"):
        records_of(tmp_path, source)
    path.unlink()
    with pytest.raises(DataError, match="no such file"):
        records_of(tmp_path, source)


@pytest.mark.parametrize(
    "url",
    [
        "http://x/train2017/../../etc/passwd",
        "http://x/train2017/000000000035.jpg",
        "file:///train2017/34.jpg",
        "",
    ],
)
def test_an_image_name_with_another_id_is_not_followed(tmp_path, url):
    images = [worlds.image_entry(34, "train2017") | {"coco_url": url}]
    worlds.write_lvis(tmp_path, images=images)
    dog = by_id(records_of(tmp_path, "lvis"))["lvis_v1_train-1"]
    assert (dog.reason, dog.image_path) == ("missing_image", "")


def write_split(root, folder, file_name, colour, numbers=(1,), **changes):
    """Write an annotation file of images numbered from 1, one dog on each."""
    images = [
        {
            "id": n,
            "file_name": file_name.format(n),
            "height": worlds.HEIGHT,
            "width": worlds.WIDTH,
            "license": None,
            "coco_url": None,
        }
        for n in numbers
    ]
    for image in images:
        path = root / folder / image["file_name"].rpartition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (worlds.WIDTH, worlds.HEIGHT), colour).save(path)
    dogs = [worlds.annotation(n, n, 18, worlds.SQUARE, area=float("nan"), bbox=[]) for n in numbers]
    content = {"images": images, "annotations": dogs, "categories": worlds.COCO_CATEGORIES}
    path = root / folder / "annotations.json"
    path.write_text(json.dumps(content | changes), encoding="utf-8-sig")
    return f"{folder}/annotations.json"


def read_coco(root, files, images="."):
    params = worlds.masks_params(coco={"root": ".", "files": files, "images": images})
    runtime = Runtime(cache_dir=root / "cache")
    return list(MASK_SOURCES["coco"](Layout(root), params, worlds.vocabulary(), runtime))


@pytest.mark.parametrize("folders", [("train", "val"), ("train2017", "val2017"), ("a", "b")])
@pytest.mark.parametrize("file_name", ["{:012d}.jpg", "{}.png", "my photo {}.jpg"])
def test_two_files_that_number_from_1_share_no_image_and_no_mask_id(tmp_path, folders, file_name):
    files = [
        write_split(tmp_path, folder, file_name, colour, (1, 2))
        for folder, colour in zip(folders, ["red", "blue"], strict=True)
    ]
    records = read_coco(tmp_path, files)
    assert [(r.status, r.image_path) for r in records] == [
        ("ok", f"{folder}/{file_name.format(n)}") for folder in folders for n in (1, 2)
    ]
    assert len({r.image_id for r in records}) == len({r.mask_id for r in records}) == 4
    meta = [{"image_id": r.image_id, "category": "dog"} for r in records]
    assert len({Instance("k", {}, one, 1).img_id for one in meta}) == 4


def test_one_image_in_two_files_has_one_id(tmp_path):
    worlds.write_coco(tmp_path)
    (tmp_path / "more_val2017.json").write_bytes((tmp_path / "instances_val2017.json").read_bytes())
    records = read_coco(tmp_path, ["instances_val2017.json", "more_val2017.json"])
    assert {r.image_id for r in records} == {"coco/000000000034", "coco/000000000049"}
    assert len({r.mask_id for r in records}) == len(records) == 6


def test_a_file_that_is_listed_twice_is_an_error(tmp_path):
    worlds.write_coco(tmp_path)
    with pytest.raises(ConfigError, match="every file once"):
        read_coco(tmp_path, ["instances_val2017.json", "./instances_val2017.json"])


@pytest.mark.parametrize(
    ("file_name", "found"),
    [
        ("photos/x.jpg", "photos/x.jpg"),
        ("./photos/x.jpg", "photos/x.jpg"),
        ("../secret.jpg", ""),
        ("photos/../../secret.jpg", ""),
        ("/etc/passwd", ""),
        ("photos\\x.jpg", ""),
        ("x" * 5_000, ""),
        ("a\0b.jpg", ""),
        ("", ""),
    ],
)
def test_images_are_found_by_file_name_inside_of_the_folder_only(tmp_path, file_name, found):
    root = tmp_path / "root"
    worlds.write_image(root / "photos" / "x.jpg")
    worlds.write_image(tmp_path / "secret.jpg")
    image = {"id": 1, "file_name": file_name, "height": worlds.HEIGHT, "width": worlds.WIDTH}
    content = {
        "images": [image],
        "annotations": [worlds.annotation(1, 1, 18, worlds.SQUARE)],
        "categories": worlds.COCO_CATEGORIES,
    }
    (root / "own.json").write_text(json.dumps(content))
    (record,) = read_coco(root, ["own.json"])
    assert (record.image_path, record.reason) == (found, "" if found else "missing_image")


@pytest.mark.parametrize(
    ("change", "reason", "category"),
    [
        ({"image_id": None}, "bad_row", "dog"),
        ({"category_id": "dog"}, "bad_row", ""),
        ({"id": 2}, "duplicate_id", "dog"),
        ({"segmentation": [[10, 10, 30, 10, 30, 30], [1, 1, 5, 1, 5, 5, 9]]}, "bad_mask", "dog"),
        ({"segmentation": "none"}, "bad_mask", "dog"),
        ({"image_id": 77}, "missing_image", "dog"),
    ],
)
def test_an_invalid_annotation_is_a_counted_row(tmp_path, change, reason, category):
    good = worlds.annotation(2, 1, 18, worlds.SQUARE)
    bad = worlds.annotation(1, 1, 18, worlds.SQUARE) | change
    name = write_split(tmp_path, "train", "{}.jpg", "red", annotations=[good, bad])
    records = read_coco(tmp_path, [name])
    assert sorted((r.reason, r.category) for r in records) == [("", "dog"), (reason, category)]
    assert len({r.mask_id for r in records}) == 2


def test_the_alpha_channel_of_an_openimages_mask_is_ignored(tmp_path):
    worlds.write_openimages(tmp_path)
    path = tmp_path / "validation-masks" / worlds.DOG_MASK
    (plain,) = records_of(tmp_path, "openimages")
    for mode in ("RGBA", "LA"):
        with Image.open(path) as mask:
            grey = mask.convert("L")
        opaque = grey.convert(mode)
        opaque.putalpha(255)
        opaque.save(path)
        assert records_of(tmp_path, "openimages") == [plain]


def test_openimages_mask_is_resized_to_the_image(tmp_path):
    worlds.write_openimages(tmp_path)
    (record,) = records_of(tmp_path, "openimages")
    assert record.status == "ok"
    assert (record.height_px, record.width_px) == (worlds.HEIGHT, worlds.WIDTH)
    assert (record.x0_px, record.y0_px, record.x1_px, record.y1_px) == (10, 10, 30, 30)
    assert record.image_id == f"openimages/{worlds.OPEN_IMAGE}"
    assert record.split_hint == "val"


def test_openimages_resize_is_pillow_s_nearest(tmp_path):
    worlds.write_openimages(tmp_path)
    rng = np.random.default_rng(0)
    mask = rng.random((53, 79)) > 0.5
    Image.fromarray(mask).save(tmp_path / "validation-masks" / worlds.DOG_MASK)
    (record,) = records_of(tmp_path, "openimages")
    size = (worlds.WIDTH, worlds.HEIGHT)
    expected = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    assert (rle_to_mask(record.rle, worlds.HEIGHT, worlds.WIDTH) == expected).all()


OTHER = "fedcba9876543210"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((worlds.DOG_MASK, worlds.OPEN_IMAGE, "/m/0bt9lr"), ""),
        (
            (f"{worlds.OPEN_IMAGE}_m0bt9lr_00000002.png", worlds.OPEN_IMAGE, "/m/0bt9lr"),
            "missing_mask",
        ),
        ((f"{OTHER}_m0bt9lr_00000002.png", OTHER, "/m/0bt9lr"), "missing_image"),
        ((worlds.DOG_MASK, OTHER, "/m/0bt9lr"), "wrong_mask"),
        (("../../secret.png", worlds.OPEN_IMAGE, "/m/0bt9lr"), "bad_id"),
        ((worlds.DOG_MASK, "../validation/x", "/m/0bt9lr"), "bad_id"),
        ((worlds.DOG_MASK, "0123456789ABCDEF", "/m/0bt9lr"), "bad_id"),
    ],
)
def test_openimages_rows_have_reasons(tmp_path, row, reason):
    worlds.write_openimages(tmp_path, [row])
    (record,) = records_of(tmp_path, "openimages")
    assert record.reason == reason


def test_unusable_openimages_masks_and_images_are_dropped(tmp_path):
    worlds.write_openimages(tmp_path)
    path = tmp_path / "validation-masks" / worlds.DOG_MASK
    Image.new("1", (worlds.HEIGHT, worlds.WIDTH), 1).save(path)
    assert records_of(tmp_path, "openimages")[0].reason == "size_mismatch"
    path.write_bytes(b"not an image")
    assert records_of(tmp_path, "openimages")[0].reason == "bad_mask"
    Image.new("1", (worlds.WIDTH, worlds.HEIGHT), 0).save(path)
    assert records_of(tmp_path, "openimages")[0].reason == "empty"
    (tmp_path / "validation" / f"{worlds.OPEN_IMAGE}.jpg").write_bytes(b"\xff\xd8 no image")
    assert records_of(tmp_path, "openimages")[0].reason == "bad_image"


@pytest.mark.parametrize("folder", ["validation-masks/validation-masks-0", "validation-masks-0"])
def test_openimages_masks_may_be_in_the_folders_of_the_zips(tmp_path, folder):
    worlds.write_openimages(tmp_path)
    flat = tmp_path / "validation-masks" / worlds.DOG_MASK
    (tmp_path / folder).mkdir()
    flat.rename(tmp_path / folder / worlds.DOG_MASK)
    (tmp_path / "validation").rename(tmp_path / "validation_0")
    (record,) = records_of(tmp_path, "openimages")
    assert record.status == "ok"
    assert record.image_path == f"validation_0/{worlds.OPEN_IMAGE}.jpg"


@pytest.mark.parametrize("missing", ["validation", "validation-masks", "csv"])
def test_openimages_without_its_folders_is_an_error(tmp_path, missing):
    path = worlds.write_openimages(tmp_path)
    path = path if missing == "csv" else tmp_path / missing
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=path.name):
        records_of(tmp_path, "openimages")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "MaskPath,ImageID,LabelName\n1,2\n"])
def test_a_csv_of_another_format_is_an_error(tmp_path, text):
    worlds.write_openimages(tmp_path).write_text(text)
    with pytest.raises(DataError, match="Open Images csv"):
        records_of(tmp_path, "openimages")


def test_real_images_and_masks_are_read(realdata, tmp_path):
    lvis = str(realdata / "lvis")
    params = worlds.masks_params(
        lvis={"root": lvis, "files": ["lvis_v1_train.json", "lvis_v1_val.json"], "images": lvis},
        openimages={"root": str(realdata / "openimages"), "splits": ["train"]},
    )
    everything = worlds.load_vocabulary()
    runtime = Runtime(cache_dir=tmp_path)
    lvis_records = list(MASK_SOURCES["lvis"](Layout(tmp_path), params, everything, runtime))
    open_records = list(MASK_SOURCES["openimages"](Layout(tmp_path), params, everything, runtime))
    assert len(lvis_records) > 200
    assert len(open_records) >= 5
    for record in lvis_records:
        assert record.status == "ok"
        check_usable(record, realdata / "lvis")
    for record in open_records:
        assert record.status == "ok"
        check_usable(record, realdata / "openimages")
        path = realdata / "openimages" / "train-masks" / f"{record.mask_id}.png"
        assert decode_mask(path.read_bytes()).mean() == pytest.approx(record.area_frac, rel=0.02)


def test_the_real_v05_file_is_refused(realdata, tmp_path):
    lvis = str(realdata / "lvis")
    params = worlds.masks_params(
        lvis={"root": lvis, "files": ["lvis_v0.5_val_100.json"], "images": lvis}
    )
    with pytest.raises(DataError, match=r"1203 categories.*1230 categories"):
        list(
            MASK_SOURCES["lvis"](
                Layout(tmp_path), params, worlds.vocabulary(), Runtime(cache_dir=tmp_path)
            )
        )


@pytest.mark.parametrize("spelled", ["dog", "Dog", " DOG ", "computer_mouse", "Computer-Mouse"])
def test_categories_are_matched_by_one_form_and_all_of_one_name(spelled):
    listed = [SourceCategory(n, spelled) for n in (1, 2)] + [SourceCategory(3, "tuba")]
    labels = {"dog": "dog", "computer mouse": "computer_mouse"}
    assert set(match_names("coco", listed, labels, 80)) == {1, 2}


def test_a_file_without_a_category_of_the_vocabulary_is_an_error():
    with pytest.raises(DataError, match=r"'dgo'.*Did you mean 'dog'"):
        check_matched([Path("mine.json")], ["dgo", "tuba"], False, {"dog": "dog"})


@pytest.mark.parametrize(
    ("header", "delimiter", "encoding"),
    [
        ("MaskPath,ImageID,LabelName", ",", "utf-8-sig"),
        ("MaskPath,ImageID,LabelName", "\t", "utf-16"),
        ("maskpath, imageid,LABELNAME", ";", "utf-8"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_open_images_lists_are_read_in_every_dialect(tmp_path, header, delimiter, encoding, end):
    text = end.join([header, "m.png,i, /m/dog ", "n.png,j,/m/cat", ""]).replace(",", delimiter)
    (tmp_path / "list.csv").write_bytes(text.encode(encoding))
    [rows] = read_label_rows(tmp_path / "list.csv", {"/m/dog": "dog"})
    assert [(row.mask_path, row.image_id, row.category) for row in rows] == [("m.png", "i", "dog")]
