"""Reading score rows: what is whole is read, what is damaged or mixed is refused with its place."""

import pandas as pd
import pytest

from avsynth.reports.read_scores import groups, read_scores
from avsynth.runtime.errors import DataError
from tests.helpers.score_rows import localisation_rows, score_rows, sound_rows, write_scores


def put(folder, stage, run, rows):
    path = folder / stage / f"{run}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
    return path


def test_every_stage_is_read_and_the_audio_test_apart(tmp_path):
    write_scores(tmp_path)
    scores = read_scores(tmp_path)
    assert set(scores.rows["stage"]) == {"test", "zeroshot", "fewshot", "v3_shots"}
    assert set(scores.sounds["sound"]) == {"own", "silence", "noise", "other"}
    written = sum(len(pd.read_csv(path)) for path in tmp_path.rglob("*.csv"))
    assert len(scores.rows) + len(scores.sounds) == written


def test_no_folder_is_no_rows(tmp_path):
    scores = read_scores(tmp_path / "absent")
    assert scores.rows.empty
    assert scores.sounds.empty


def test_groups_are_single_runs_with_20_before_100_percent(tmp_path):
    write_scores(tmp_path, models=("save",))
    rows = read_scores(tmp_path).rows
    settings = [run["setting"] for run, _ in groups(rows[rows["stage"] == "fewshot"])]
    assert settings == [f"{p}% real, {w} P.T." for p in (0, 10, 20, 30, 100) for w in ("w/", "w/o")]
    assert all(not group["key"].duplicated().any() for _, group in groups(rows))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"protocol": "sama"}, "one protocol"), ({"version": "v1s-mine"}, "one version")],
)
def test_two_protocols_or_versions_are_refused_unless_asked(tmp_path, change, named):
    put(tmp_path, "zeroshot", "a", score_rows(run="a"))
    put(tmp_path, "fewshot", "b", score_rows(run="b", stage="fewshot", **change))
    with pytest.raises(DataError, match=named) as raised:
        read_scores(tmp_path)
    assert "benchmark s4" in str(raised.value)
    assert "report.mix=true" in raised.value.fix
    assert len(list(groups(read_scores(tmp_path, mix=True).rows))) == 2


def test_different_benchmarks_may_have_different_versions(tmp_path):
    put(tmp_path, "zeroshot", "a", score_rows(run="a"))
    put(tmp_path, "zeroshot", "b", score_rows(run="b", benchmark="ms3", version="v1m"))
    assert read_scores(tmp_path).rows["benchmark"].nunique() == 2


def test_damaged_rows_are_named(tmp_path):
    rows = score_rows(run="a")
    path = put(tmp_path, "zeroshot", "a", rows.drop(columns="histogram"))
    with pytest.raises(DataError, match="no histogram"):
        read_scores(tmp_path)
    put(tmp_path, "zeroshot", "a", rows.astype({"iou": object}).assign(iou=["x", *rows.iou[1:]]))
    with pytest.raises(DataError, match="'x' in column iou, key 'bird-0000-0'"):
        read_scores(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"zeroshot/a\.csv"):
        read_scores(tmp_path)


def test_an_unknown_sound_is_refused(tmp_path):
    put(tmp_path, "audio-test", "a", sound_rows(run="a").replace({"sound": {"noise": "music"}}))
    with pytest.raises(DataError, match="'music'"):
        read_scores(tmp_path)


def test_localisation_lies_beside_frames_and_is_read_apart(tmp_path):
    put(tmp_path, "zeroshot", "a", score_rows(run="a"))
    path = put(tmp_path, "zeroshot", "a-flickr", localisation_rows(run="a"))
    scores = read_scores(tmp_path)
    assert set(scores.rows["benchmark"]) == {"s4"}
    assert scores.localisation["ciou"].mean() == pytest.approx(0.5)
    assert set(scores.localisation["name"]) == {"a-flickr"}
    assert [run["run"] for run, _ in groups(scores.localisation)] == ["a"]
    put(tmp_path, "zeroshot", "a-flickr", localisation_rows(run="a").drop(columns="piap"))
    with pytest.raises(DataError, match="no piap"):
        read_scores(tmp_path)
    put(tmp_path, "zeroshot", "a-flickr", localisation_rows(run="a").assign(ciou="nan"))
    with pytest.raises(DataError, match="'nan' in column ciou"):
        read_scores(tmp_path)
    localisation_rows(run="b").assign(version="mine").to_csv(path, index=False)
    put(tmp_path, "zeroshot", "b-flickr", localisation_rows(run="c"))
    with pytest.raises(DataError, match="one version"):
        read_scores(tmp_path)
