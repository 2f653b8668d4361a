"""Promise: nothing is written, changed or removed outside the folders that belong to avsynth.

Names come from indexes, tars, lists, archives and options; hostile names are tried for each.
"""

import csv
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from avsynth.benchmarks import BENCHMARKS
from avsynth.cli.main import app
from avsynth.core.files import atomic_folder
from avsynth.core.names import MAX_NAME_BYTES, inside, safe_name
from avsynth.core.paths import Layout
from avsynth.evaluation.predictions import write_predictions
from avsynth.exports.avs_synthetic import export_avs_synthetic
from avsynth.exports.coco import export_coco
from avsynth.formats.remote_shards import RemoteShards, publish, pull
from avsynth.formats.shards import (
    INDEX_FILE,
    ShardReader,
    tar_header,
    write_index,
    write_shard,
)
from avsynth.inspection.show import show_sample
from avsynth.runtime.errors import AvsynthError, ConfigError, DataError
from avsynth.runtime.options import Runtime
from tests.helpers.small import small_sample, write_small_shards

QUIET = Runtime(quiet=True)
HOSTILE = (
    "../x", "../../x/a", "/etc/x", "a/../../x", "a/./x", "a//x", "..", ".", "", ".hidden", "a\\b",
    "..\\x", "C:\\x", "a\0b", "a\nb", "a\x1bb", "a\u202eb", "a\udcffb", "nul", "COM1.txt",
    "x" * (MAX_NAME_BYTES + 1), "é" * MAX_NAME_BYTES,
)  # fmt: skip
HOSTILE_DATASETS = ("..", "../..", "/tmp", ".staging", "a/b", "")


def tree(folder: Path) -> dict[str, bytes]:
    """Map every file of a folder to its content."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_no_hostile_name_becomes_a_path(tmp_path: Path, name: str):
    with pytest.raises(DataError, match="plain file name"):
        safe_name(name, "a list")
    if name not in ("a/./x", "a//x"):
        with pytest.raises(DataError, match="stays inside"):
            inside(tmp_path, f"train/{name}")
    with pytest.raises(DataError, match="stays inside"):
        inside(tmp_path, name)


@pytest.mark.parametrize("name", ["a.jpg", "-5OrEnAsITc_1", "bus_(vehicle)", "chien é 日本", "a:b"])
def test_official_names_pass(tmp_path: Path, name: str):
    assert safe_name(name, "a list") == name
    assert inside(tmp_path, f"train2017/{name}") == tmp_path / "train2017" / name


def hostile_shards(folder: Path, key: str, part: str = "image.png") -> Path:
    """Write a dataset of one sample with any names, as an attacker could."""
    write_small_shards(folder, {"train": 1})
    tar = folder / "train-00000.tar"
    sample = small_sample("train", 0)
    content, old = tar.read_bytes(), f"{sample.key}.image.png".encode()
    header = tar_header("a" * len(f"{key}.{part}"[:100]), len(sample.image))
    start = content.index(old)
    named = f"{key}.{part}".encode("utf-8", "surrogateescape")[:100].ljust(100, b"\0")
    tar.write_bytes(content[:start] + named + header[100:] + content[start + 512 :])
    index = json.loads((folder / INDEX_FILE).read_bytes())
    index["shards"][0]["keys"] = [key]
    (folder / INDEX_FILE).write_text(json.dumps(index))
    return folder


def commands(shards: Path, out: Path) -> dict[str, object]:
    """Return every command that makes file names from the names in a dataset."""
    url = f"file://{shards}"
    return {
        "download": lambda: pull(url, out / "downloaded", QUIET),
        "publish": lambda: publish(shards, f"file://{out}/published", QUIET),
        "remote": lambda: list(RemoteShards(url, Runtime(quiet=True, cache_dir=out / "cache"))),
        "read": lambda: list(ShardReader(shards)),
        "show": lambda: show_sample(shards, ShardReader(shards).keys[0], out),
        "export avs-synthetic": lambda: export_avs_synthetic(shards, out / "export"),
        "export coco": lambda: export_coco(shards, out / "coco.json"),
    }


@pytest.mark.parametrize("key", ["../../x/a", "/tmp/x", "..", "a.b", "a\0b", "a b", "", "k" * 300])
@pytest.mark.parametrize("command", commands(Path(), Path()))
def test_a_dataset_whose_keys_lead_elsewhere_is_refused(tmp_path: Path, command: str, key: str):
    shards = hostile_shards(tmp_path / "shards", key)
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    before = tree(tmp_path)
    with pytest.raises(AvsynthError):
        commands(shards, out)[command]()
    assert tree(tmp_path) == before | {n: b"" for n in tree(tmp_path) if n.endswith("/lock")}


@pytest.mark.parametrize(
    "part",
    ["image.pth", "image.py", "image.jpg/../../x", "../x", "sitecustomize.pth", "image.", ""],
)
def test_a_member_that_no_writer_could_make_is_refused(tmp_path: Path, part: str):
    key = small_sample("train", 0).key
    shards = hostile_shards(tmp_path / "shards", key, part)
    for name, run in commands(shards, tmp_path / "out").items():
        if name not in ("download", "publish"):
            with pytest.raises(DataError):
                run()
    assert not [n for n in tree(tmp_path) if n.endswith((".pth", ".py"))]


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../../evil.tar"}, {"file": "a/b.tar"}, {"file": ".tar"}, {"split": "../x"},
        {"offsets": [-512]}, {"offsets": ["0"]}, {"count": 2}, {"bytes": -1}, {"keys": "ab"},
        {"keys": [None]}, {"sha256": "../evil"},
    ],
    ids=str,
)  # fmt: skip
def test_an_index_that_no_writer_could_make_is_refused(tmp_path: Path, change: dict[str, object]):
    shards = write_small_shards(tmp_path / "shards", {"train": 1})
    index = json.loads((shards / INDEX_FILE).read_bytes())
    index["shards"][0] |= change
    (shards / INDEX_FILE).write_text(json.dumps(index))
    with pytest.raises(DataError, match="an index of shards"):
        ShardReader(shards)


def test_no_writer_makes_a_key_that_leads_elsewhere(tmp_path: Path):
    sample = small_sample("train", 0)
    object.__setattr__(sample, "key", "../dog-0123456789")
    with pytest.raises(DataError, match="a key of at most"):
        write_shard(tmp_path / "a" / "train-00000.tar", "train", [sample])
    with pytest.raises(DataError, match="stays inside"):
        write_predictions(tmp_path / "run", {"../evil.png": b"x"})
    assert tree(tmp_path) == {}


COMMANDS = {
    "download": ("download", "URL"), "publish": ("publish", "URL"), "gallery": ("gallery",),
    "stats": ("stats",), "show": ("show", "low"), "inspect": ("inspect",),
    "export avs-synthetic": ("export", "avs-synthetic", "OUT"),
    "export coco": ("export", "coco", "OUT/c.json"),
}  # fmt: skip


def test_every_command_that_takes_a_dataset_is_tried_below():
    """A new command with --dataset must be listed in `COMMANDS`."""
    import typer

    def walk(command, name):
        for child, below in getattr(command, "commands", {}).items():
            yield from walk(below, f"{name} {child}".strip())
        if any("--dataset" in p.opts for p in command.params):
            yield name

    assert set(walk(typer.main.get_command(app), "")) == {*COMMANDS, "inspect pull"}


@pytest.mark.parametrize("dataset", HOSTILE_DATASETS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_dataset_is_named_and_not_a_path(
    toy_project: Path, tmp_path: Path, command: str, dataset: str
):
    (toy_project / "mine.txt").write_text("a user's")
    published = write_small_shards(tmp_path / "published", {"train": 1})
    words = [w.replace("URL", f"file://{published}").replace("OUT", str(tmp_path / "out"))
             for w in COMMANDS[command]]  # fmt: skip
    before = set(tree(toy_project))
    result = CliRunner().invoke(app, [*words, "--root", str(toy_project), "--dataset", dataset])
    assert isinstance(result.exception, ConfigError), result.output
    assert "--dataset" in str(result.exception)
    assert set(tree(toy_project)) == before
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_more_than_a_dataset_is_not_replaced(tmp_path: Path):
    published = write_small_shards(tmp_path / "published", {"train": 2})
    folder = Layout(tmp_path).shards("mine")
    folder.mkdir(parents=True)
    for other in ("reviews.csv", "photos.tar", "train-00000.tar.txt", "notes"):
        path = folder / other
        path.mkdir() if other == "notes" else path.write_text("a user's")
        with pytest.raises(DataError, match=other):
            pull(f"file://{published}", folder, QUIET)
        assert path.exists()
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert pull(f"file://{published}", folder, QUIET).shards == 1


def test_publishing_keeps_other_files_in_the_folder(tmp_path: Path):
    shards = write_small_shards(tmp_path / "shards", {"train": 1})
    published = tmp_path / "published"
    published.mkdir()
    others = {"photos.tar", "photos.tar.sha256", "notes.txt"}
    for name in others:
        (published / name).write_text("a user's")
    publish(shards, f"file://{published}", QUIET)
    assert others <= {path.name for path in published.iterdir()}


def test_an_atomic_folder_keeps_the_folders_beside_it(tmp_path: Path):
    (tmp_path / "export.tmp").mkdir()
    (tmp_path / "export.tmp" / "mine.txt").write_text("a user's")
    with atomic_folder(tmp_path / "export") as folder:
        (folder / "a").touch()
    assert (tmp_path / "export.tmp" / "mine.txt").read_text() == "a user's"
    assert {p.name for p in tmp_path.iterdir()} == {"export", "export.tmp"}


def test_predictions_keep_files_of_other_kinds(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("a user's")
    write_predictions(tmp_path, {"a.png": b"1"})
    write_predictions(tmp_path, {"b.png": b"1"})
    assert {p.name for p in tmp_path.iterdir()} == {"notes.txt", "b.png"}


LISTS = {
    "s4": ("avsbench", "Single-source/s4_meta_data.csv", "name"),
    "ms3": ("avsbench", "Multi-sources/ms3_meta_data.csv", "video_id"),
    "v2": ("avss", "metadata.csv", "uid"),
    **dict.fromkeys(("v3", "v3-1shot", "v3-3shot", "v3-5shot"), ("avss", "metadata.csv", "uid")),
}
"""Benchmark to its folder of the toy world, its list, and the column that becomes a path."""
ELSEWHERE = {"flickr", "synthetic"}
"""Not in the toy world: tested in tests/benchmarks, or read from our own shards."""


def test_every_benchmark_is_tried_below():
    assert {*LISTS, *ELSEWHERE} == set(BENCHMARKS)


@pytest.mark.parametrize("benchmark", LISTS)
def test_no_list_of_a_benchmark_names_a_file_elsewhere(
    toy_world: Path, tmp_path: Path, benchmark: str
):
    folder, file, column = LISTS[benchmark]
    with (toy_world / folder / file).open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    target = tmp_path / file
    target.parent.mkdir(parents=True, exist_ok=True)
    if (toy_world / folder / "v3").is_dir():
        (tmp_path / "v3").symlink_to(toy_world / folder / "v3")
    for name in HOSTILE:
        with target.open("w", newline="", encoding="utf-8", errors="surrogateescape") as opened:
            writer = csv.DictWriter(opened, list(rows[0]))
            writer.writeheader()
            writer.writerows([{**rows[0], column: name}, *rows[1:]])
        with pytest.raises(DataError):
            for split in BENCHMARKS[benchmark].clips:
                BENCHMARKS[benchmark].list_clips(tmp_path, split)


def test_our_reader_accepts_the_names_of_our_writers(tmp_path: Path):
    """Check that our reader accepts the names of our writers."""
    infos = [write_shard(tmp_path / "val-00012.tar", "val", [small_sample("val", 3)])]
    write_index(tmp_path, "small", infos)
    assert len(ShardReader(tmp_path)) == 1
