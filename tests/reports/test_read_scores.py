"""Reading score rows: what is whole is read, what is damaged or mixed is refused with its place."""

import pandas as pd
import pytest

from avsynth.reports.read_scores import groups, read_scores
from avsynth.runtime.errors import DataError
from tests.helpers.score_rows import audio_rows, localisation_rows, put, score_rows, write_scores


def test_every_stage_is_read_and_the_audio_test_apart(tmp_path):
    write_scores(tmp_path)
    scores = read_scores(tmp_path)
    assert set(scores.rows["stage"]) == {"test", "zeroshot", "fewshot", "v3_base", "v3_shots"}
    assert set(scores.audio_test["audio"]) == {"own", "silence", "noise", "other"}
    written = sum(len(pd.read_csv(path)) for path in tmp_path.rglob("*.csv"))
    assert len(scores.rows) + len(scores.audio_test) == written


def test_no_folder_is_no_rows(tmp_path):
    scores = read_scores(tmp_path / "absent")
    assert scores.rows.empty
    assert scores.audio_test.empty


def test_groups_are_single_runs_with_20_before_100_percent(tmp_path):
    write_scores(tmp_path, models=("save",))
    rows = read_scores(tmp_path).rows
    few = rows[rows["stage"] == "fewshot"]
    shares = [(run["real_percent"], run["run"].split("-")[-1]) for run, _ in groups(few)]
    assert shares == [(p, w) for p in (0, 10, 20, 30, 100) for w in ("without", "with")]
    assert all(not group["key"].duplicated().any() for _, group in groups(rows))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"protocol": "sama"}, "one protocol"), ({"version": "v1s-mine"}, "one version")],
)
def test_two_protocols_or_versions_are_refused_unless_asked(tmp_path, change, named):
    put(tmp_path, "zeroshot", score_rows(run="a"))
    put(tmp_path, "fewshot", score_rows(run="b", **change))
    with pytest.raises(DataError, match=named) as raised:
        read_scores(tmp_path)
    assert "benchmark s4" in str(raised.value)
    assert "report.mix=true" in raised.value.fix
    assert len(list(groups(read_scores(tmp_path, mix=True).rows))) == 2


def test_different_benchmarks_may_have_different_versions(tmp_path):
    put(tmp_path, "zeroshot", score_rows(run="a"))
    put(tmp_path, "zeroshot", score_rows(run="b", benchmark="ms3", version="v1m"))
    assert read_scores(tmp_path).rows["benchmark"].nunique() == 2


def test_damaged_rows_are_named(tmp_path):
    rows = score_rows(run="a")
    path = put(tmp_path, "zeroshot", rows.drop(columns="histogram"))
    with pytest.raises(DataError, match="no histogram"):
        read_scores(tmp_path)
    put(tmp_path, "zeroshot", rows.astype({"iou": object}).assign(iou=["x", *rows.iou[1:]]))
    with pytest.raises(DataError, match="'x' in column iou, key 'bird-0000-0'"):
        read_scores(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"zeroshot/a\.csv"):
        read_scores(tmp_path)


def test_unknown_audio_is_refused(tmp_path):
    put(tmp_path, "audio-test", audio_rows(run="a").replace({"audio": {"noise": "music"}}))
    with pytest.raises(DataError, match="'music'"):
        read_scores(tmp_path)


def test_localisation_lies_beside_frames_and_is_read_apart(tmp_path):
    put(tmp_path, "zeroshot", score_rows(run="a"))
    path = put(tmp_path, "zeroshot", localisation_rows(run="a-flickr"))
    scores = read_scores(tmp_path)
    assert set(scores.rows["benchmark"]) == {"s4"}
    assert scores.localisation["ciou"].mean() == pytest.approx(0.5)
    assert [run["run"] for run, _ in groups(scores.localisation)] == ["a-flickr"]
    put(tmp_path, "zeroshot", localisation_rows(run="a-flickr").drop(columns="piap"))
    with pytest.raises(DataError, match="no piap"):
        read_scores(tmp_path)
    put(tmp_path, "zeroshot", localisation_rows(run="a-flickr").assign(ciou="nan"))
    with pytest.raises(DataError, match="'nan' in column ciou"):
        read_scores(tmp_path)
    localisation_rows(run="b").assign(version="mine").to_csv(path, index=False)
    put(tmp_path, "zeroshot", localisation_rows(run="b-flickr"))
    with pytest.raises(DataError, match="one version"):
        read_scores(tmp_path)


def test_a_file_holds_one_run(tmp_path):
    rows = pd.concat([score_rows(run="a"), score_rows(run="a", real_percent=10, trained_on="s4")])
    put(tmp_path, "fewshot", rows)
    with pytest.raises(
        DataError, match=r"fewshot/a\.csv: expected rows of one trained_on"
    ) as raised:
        read_scores(tmp_path)
    assert "a file of its own" in raised.value.fix


def test_the_name_of_a_file_is_the_name_of_its_run(tmp_path):
    put(tmp_path, "zeroshot", score_rows(run="a")).rename(tmp_path / "zeroshot" / "renamed.csv")
    assert set(read_scores(tmp_path).rows["run"]) == {"renamed"}
