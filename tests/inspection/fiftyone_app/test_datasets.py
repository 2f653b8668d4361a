"""Datasets in FiftyOne: their content, and how they grow without losing a tag."""

import io
import json
import warnings
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from avsynth.building.reviews import read_reviews
from avsynth.commands.inspect import InspectOptions, inspect, pull
from avsynth.core.params.load import load_params
from avsynth.core.records import Sample
from avsynth.formats.shards import ShardReader, write_index, write_shard
from avsynth.inspection.fiftyone_app.datasets import sync_dataset, tags_by_key
from avsynth.inspection.fiftyone_app.duplicates import (
    EXACT,
    LEAKY,
    NEAR,
    SIMILARITY,
    find_duplicates,
)
from avsynth.inspection.fiftyone_app.samples import Selection, select_rows
from avsynth.inspection.fiftyone_app.scores import scored_runs
from avsynth.inspection.fiftyone_app.views import add_scores, save_selection, save_views
from avsynth.pipelines.exclusions import exclusions
from avsynth.pipelines.match import match
from avsynth.runtime.errors import ConfigError, DataError
from avsynth.runtime.options import Runtime
from tests.helpers.score_rows import few_shot_facts, put, score_rows, scored_project

pytestmark = [
    pytest.mark.fiftyone,
    pytest.mark.slow,
    pytest.mark.xdist_group("fiftyone"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
NAME = "avs-synthetic"


def image_sample(dataset, key):
    from fiftyone import ViewField

    return dataset.select_group_slices("image").match(ViewField("key") == key).first()


def shape(document):
    """Return the names and types of a document's values."""
    if isinstance(document, dict):
        return {name: shape(value) for name, value in document.items()}
    if isinstance(document, list):
        return [shape(value) for value in document]
    return type(document)


def test_documents_inserted_in_bulk_equal_those_of_fiftyone(fiftyone, project, tmp_path):
    rows = select_rows(project, NAME, Selection(max=1), Runtime())
    dataset = sync_dataset(NAME, rows, tmp_path)
    ours = list(dataset._sample_collection.find())
    again = fiftyone.Dataset("theirs")
    again.add_group_field("group", default="image")
    dataset.group_slice = "image"
    for part in dataset.group_slices:
        dataset.group_slice = part
        sample = next(iter(dataset)).copy()
        sample["group"] = fiftyone.Group(name=part)
        again.add_sample(sample)
    theirs = list(again._sample_collection.find())
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        filled = {name: value for name, value in other.items() if value is not None}
        assert shape(one) == shape(filled)
        assert one["metadata"] == {k: v for k, v in other["metadata"].items() if v is not None}
        assert one["filepath"] == other["filepath"]


def test_a_dataset_grows_and_keeps_its_tags(fiftyone, project, tmp_path):
    few = select_rows(project, NAME, Selection(max=3), Runtime())
    more = select_rows(project, NAME, Selection(max=8), Runtime())
    dataset = sync_dataset(NAME, few, tmp_path)
    assert dataset.count() == 3
    sample = image_sample(dataset, few["key"][0])
    sample.tags.append("bad mask")
    sample.save()
    dataset = sync_dataset(NAME, more, tmp_path)
    assert dataset.count() == 8
    assert image_sample(dataset, few["key"][0]).id == sample.id
    assert dataset.count_sample_tags() == {"bad mask": 1}
    view = save_selection(dataset, Selection(max=3), list(few["key"]))
    assert set(dataset.load_saved_view(view).values("key")) == set(few["key"])


def test_samples_of_rewritten_shards_are_replaced_with_their_tags(fiftyone, project, tmp_path):
    rows = select_rows(project, NAME, Selection(max=4), Runtime())
    dataset = sync_dataset(NAME, rows, tmp_path)
    key = rows["key"][1]
    sample = image_sample(dataset, key)
    sample.tags.append("bad sound")
    sample["truth"].detections[0].tags.append("bad mask")
    sample.save()
    rewritten = rows.assign(tar="f" * 16)
    dataset = sync_dataset(NAME, rewritten, tmp_path)
    assert dataset.count() == 4
    assert dataset.distinct("tar") == ["f" * 16]
    assert len(list(dataset._sample_collection.find())) == 12
    assert tags_by_key(dataset)[key][:2] == (["bad sound"], ["bad mask"])


def test_scores_become_fields_and_views(fiftyone, built, tmp_path):
    layout = scored_project(built, tmp_path / "scored")
    keys = ShardReader(layout.shards(NAME), "test").keys
    names = [(key, key.rsplit("-", 1)[0], 0) for key in keys]
    for run, facts, skill in (
        ("save-synthetic", {}, 0.5),
        ("save-real", few_shot_facts(100, pretrained=False), 0.8),
    ):
        put(layout.scores, "zeroshot", score_rows(
            run=run, model="save", benchmark="synthetic", keys=names, version="build",
            skill=skill, input_size=32, **facts))  # fmt: skip
    dataset = sync_dataset(NAME, select_rows(layout, NAME, Selection(), Runtime()), tmp_path)
    runs = scored_runs(layout, NAME, set(dataset.distinct("key")))
    add_scores(dataset, runs)
    save_views(dataset, runs, -50.0)
    table = pd.read_csv(layout.scores / "test" / "save.csv").set_index("key")
    sample = image_sample(dataset, keys[0])
    assert sample["iou_test_save"] == pytest.approx(table.loc[keys[0], "iou"])
    assert sample["f_test_save"] == pytest.approx(table.loc[keys[0], "fscore"])
    worst = dataset.load_saved_view("worst of test save").values("iou_test_save")
    assert worst == sorted(worst)
    assert worst[0] == pytest.approx(table["iou"].min())
    gap = dataset.load_saved_view("biggest gap synthetic-real").first()
    assert gap["gap_synthetic_real"] == pytest.approx(
        gap["iou_zeroshot_save_real"] - gap["iou_zeroshot_save_synthetic"]
    )
    disagreements = dataset.load_saved_view("models disagree").values("disagreement")
    assert disagreements == sorted(disagreements, reverse=True)
    stored = dataset.exists("predicted_test_save").count()
    assert stored == len(list((layout.predictions / "test" / "save").glob("*.png"))) > 0
    (layout.scores / "test" / "save.csv").unlink()
    add_scores(dataset, scored_runs(layout, NAME, set(dataset.distinct("key"))))
    assert not dataset.has_sample_field("iou_test_save")
    assert dataset.has_sample_field("iou_test_sama_avs")


def test_views_of_tiny_masks_quiet_clips_and_tags(fiftyone, project, tmp_path):
    rows = select_rows(project, NAME, Selection(), Runtime())
    dataset = sync_dataset(NAME, rows, tmp_path)
    sample = image_sample(dataset, rows["key"][3])
    sample["truth"].detections[0].tags.append("bad mask")
    sample.save()
    save_views(dataset, [], quiet_db=-20.0)
    tiny = dataset.load_saved_view("tiny masks").values("key")
    assert set(tiny) == set(rows.loc[rows["area_frac"] < 0.01, "key"])
    quiet = dataset.load_saved_view("quiet clips").values("key")
    assert set(quiet) == set(rows.loc[rows["loudness_db"] < -20.0, "key"])
    assert quiet
    assert dataset.load_saved_view("tagged").values("key") == [rows["key"][3]]


def write_planted(folder: Path, source: ShardReader) -> list[str]:
    """Write shards of 12 images, a copy of one and a relit, recompressed one, across splits."""

    def sample(key, number, content=None):
        parts = source.parts(keys[number])
        name = next(n for n in parts if n.startswith("image."))
        meta = json.loads(parts["meta.json"]) | {"image_id": key, "mask_id": key}
        return Sample(key, content or parts[name], name.split(".")[1], parts["mask.png"],
                      parts["audio.flac"], parts["logmel.npy"], meta)  # fmt: skip

    seen, keys = set(), []
    for key in source.keys:
        image = source.meta(key)["image_id"]
        if image not in seen:
            seen.add(image)
            keys.append(key)
    first = source.parts(keys[1])
    content = next(c for n, c in first.items() if n.startswith("image."))
    buffer = io.BytesIO()
    relit = ImageEnhance.Brightness(Image.open(io.BytesIO(content)).convert("RGB")).enhance(0.8)
    relit.resize((300, 200)).save(buffer, "JPEG", quality=40)
    train = [sample(f"dog-{i:010d}", i) for i in range(12)]
    test = [sample("dog-a000000000", 0), sample("dog-b000000000", 1, buffer.getvalue())]
    shards = [write_shard(folder / "train-00000.tar", "train", train),
              write_shard(folder / "test-00000.tar", "test", test)]  # fmt: skip
    write_index(folder, "planted", shards)
    return ["dog-0000000000", "dog-0000000001", "dog-a000000000", "dog-b000000000"]


def test_exactly_the_planted_duplicates_and_leaks_are_found(fiftyone, project, tmp_path):
    suspects = write_planted(project.shards("planted"), ShardReader(project.shards(NAME)))
    rows = select_rows(project, "planted", Selection(), Runtime())
    dataset = sync_dataset("planted", rows, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = find_duplicates(dataset, ShardReader(project.shards("planted")), rows)
    assert found == {EXACT: 2, NEAR: 4, LEAKY: 4}
    for name in (NEAR, LEAKY):
        assert set(dataset.load_saved_view(name).values("key")) == set(suspects)
    assert set(dataset.load_saved_view(EXACT).values("key")) == {suspects[0], suspects[2]}
    images = dataset.select_group_slices("image")
    nearest = images.sort_by_similarity(
        image_sample(dataset, suspects[1]).id, k=2, brain_key=SIMILARITY
    )
    assert nearest.values("key") == [suspects[1], suspects[3]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert find_duplicates(dataset, ShardReader(project.shards("planted")), rows) == found


def test_frames_of_a_video_are_not_duplicates(fiftyone, project, tmp_path):
    write_planted(project.shards("planted"), ShardReader(project.shards(NAME)))
    rows = select_rows(project, "planted", Selection(), Runtime()).assign(image_id="")
    videos = rows.assign(clip_key=["a", "b", "a", "b", *rows["key"][4:]])  # the test shard is first
    dataset = sync_dataset("planted", videos, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = ShardReader(project.shards("planted"))
        assert find_duplicates(dataset, reader, videos) == {EXACT: 0, NEAR: 0, LEAKY: 0}
        assert find_duplicates(dataset, reader, rows.assign(clip_key=rows["key"]))[EXACT] == 2


def export_samples(project, dataset=NAME, out=None, **selection):
    """Run `avsynth inspect`, which serves only without ``out``; return its lines."""
    params = load_params(project.root)
    lines: list[str] = []
    options = InspectOptions(dataset, Selection(**selection), export=out)
    inspect(options, params, project, Runtime(cache_dir=project.root / "cache"), lines.append)
    return lines


def test_dropped_items_are_shown_with_their_reasons(fiftyone, project, tmp_path):
    export_samples(project, "dropped", tmp_path / "out", max=10_000)
    dataset = fiftyone.load_dataset("dropped")
    shown = Counter(zip(dataset.values("item"), dataset.values("reason"), strict=True))
    expected: Counter[tuple[str, str]] = Counter()
    for stage in ("masks", "audio", "match"):
        for path in (project.root / "reports" / "funnel").rglob("*.csv"):
            if stage in (path.stem, path.parent.name):
                _count(expected, path)
    assert shown == expected
    assert len(shown) >= 4
    sample = dataset.first()
    assert sample["key"] == f"{sample['item']}/{sample['source']}/{sample['source_id']}"
    for view in dataset.list_saved_views():
        assert dataset.load_saved_view(view).count() > 0
    readable = [bool(text) for text in dataset.values("unreadable")]
    missing = [reason == "missing_file" for reason in dataset.values("reason")]
    assert readable == missing


def _count(expected, path):
    rows = pd.read_csv(path, keep_default_na=False)
    dropped = rows[(rows["status"] == "dropped") & rows["kind"].isin(["mask", "clip"])]
    for kind, reason, count in zip(
        dropped["kind"], dropped["reason"], dropped["count"], strict=True
    ):
        expected[kind, reason] += count


def test_a_tag_in_the_app_becomes_a_drop_of_match(fiftyone, project, tmp_path):
    export_samples(project, out=tmp_path / "out", max=6)
    dataset = fiftyone.load_dataset(NAME)
    masks = image_sample(dataset, dataset.first()["key"])
    masks["truth"].detections[0].tags.append("bad mask")
    masks.save()
    last = dataset.select_group_slices("preview").last()
    last.tags = ["Bad_Sound", "funny"]
    last.save()
    params = load_params(project.root)
    path, lines = pull(NAME, None, params, project)
    assert path == project.root / "reviews.csv"
    assert lines == ["2 reviews of 6 samples, 2 in all", "ignored tags, not verdicts: 'funny' (1)"]
    by_verdict = {review.verdict: review for review in read_reviews(path)}
    assert by_verdict["bad_mask"].id == masks["mask_id"]
    assert by_verdict["bad_sound"].key == last["key"]
    before = path.read_bytes()
    assert pull(NAME, None, params, project)[0].read_bytes() == before

    exclusions(params, project, Runtime())
    funnel = match(params, project, Runtime())
    dropped = funnel[funnel["reason"].str.startswith("review_") & (funnel["kind"] != "triplet")]
    counts = dropped.groupby("reason")["count"].sum()
    assert counts.to_dict() == {"review_bad_mask": 1, "review_bad_sound": 1}
    triplets = pd.read_csv(project.triplets_csv, dtype=str)
    assert by_verdict["bad_sound"].id not in set(triplets["clip_id"])
    mask = triplets[triplets["mask_id"] == by_verdict["bad_mask"].id]
    assert mask["reason"].tolist() == ["review_bad_mask"]

    masks["truth"].detections[0].tags = []
    masks.save()
    pull(NAME, None, params, project)
    assert [review.verdict for review in read_reviews(path)] == ["bad_sound"]


def test_an_export_is_reviewed_elsewhere_and_pulled_back(fiftyone, project, tmp_path):
    out = tmp_path / "out"
    assert export_samples(project, out=out, max=3) == [f"wrote {out}"]
    content = json.loads((out / "samples.json").read_bytes())
    assert len(content["samples"]) == 9
    for sample in content["samples"]:
        assert (out / sample["filepath"]).is_file()
        for mask in sample.get("truth", {}).get("detections", ()):
            assert (out / mask["mask_path"]).is_file()

    back = fiftyone.Dataset.from_dir(str(out), dataset_type=fiftyone.types.FiftyOneDataset)
    sample = back.select_group_slices("image").first()
    key = sample["key"]
    sample["truth"].detections[0].label = "wolf"
    sample.save()
    edited = tmp_path / "edited"
    back.export(str(edited), dataset_type=fiftyone.types.FiftyOneDataset, export_media=False)
    path, _ = pull(NAME, edited, load_params(project.root), project)
    (review,) = read_reviews(path)
    assert (review.key, review.verdict, review.label) == (key, "wrong_category", "wolf")
    with pytest.raises(DataError, match="new or empty folder"):
        export_samples(project, out=out, max=3)


def test_dropped_items_have_no_duplicates_and_no_reviews(project):
    params = load_params(project.root)
    options = InspectOptions("dropped", Selection(), brain=True)
    with pytest.raises(ConfigError, match="--brain"):
        inspect(options, params, project, Runtime(), print)
    with pytest.raises(ConfigError, match="--dataset"):
        pull("dropped", None, params, project)


def test_pulling_an_unopened_dataset_or_a_wrong_export_is_refused(fiftyone, project, tmp_path):
    params = load_params(project.root)
    with pytest.raises(DataError, match="avsynth inspect"):
        pull("s4", None, params, project)
    with pytest.raises(DataError, match=r"samples\.json.*no such file"):
        pull(NAME, tmp_path, params, project)
    (tmp_path / "samples.json").write_text('{"samples": [{"no": "key"}]}')
    with pytest.raises(DataError, match="samples with a key"):
        pull(NAME, tmp_path, params, project)
    assert read_reviews(project.root / "reviews.csv") == []
