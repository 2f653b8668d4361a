import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsynth.building.reviews import (
    COLUMNS,
    VERDICTS,
    Review,
    drop_reasons,
    merge_reviews,
    read_reviews,
    reviews_of,
    write_reviews,
)
from avsynth.runtime.errors import DataError

HEADER = ",".join(COLUMNS) + "\n"
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
verdicts = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
reviews = st.builds(
    Review, st.sampled_from(["mask", "clip"]), texts, texts.filter(bool), verdicts, *[texts] * 4
)


def document(key="dog-1", part="image", tags=(), mask_tags=(), label="dog", masks=1, **fields):
    facts = {
        "key": key, "category": "dog", "mask_source": "lvis", "mask_id": "7",
        "clip_source": "vggsound", "clip_id": "abc_000010", "tags": list(tags),
    }  # fmt: skip
    if part == "image":
        one = {"label": label, "tags": list(mask_tags)}
        facts["truth"] = {"detections": [one] * masks}
    return facts | fields


@given(st.lists(reviews, max_size=6))
def test_what_is_written_is_read(tmp_path_factory, listed):
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    write_reviews(path, listed)
    assert read_reviews(path) == sorted(set(listed))


def test_an_absent_list_is_empty(tmp_path: Path):
    assert read_reviews(tmp_path / "reviews.csv") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "an empty file"),
        ("mask,id\n", "mask,id"),
        (HEADER + "picture,lvis,7,bad_mask,,,,\n", r"reviews\.csv:2.*picture"),
        (HEADER + "mask,lvis,,bad_mask,,,,\n", r"reviews\.csv:2"),
        (HEADER + "mask,lvis,7,,,,,\n", r"reviews\.csv:2"),
        (HEADER + "mask,lvis,7,bad mask,,,,\n", r"reviews\.csv:2.*bad mask"),
        (HEADER + "mask,lvis,7\n", r"reviews\.csv:2"),
        ("\xff\xfe".encode("latin-1"), "csv"),
    ],
)
def test_a_damaged_list_is_refused_with_its_line(tmp_path: Path, content, message):
    path = tmp_path / "reviews.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        read_reviews(path)


def test_a_reason_for_each_thing_and_for_each_part_of_a_union():
    listed = [
        Review("mask", "lvis", "7+8", "bad_mask"),
        Review("clip", "folder", "a+b", "bad_sound"),
        Review("mask", "lvis", "8", "wrong_category"),
    ]
    assert drop_reasons(listed) == {
        ("mask", "lvis", "7"): "review_bad_mask",
        ("mask", "lvis", "8"): "review_bad_mask",
        ("clip", "folder", "a+b"): "review_bad_sound",
    }


@pytest.mark.parametrize("tag", ["bad mask", "Bad Mask", "bad_mask", " bad-mask "])
def test_a_tag_on_the_picture_or_its_mask_is_a_verdict(tag):
    for where in ({"tags": [tag]}, {"mask_tags": [tag]}):
        pulled = reviews_of("d", [document(**where)])
        assert pulled.reviews == [Review("mask", "lvis", "7", "bad_mask", "dog", "", "d", "dog-1")]
        assert not pulled.other_tags


def test_a_tag_on_the_spectrogram_or_the_preview_counts_whatever_the_order():
    parts = [document(part="preview", tags=["bad sound"]), document(), document(part="spectrogram")]
    expected = [Review("clip", "vggsound", "abc_000010", "bad_sound", "dog", "", "d", "dog-1")]
    assert reviews_of("d", parts).reviews == expected
    assert reviews_of("d", parts[::-1]).reviews == expected


def test_a_new_label_and_a_deleted_mask_are_verdicts():
    relabelled = reviews_of("d", [document(label="wolf")]).reviews
    assert relabelled == [
        Review("mask", "lvis", "7", "wrong_category", "dog", "wolf", "d", "dog-1")
    ]
    deleted = reviews_of("d", [document(masks=0)]).reviews
    assert [review.verdict for review in deleted] == ["bad_mask"]


def test_other_tags_are_counted_and_left_alone():
    pulled = reviews_of(
        "d", [document(tags=["nice"]), document("dog-2", tags=["nice", "bad image"])]
    )
    assert pulled.other_tags == {"nice": 2}
    assert [(r.key, r.verdict) for r in pulled.reviews] == [("dog-2", "bad_image")]
    assert pulled.seen == {"dog-1", "dog-2"}


def test_a_tag_taken_back_takes_the_review_back_and_leaves_the_others():
    by_hand = Review("mask", "coco", "9", "ugly")
    elsewhere = Review("mask", "lvis", "7", "bad_mask", dataset="s4", key="dog-1")
    unseen = Review("mask", "lvis", "5", "bad_mask", dataset="d", key="dog-9")
    before = reviews_of("d", [document(tags=["bad mask"])]).reviews
    after = merge_reviews([by_hand, elsewhere, unseen, *before], "d", reviews_of("d", [document()]))
    assert after == [by_hand, elsewhere, unseen]


def test_every_verdict_condemns_a_mask_or_a_clip():
    assert set(VERDICTS.values()) == {"mask", "clip"}
    tags = list(VERDICTS)
    pulled = reviews_of("d", json.load(io.StringIO(json.dumps([document(tags=tags)]))))
    assert {r.verdict.replace("_", " ") for r in pulled.reviews} == set(tags)


def test_a_sample_of_a_benchmark_is_named_by_its_key(tmp_path: Path):
    seen = document(tags=["bad mask"], mask_source="", mask_id="")
    (review,) = reviews_of("s4", [seen]).reviews
    assert (review.source, review.id) == ("s4", "dog-1")
    write_reviews(tmp_path / "reviews.csv", [review])
    assert read_reviews(tmp_path / "reviews.csv") == [review]
