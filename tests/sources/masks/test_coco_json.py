"""The streaming reader compared with `json.loads` for many layouts; and damaged files."""

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avsynth.runtime.errors import DataError
from avsynth.sources.masks import coco_json
from avsynth.sources.masks.coco_json import stream_sections

SEGMENTATIONS = [
    [[1.5, 2, 30, 2, 30, 40.25]],
    [],
    {"counts": [4, 2, 94], "size": [10, 10]},
    {"size": [10, 10], "counts": "42N0"},
    [[0, 0, 9, 0, 9, 9], [20, 20, 29, 20, 29, 29]],
]


def annotation_file(count=40):
    """Return the content of a file with every kind of entry that may occur."""
    rng = random.Random(1)
    return {
        "info": {"description": "a }, { b ] } ] \u00e9\u4e2d", "annotations": [1, {"id": 2}]},
        "annotations": [
            {
                "area": rng.uniform(1, 900),
                "id": i,
                "segmentation": SEGMENTATIONS[i % len(SEGMENTATIONS)],
                "image_id": i // 3,
                "bbox": [1.5, 2, 28.5, 38.25],
                "category_id": i % 4,
                "iscrowd": i % 2,
            }
            for i in range(count)
        ],
        "type": "instances",
        "images": [
            {
                "id": i,
                "height": 480,
                "width": 640,
                "coco_url": f"http://images.cocodataset.org/train2017/{i:012d}.jpg",
                "not_exhaustive_category_ids": [i, 7],
                "date_captured": "2013-11-18 16:32:48",
            }
            for i in range(count // 3 + 1)
        ],
        "licenses": [],
        "version": 3,
        "categories": [
            {"id": i, "name": f"c{i}", "synset": f"c{i}.n.01", "synonyms": ["a}, {b", "\u00e9"]}
            for i in range(4)
        ],
    }


def read(path):
    sections = {}
    for name, items in stream_sections(path):
        sections.setdefault(name, []).extend(items)
    return sections


def assert_equal(sections, content):
    assert set(sections) == {"annotations", "images", "categories", "licenses"}
    assert [(a.id, a.image_id, a.category_id, a.iscrowd) for a in sections["annotations"]] == [
        (a["id"], a["image_id"], a["category_id"], a["iscrowd"]) for a in content["annotations"]
    ]
    texts = [json.loads(bytes(a.segmentation)) for a in sections["annotations"]]
    assert texts == [a["segmentation"] for a in content["annotations"]]
    assert [
        (i.id, i.coco_url, list(i.not_exhaustive_category_ids)) for i in sections["images"]
    ] == [(i["id"], i["coco_url"], i["not_exhaustive_category_ids"]) for i in content["images"]]
    assert [(c.name, list(c.synonyms)) for c in sections["categories"]] == [
        (c["name"], c["synonyms"]) for c in content["categories"]
    ]


LAYOUTS = {
    "spaced": {},
    "compact": {"separators": (",", ":")},
    "indented": {"indent": 2},
    "escaped": {"ensure_ascii": True},
    "plain UTF-8": {"ensure_ascii": False},
}


@pytest.mark.parametrize("chunk", [64, 700, 1 << 20])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_as_with_json_loads(tmp_path, monkeypatch, layout, chunk):
    monkeypatch.setattr(coco_json, "CHUNK_BYTES", chunk)
    content = annotation_file()
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content, **LAYOUTS[layout]), encoding="utf-8")
    assert_equal(read(path), content)


@pytest.mark.parametrize("seed", range(6))
def test_keys_may_have_any_order(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(coco_json, "CHUNK_BYTES", 500)
    rng = random.Random(seed)
    content = annotation_file()
    shuffled = dict(rng.sample(sorted(content.items()), len(content)))
    for entry in (*content["annotations"], *content["images"]):
        items = rng.sample(sorted(entry.items()), len(entry))
        entry.clear()
        entry.update(items)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(shuffled))
    assert_equal(read(path), content)


def test_a_file_without_clean_cuts_is_read_element_by_element(tmp_path, monkeypatch):
    """Check the slow path: objects nested in annotations look like the ends of elements."""
    monkeypatch.setattr(coco_json, "CHUNK_BYTES", 300)
    monkeypatch.setattr(coco_json, "_WINDOW_LIMIT", 900)
    content = annotation_file()
    for entry in content["annotations"][25:]:
        entry["parts"] = [{"x": [{"y": 1}, {"y": 2}]}, {"x": []}] * 30
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    slow_calls = []
    monkeypatch.setattr(
        coco_json,
        "_stream_elements",
        lambda *a, real=coco_json._stream_elements: slow_calls.append(1) or real(*a),
    )
    sections = read(path)
    assert slow_calls
    assert [a.id for a in sections["annotations"]] == list(range(40))
    assert len(sections["images"]) == len(content["images"])


@pytest.mark.parametrize("kept_frac", [0.0, 0.001, 0.2, 0.5, 0.73, 0.9, 0.999])
def test_a_truncated_file_is_an_error(tmp_path, monkeypatch, kept_frac):
    monkeypatch.setattr(coco_json, "CHUNK_BYTES", 1000)
    text = json.dumps(annotation_file())
    path = tmp_path / "a.json"
    path.write_text(text[: int(len(text) * kept_frac)])
    with pytest.raises(DataError, match=r"truncated|without the array"):
        read(path)


def test_every_cut_of_a_small_file_is_an_error(tmp_path):
    text = json.dumps(annotation_file(3))
    path = tmp_path / "a.json"
    for size in range(0, len(text), 17):
        path.write_text(text[:size])
        with pytest.raises(DataError):
            read(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[1, 2]", "without the array"),
        ("7", "without the array"),
        ('{"a": 1}', "'annotations' 'images' 'categories'"),
        ('{"annotations": {}, "images": [], "categories": []}', "without the array 'annotations'"),
        ('{"annotations": [1], "images": [], "categories": []}', "another format"),
        ('{"annotations": [{"a": 1}], "images": [], "categories": []}', "another format"),
        ('{"annotations": [], "images": [{"id": "x"}], "categories": []}', "another format"),
        (
            f'{{"annotations": [{{"id": {2**70}, "image_id": 1, "category_id": 1}}]}}',
            "another format",
        ),
        ('{"images": [{"id": 1, "height": 0, "width": 9}]}', "another format"),
        ('{"images": [{"id": 1, "height": 9, "width": 99999999}]}', "another format"),
        ('{"annotations": [], "images": [], "categories": []} {', "damaged"),
        ("not json", "damaged"),
        ("\ufeff{}", "without the array"),
        ("\ufeff\ufeff{}", "damaged"),
        (
            '{"annotations": [], "images": [], "categories": [{"id": 1}]}',
            "categories[0]: Object missing",
        ),
        (
            '{"annotations": [{"id": 1, "image_id": "x"}]}',
            "annotations[0].image_id: Expected `int`",
        ),
    ],
)
def test_json_of_another_format_is_an_error(tmp_path, text, found):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(path)
    assert found in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_absent_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read(tmp_path / "none.json")


def test_empty_arrays_are_yielded(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"images": [ ], "annotations": [], "categories": []}')
    assert read(path) == {"images": [], "annotations": [], "categories": []}


def read_with_json(text):
    """Return the ids that `json.loads` finds; None for a file that must be refused.

    Bytes that are not UTF-8 are accepted: the reader skips unused fields without decoding them.
    """
    try:
        content = json.loads(text.decode("utf-8", "replace"))
        return {
            n: [e.get("id") for e in content[n]] for n in ("annotations", "images", "categories")
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@given(st.data())
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_byte_is_an_error_or_harmless(tmp_path, data):
    """Check that a file with changed bytes is refused or read as `json.loads` reads it."""
    text = json.dumps(annotation_file(6)).encode()
    at = data.draw(st.integers(0, len(text) - 1))
    size = data.draw(st.integers(0, 3))
    insert = data.draw(
        st.sampled_from([b"", b"}", b"{", b"]", b"[", b",", b'"', b"x", b"\xff", b"0"])
    )
    broken = text[:at] + insert + text[at + size :]
    path = tmp_path / "a.json"
    path.write_bytes(broken)
    try:
        sections = read(path)
    except DataError:
        return
    found = {n: [e.id for e in sections[n]] for n in ("annotations", "images", "categories")}
    expected = read_with_json(broken)
    if expected is None:  # an element that is not an object
        return
    assert len(found["annotations"]) == len(expected["annotations"])
    for ours, theirs in zip(found["annotations"], expected["annotations"], strict=True):
        assert ours < 0 or ours == theirs
    assert found["categories"] == expected["categories"]
    in_order = iter(expected["images"])
    assert all(one in in_order for one in found["images"])


def test_nesting_without_end_is_an_error(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"info": ' + "[" * 200_000)
    with pytest.raises(DataError):
        read(path)


ODD_ENTRIES = [
    {"area": float("nan")},
    {"bbox": []},
    {"bbox": None, "area": None},
    {"bbox": [float("inf")] * 4},
    {"iscrowd": None},
    {"attributes": {"a": [{"b": "NaN }, {"}]}},
]


@pytest.mark.parametrize("chunk", [64, 1 << 20])
@pytest.mark.parametrize("change", ODD_ENTRIES)
def test_fields_that_are_not_used_may_hold_anything(tmp_path, monkeypatch, change, chunk):
    monkeypatch.setattr(coco_json, "CHUNK_BYTES", chunk)
    content = annotation_file(12)
    content["annotations"][7].update(change)
    for image in content["images"]:
        image.update(license=None, coco_url=None, flickr_url=None, date_captured=None)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    sections = read(path)
    assert [a.id for a in sections["annotations"]] == list(range(12))
    assert json.loads(bytes(sections["annotations"][7].segmentation)) == SEGMENTATIONS[2]
    assert len(sections["images"]) == 5


@pytest.mark.parametrize("chunk", [64, 1 << 20])
@pytest.mark.parametrize(
    ("change", "category"),
    [
        ({"id": "x"}, 3),
        ({"id": float("nan")}, 3),
        ({"image_id": None}, 3),
        ({"image_id": -4}, 3),
        ({"category_id": None}, -1),
        ({"iscrowd": "no"}, 3),
    ],
)
def test_an_invalid_annotation_is_a_placeholder(tmp_path, monkeypatch, change, category, chunk):
    monkeypatch.setattr(coco_json, "CHUNK_BYTES", chunk)
    content = annotation_file(12)
    content["annotations"][7].update(change)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    annotations = read(path)["annotations"]
    assert [a.id for a in annotations] == [*range(7), -8, *range(8, 12)]
    assert annotations[7].category_id == category
