import os
from pathlib import Path

import pytest

from avsynth.building.exclusions import (
    Excluded,
    exclusion_rows,
    read_exclusions,
    split_exclusions,
    video_of,
)
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.core.tables import read_table, write_table
from avsynth.pipelines.exclusions import exclusions
from avsynth.runtime.errors import ConfigError, DataError
from avsynth.runtime.options import Runtime


def test_only_evaluation_rows_of_every_layout_are_banned(tmp_path: Path):
    files = {
        "s4.csv": "name,start,category,split\nAAAAAAAAAAA,0,dog,train\nBBBBBBBBBBB,0,dog,test\n",
        "ms3.csv": "video_id,split\nCCCCCCCCCCC_1,val\nDDDDDDDDDDD_2,train\n",
        "avss.csv": "vid,uid,s_min,s_sec,a_obj,split,label\nEEEEEEEEEEE,E_0_1,0,0,dog,test,v2\n",
        "v3/unseen.csv": "vid,uid,s_min,s_sec,a_obj,split,label\n"
        "FFFFFFFFFFF,F_0_1,0,0,tiger,unseen,v2\nGGGGGGGGGGG,G_0_1,0,0,dog,seen_train,v2\n",
        "ids.txt": "HHHHHHHHHHH\nIIIIIIIIIII_000030\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    patterns = ("s4.csv", "ms3.csv", "avss.csv", "v3/**/*.csv", "ids.txt", "absent.csv")
    lists = {e.path: e for e in read_exclusions(tmp_path, patterns)}
    assert {path: sorted(v[0] for v in e.videos) for path, e in lists.items()} == {
        "s4.csv": ["B"],
        "ms3.csv": ["C"],
        "avss.csv": ["E"],
        "v3/unseen.csv": ["F"],
        "ids.txt": ["H", "I"],
        "absent.csv": [],
    }
    assert not lists["absent.csv"].found


def test_a_clip_name_is_reduced_to_its_video():
    assert video_of("xv7eM6-UmkY_36") == "xv7eM6-UmkY"
    assert video_of("-_wznbUu3DY") == "-_wznbUu3DY"
    assert video_of("_-apT0tfo6U_16000_26000") == "_-apT0tfo6U"
    assert video_of("1234") == "1234"


def test_a_file_that_is_no_text_says_so(tmp_path: Path):
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00\x01" * 9)
    with pytest.raises(DataError, match=r"list\.csv.*exclude_videos"):
        read_exclusions(tmp_path, ("list.csv",))


def test_most_s4_test_videos_are_in_vggsound(realdata: Path):
    s4 = read_exclusions(realdata, ("avsbench/metadata/s4_meta_data.csv",))[0]
    assert len(s4.videos) == 740 * 2
    vggsound = {
        line[:11] for line in (realdata / "vggsound" / "vggsound.csv").read_text().splitlines()
    }
    test_rows = [
        line.split(",")[0]
        for line in (realdata / "avsbench/metadata/s4_meta_data.csv").read_text().splitlines()
        if line.endswith(",test")
    ]
    assert len(vggsound & set(test_rows)) == 572


def test_the_table_of_exclusions_gives_back_lists_and_reviews(tmp_path: Path):
    (tmp_path / "ids.txt").write_text("HHHHHHHHHHH\nIIIIIIIIIII_000030\n")
    (tmp_path / "empty.csv").write_text("name,split\n")
    lists = read_exclusions(tmp_path, ("ids.txt", "*.txt", "empty.csv", "absent.csv"))
    reviewed = {("mask", "lvis", "7"): "review_bad_mask", ("clip", "folder", "a"): "review_x"}
    rows = exclusion_rows(lists, reviewed)
    write_table(tmp_path / "x.csv", Excluded, rows, key=("item", "source", "id"))
    back, items = split_exclusions(read_table(tmp_path / "x.csv", Excluded))
    assert items == reviewed
    assert {e.path: (e.found, len(e.videos)) for e in back} == {
        "ids.txt": (True, 2), "empty.csv": (True, 0), "absent.csv": (False, 0),
    }  # fmt: skip


def test_the_stage_lists_reviews_wherever_they_lie(toy_project: Path):
    (toy_project / "mine.csv").write_text(
        "item,source,id,verdict,category,label,dataset,key\nmask,lvis,12,bad_mask,,,,\n"
    )
    layout = Layout(toy_project)
    for named, count in (("mine.csv", 1), ("null", 0), ("absent.csv", 0)):
        exclusions(load_params(toy_project, [f"match.reviews={named}"]), layout, Runtime())
        table = read_table(layout.exclusions_csv, Excluded)
        assert (table["item"] == "mask").sum() == count
        assert (table["item"] == "video").sum() > 20


@pytest.mark.parametrize(
    "pattern", ["", "/", ".", "./", "//", "a**b", "data/a**/b.csv", "a\0b", "~nobody_here/x.csv"]
)
def test_a_pattern_that_names_no_file_is_one_message(tmp_path: Path, pattern: str):
    with pytest.raises(ConfigError, match=r"a file or a glob pattern|a home folder"):
        read_exclusions(tmp_path, (pattern,))


def test_a_pipe_among_the_lists_is_one_message(tmp_path: Path):
    os.mkfifo(tmp_path / "ids.csv")
    with pytest.raises(ConfigError, match="a pipe or device"):
        read_exclusions(tmp_path, ("*.csv",))


UNDERSTOOD = {
    "semicolons.csv": "name;split\nAAAAAAAAAAA_5;test\nBBBBBBBBBBB;Train \n",
    "crlf.csv": "Name,Split\r\nAAAAAAAAAAA,test\r\nBBBBBBBBBBB,TRAIN\r\n",
    "links.txt": "https://www.youtube.com/watch?v=AAAAAAAAAAA\n",
    "more links.txt": "https://m.youtube.com/watch?feature=x&v=AAAAAAAAAAA&t=3s\n",
    "short links.txt": "https://youtu.be/AAAAAAAAAAA?t=4\n",
    "own header.csv": "number,clip\n1,AAAAAAAAAAA_30\n",
    "ranged.txt": "AAAAAAAAAAA_30.0_40.0.mp4\n",
    "link column.csv": "url;split\nhttps://youtu.be/AAAAAAAAAAA;val\n",
    "vggss.json": '[{"file": "AAAAAAAAAAA_000030", "class": "dog", "bbox": [[0, 0, 1, 1]]}]',
    "ids.json": '{"test": ["AAAAAAAAAAA"]}',
    "keyed.json": '{"AAAAAAAAAAA_000030": {"class": "dog"}}',
}
NOT_UNDERSTOOD = {
    "empty.txt": "",
    "words.txt": "one thing\nanother thing\n",
    "no id column.csv": "title;split\na dog;test\na cat;test\n",
    "short row.csv": "name,start,split\nAAAAAAAAAAA,0,test\nBBBBBBBBBBB\n",
    "no ids.json": '[{"class": "dog"}]',
    "damaged.json": '[{"file": ',
    "no name.csv": "name,split\nAAAAAAAAAAA,test\n,test\n",
}


@pytest.mark.parametrize("name", UNDERSTOOD)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_form_of_a_list_bans_its_videos(name, encoding, tmp_path: Path):
    (tmp_path / name).write_bytes(UNDERSTOOD[name].encode(encoding))
    [found] = read_exclusions(tmp_path, (name,))
    assert (found.found, found.videos) == (True, {"AAAAAAAAAAA"})


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_a_list_that_is_there_and_bans_nothing_is_an_error(name, tmp_path: Path):
    (tmp_path / name).write_text(NOT_UNDERSTOOD[name])
    with pytest.raises(DataError, match=name):
        read_exclusions(tmp_path, ("*.*",))


@pytest.mark.parametrize("pattern", ["lists/*.csv", "lists/**/*.csv", "lists/a.csv"])
def test_an_unreadable_folder_of_lists_is_an_error(pattern, tmp_path: Path, monkeypatch):
    (tmp_path / "lists").mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    monkeypatch.setattr("os.listdir", refuse)
    monkeypatch.setattr("pathlib.Path.stat", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        read_exclusions(tmp_path, (pattern,))
