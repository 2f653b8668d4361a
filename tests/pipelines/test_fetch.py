"""The fetch stage against a local host that serves the toy world like the official hosts."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from avsynth.building.new_project import init_project
from avsynth.core.params.load import Params, load_params
from avsynth.core.paths import Layout
from avsynth.download.ledger import Ledger, read_ledger
from avsynth.pipelines.fetch import fetch
from avsynth.runtime.errors import ConfigError, DataError, DropLimitError
from avsynth.runtime.options import Runtime
from tests.helpers.local_host import Host, RunningHost
from tests.helpers.official_archives import mirrors, serve_toy_world

QUIET = Runtime(workers=2, quiet=True)


@pytest.fixture
def host(toy_world: Path) -> Any:
    with RunningHost(Host()) as running:
        serve_toy_world(running, toy_world)
        yield running


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    init_project(tmp_path / "p", "toy")
    return Layout(tmp_path / "p")


def make_params(layout: Layout, host: Host, **changes: Any) -> Params:
    params = load_params(layout.root)
    fetching = params.fetch.model_copy(update={"mirrors": mirrors(host), **changes})
    return params.model_copy(update={"fetch": fetching})


def counts(funnel: pd.DataFrame) -> dict[str, int]:
    return funnel.groupby(["status", "reason"])["count"].sum().to_dict()


def same_files(ours: Path, theirs: Path, pattern: str) -> int:
    """Check that the downloaded files equal the originals; return the number of files."""
    fetched = sorted(p.relative_to(ours) for p in ours.glob(pattern) if p.is_file())
    for name in fetched:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    return len(fetched)


def test_lvis_downloads_the_images_of_its_categories(
    host: Host, layout: Layout, toy_world: Path
) -> None:
    funnel = fetch("lvis", make_params(layout, host), layout, QUIET)
    ours, theirs = layout.raw / "lvis", toy_world / "lvis"
    assert same_files(ours, theirs, "*.json") == 2
    assert same_files(ours, theirs, "*2017/*.jpg") == counts(funnel)[("ok", "")] - 2 > 30
    assert counts(funnel).keys() == {("ok", "")}
    assert pd.read_csv(layout.funnel("fetch/lvis"))["count"].sum() == funnel["count"].sum()
    asked = sum(host.requests.values())
    fetch("lvis", make_params(layout, host), layout, QUIET)
    assert sum(host.requests.values()) == asked, "a second run requests nothing"


def test_fewer_categories_need_fewer_images(host: Host, layout: Layout) -> None:
    params = make_params(layout, host)
    one = params.categories.model_copy(update={"choose": ("dog",)})
    funnel = fetch("lvis", params.model_copy(update={"categories": one}), layout, QUIET)
    assert 2 < counts(funnel)[("ok", "")] < 20


def test_a_sample_is_deterministic_and_a_larger_one_contains_it(host: Host, layout: Layout) -> None:
    fetch("lvis", make_params(layout, host, sample=1), layout, QUIET)
    small = {p.name for p in layout.raw.glob("lvis/*2017/*.jpg")}
    asked = sum(host.requests.values())
    fetch("lvis", make_params(layout, host, sample=2), layout, QUIET)
    larger = {p.name for p in layout.raw.glob("lvis/*2017/*.jpg")}
    assert small < larger
    assert sum(host.requests.values()) - asked == len(larger - small)


@pytest.mark.parametrize("images", ["single", "archive"])
def test_coco_by_single_images_or_from_its_archives(
    host: Host, layout: Layout, toy_world: Path, images: str
) -> None:
    coco = {"root": "data/raw/coco", "files": ["annotations/instances_train2017.json"]}
    coco["images"] = "data/raw/coco"
    params = make_params(layout, host, images=images)
    raw = params.model_dump()
    raw["masks"]["sources"]["coco"] = coco
    funnel = fetch("coco", Params.model_validate(raw), layout, QUIET)
    assert counts(funnel).keys() == {("ok", "")}
    ours, theirs = layout.raw / "coco", toy_world / "coco"
    assert same_files(ours, theirs, "**/*.json") == 1
    assert same_files(ours, theirs, "train2017/*.jpg") > 5
    zips = [path for path in host.requests if "/zips/" in path]
    assert bool(zips) == (images == "archive")


def test_open_images_masks_come_from_their_sixteen_zips(
    host: Host, layout: Layout, toy_world: Path
) -> None:
    funnel = fetch("openimages", make_params(layout, host), layout, QUIET)
    assert counts(funnel).keys() == {("ok", "")}
    ours, theirs = layout.raw / "openimages", toy_world / "openimages"
    assert same_files(ours, theirs, "train-masks/*.png") > 10
    assert same_files(ours, theirs, "train/*.jpg") > 5
    asked = {path for path in host.requests if path.endswith(".zip")}
    needed = {f"/google/v5/train-masks/train-masks-{p.name[0]}.zip"
              for p in (ours / "train-masks").iterdir()}  # fmt: skip
    assert asked == needed, "only the archives that hold a required mask are requested"


def test_local_files_are_linked_and_not_requested(
    host: Host, layout: Layout, toy_world: Path
) -> None:
    params = make_params(layout, host, have=(str(toy_world),))
    for source in ("lvis", "openimages", "vggsound"):
        assert counts(fetch(source, params, layout, QUIET))[("ok", "")] > 10
    assert host.requests.total() == 0
    (one, *_) = layout.raw.glob("lvis/train2017/*.jpg")
    assert one.samefile(toy_world / "lvis/train2017" / one.name)
    (clip, *_) = layout.raw.glob("vggsound/audio/*")
    assert clip.samefile(toy_world / "vggsound/audio" / clip.name)


def test_local_archives_are_read_and_not_requested(
    host: Host, layout: Layout, tmp_path: Path
) -> None:
    have = tmp_path / "downloads"
    have.mkdir()
    for path, content in host.files.items():
        if path.endswith(".zip"):
            (have / Path(path).name).write_bytes(content)
    params = make_params(layout, host, have=(str(have),), images="archive")
    assert counts(fetch("lvis", params, layout, QUIET)).keys() == {("ok", "")}
    assert host.requests.total() == 0


def test_a_damaged_local_file_is_not_linked(
    host: Host, layout: Layout, toy_world: Path, tmp_path: Path
) -> None:
    have = tmp_path / "have"
    shutil.copytree(toy_world / "lvis", have)
    (broken, *_) = sorted((have / "train2017").iterdir())
    broken.write_bytes(b"<html>quota exceeded</html>")
    params = make_params(layout, host, have=(str(have),))
    assert counts(fetch("lvis", params, layout, QUIET)).keys() == {("ok", "")}
    assert dict(host.requests) == {f"/coco/train2017/{broken.name}": 1}
    assert broken.read_bytes() == b"<html>quota exceeded</html>", "the user's file is not changed"


def test_clips_are_extracted_from_a_tar(
    host: Host, layout: Layout, toy_world: Path, tmp_path: Path
) -> None:
    import tarfile

    have = tmp_path / "have"
    have.mkdir()
    clips = sorted((toy_world / "vggsound/audio").iterdir())
    with tarfile.open(have / "clips.tar.gz", "w:gz", compresslevel=1) as archive:
        for clip in clips:
            archive.add(clip, arcname=f"../../{clip.name}")
        link = tarfile.TarInfo(clips[0].name.replace(clips[0].stem, clips[1].stem))
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    funnel = fetch("vggsound", make_params(layout, host, have=(str(have),)), layout, QUIET)
    assert (
        same_files(layout.raw / "vggsound", toy_world / "vggsound", "audio/*.*")
        == counts(funnel)[("ok", "")] - 1
        > 60
    )
    assert not any(p.is_symlink() for p in layout.raw.rglob("*"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["have", "p"]
    # Without accepted terms of YouTube the other clips stay untried.
    assert counts(funnel).keys() == {("ok", ""), ("dropped", "untried")}
    assert not [path for path in host.requests if path.startswith("/youtube")]


def test_retry_selects_items_by_status(host: Host, layout: Layout, tmp_path: Path) -> None:
    elsewhere = Layout(tmp_path / "elsewhere")
    fetch("lvis", make_params(layout, host), elsewhere, QUIET)
    flaky, gone, other = sorted(path for path in host.requests if "/train2017/" in path)[:3]
    host.requests.clear()
    host.misbehave(flaky, *["status=500"] * 4)
    host.misbehave(gone, "status=404")
    params = make_params(layout, host)
    first = counts(fetch("lvis", params, layout, QUIET))
    assert (first[("dropped", "transient")], first[("dropped", "gone")]) == (1, 1)
    second = counts(fetch("lvis", params, layout, QUIET))
    assert second == first, "a run without --retry does not retry failures"
    assert (host.requests[flaky], host.requests[gone], host.requests[other]) == (4, 1, 1)
    third = counts(fetch("lvis", params, layout, QUIET, retry=("transient",)))
    assert third.keys() == {("ok", ""), ("dropped", "gone")}
    assert (host.requests[flaky], host.requests[gone], host.requests[other]) == (5, 1, 1)
    row = read_ledger(layout.raw / "lvis", "images")[flaky.removeprefix("/coco/")]
    assert (row.status, row.attempts) == ("ok", 5)


def test_a_deleted_file_is_downloaded_again(host: Host, layout: Layout) -> None:
    params = make_params(layout, host)
    fetch("lvis", params, layout, QUIET)
    (one, *_) = sorted(layout.raw.glob("lvis/train2017/*.jpg"))
    one.unlink()
    fetch("lvis", params, layout, QUIET)
    assert one.exists()
    assert host.requests[f"/coco/train2017/{one.name}"] == 2


def test_stop_loss_ends_a_run_with_too_many_failures(host: Host, layout: Layout) -> None:
    params = make_params(layout, host)
    fetch("lvis", make_params(layout, host, sample=1), layout, QUIET)
    for path in [p for p in host.files if p.startswith("/cvdf")]:
        host.misbehave(path, "status=404")
    raw = params.model_dump()
    for n in range(100):
        host.files["/oxford/~vgg/data/vggsound/vggsound.csv"] += (
            f"{n:011d},1,dog barking,train\n".encode()
        )
    raw["fetch"]["youtube"] |= {"accept_terms": True, "interval_s": 0.0}
    with pytest.raises(DropLimitError, match=r"failures \(fetch.stop_loss\)"):
        fetch("vggsound", Params.model_validate(raw), layout, QUIET)
    tried = read_ledger(layout.raw / "vggsound/audio", "clips")
    assert 40 <= len(tried) < 100


def test_a_failed_list_ends_the_run_with_its_reason(host: Host, layout: Layout) -> None:
    host.misbehave("/meta/LVIS/lvis_v1_val.json.zip", "status=403")
    with pytest.raises(DataError, match=r"lvis_v1_val.json from https.*private: HTTP 403"):
        fetch("lvis", make_params(layout, host), layout, QUIET)


def test_two_runs_at_once_in_one_folder_are_refused(host: Host, layout: Layout) -> None:
    with (
        Ledger(layout.raw / "lvis", "annotations"),
        pytest.raises(DataError, match="is downloading"),
    ):
        fetch("lvis", make_params(layout, host), layout, QUIET)


def test_hostile_ids_in_the_lists_are_refused(host: Host, layout: Layout) -> None:
    path = "/google/v5/train-annotations-object-segmentation.csv"
    hostile = "../../../evil.png,../../../evil,/m/0bt9lr,5c80344b,0,1,0,1,,\n"
    host.files[path] += hostile.encode()
    host.files["/oxford/~vgg/data/vggsound/vggsound.csv"] += b"../../evil1,5,dog barking,train\n"
    params = make_params(layout, host)
    for source in ("openimages", "vggsound"):
        fetch(source, params, layout, QUIET)
    for batch, kind in (("openimages", "masks"), ("openimages", "images")):
        rows = read_ledger(layout.raw / batch, kind)
        assert len(rows) > 5
        assert not [item for item in rows if "evil" in item]
    assert not [path for path in host.requests if "evil" in path]


def test_an_unknown_source_is_named(host: Host, layout: Layout) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'lvis'"):
        fetch("lviss", make_params(layout, host), layout, QUIET)


def test_a_folder_that_is_not_watched_is_refused(host: Host, layout: Layout) -> None:
    params = make_params(layout, host, sources={"lvis": "data/raw/coco"})
    with pytest.raises(ConfigError, match=r"fetch\.sources\.lvis.*data/raw/lvis"):
        fetch("lvis", params, layout, QUIET)


@pytest.mark.parametrize("none", ["[]", "{}"])
def test_no_source_may_be_named(layout: Layout, none: str) -> None:
    assert load_params(layout.root, [f"fetch.sources={none}"]).fetch.sources == {}
