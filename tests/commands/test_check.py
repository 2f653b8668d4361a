"""``avsynth check`` on an empty project, on the toy world, and on damaged copies of it."""

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from avsynth.building.new_project import init_project
from avsynth.commands.check import Finding, check, check_table
from avsynth.core.params.load import Params, load_params
from avsynth.core.paths import Layout
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.options import Runtime


def findings_of(params: Params, layout: Layout, cache: Path) -> dict[str, Finding]:
    return {f.name: f for f in check(params, layout, Runtime(cache_dir=cache))}


def test_an_empty_project_lists_every_source(tmp_path: Path) -> None:
    init_project(tmp_path / "p", "paper")
    layout = Layout(tmp_path / "p")
    found = findings_of(load_params(layout.root), layout, tmp_path / "cache")
    needed = {f.name for f in found.values() if f.needed}
    assert needed == {
        "lvis", "openimages", "vggsound", "sam_vit_b_01ec64.pth", "sam_vit_h_4b8939.pth",
        "vggish-10086976.pth", *load_params(layout.root).convert.roots,
    }  # fmt: skip
    for name in needed:
        assert found[name].status == "absent", name
        assert "Licence" in found[name].source, name
        assert "https://" in found[name].source, name
    assert "CC BY 4.0" in found["lvis"].source
    assert "avs-synthetic-release" in found
    assert not layout.raw.exists()


def test_the_toy_world_is_found_complete(toy_project: Path, tmp_path: Path) -> None:
    params = load_params(toy_project)
    found = findings_of(params, Layout(toy_project), tmp_path / "cache")
    assert found["lvis"].status == found["openimages"].status == "found", found["lvis"]
    assert "is not the official list" in found["lvis"].detail
    assert {found[name].status for name in params.convert.roots} == {"found"}
    assert "a subset: the official lists have 4,932 clips" in found["s4"].detail
    # Some clips of the list are missing, as in a real download.
    assert found["vggsound"].status == "incomplete"
    assert 0 < len(found["vggsound"].missing) <= 3


def test_convert_roots_may_name_the_release_but_no_unknown_benchmark(tmp_path: Path) -> None:
    init_project(tmp_path / "p", "paper")
    layout = Layout(tmp_path / "p")
    params = load_params(layout.root, ["convert.roots={avs-synthetic-release: elsewhere}"])
    found = findings_of(params, layout, tmp_path / "cache")
    assert found["avs-synthetic-release"].needed
    params = load_params(layout.root, ["convert.roots={ms4: elsewhere}"])
    with pytest.raises(ConfigError, match=r"convert\.roots.*'ms4'"):
        findings_of(params, layout, tmp_path / "cache")


def test_missing_files_are_counted_and_the_first_are_named(
    toy_project: Path, tmp_path: Path
) -> None:
    layout, params = Layout(toy_project), load_params(toy_project)
    whole = findings_of(params, layout, tmp_path / "cache")["lvis"]
    assert whole.status == "found"
    gone = sorted((layout.raw / "lvis/train2017").iterdir())
    for path in gone:
        path.unlink()
    broken = findings_of(params, layout, tmp_path / "cache")["lvis"]
    assert broken.status == "incomplete"
    assert len(broken.missing) == 3
    assert broken.missing[0].startswith("train2017/")
    shutil.rmtree(layout.raw / "avsbench/Single-source/s4_data/gt_masks")
    s4 = findings_of(params, layout, tmp_path / "cache")["s4"]
    assert s4.status == "incomplete"
    assert "masks 0/" in s4.detail


def test_a_checkpoint_is_hashed(tmp_path: Path) -> None:
    init_project(tmp_path / "p", "paper")
    layout = Layout(tmp_path / "p")
    params = load_params(layout.root)
    weights = layout.resolve("runs/weights")
    weights.mkdir(parents=True)
    (weights / "sam_vit_b_01ec64.pth").write_bytes(b"PK\x03\x04 half a checkpoint")
    found = findings_of(params, layout, tmp_path / "cache")["sam_vit_b_01ec64.pth"]
    assert found.status == "incomplete"
    assert "not 01ec64d29a2fca3f0661936605ae66f8" in found.detail


def test_a_damaged_list_is_reported(toy_project: Path, tmp_path: Path) -> None:
    layout, params = Layout(toy_project), load_params(toy_project)
    (layout.raw / "lvis/lvis_v1_train.json").unlink()
    (layout.raw / "lvis/lvis_v1_train.json").write_text('{"images": [')
    found = findings_of(params, layout, tmp_path / "cache")["lvis"]
    assert found.status == "incomplete"
    assert "lvis_v1_train.json" in found.detail


def test_the_machine_and_the_extras_are_listed(tmp_path: Path) -> None:
    init_project(tmp_path / "p", "toy")
    layout = Layout(tmp_path / "p")
    found = findings_of(load_params(layout.root), layout, tmp_path / "cache")
    assert "GB free" in found["disk"].detail
    assert "cores" in found["memory"].detail
    assert found["extra download"].status == "found"
    assert found["device"].detail.startswith(("cpu", "cuda"))


def test_the_table_counts_incomplete_items(tmp_path: Path) -> None:
    init_project(tmp_path / "p", "toy")
    layout = Layout(tmp_path / "p")
    findings = check(load_params(layout.root), layout, Runtime(cache_dir=tmp_path / "cache"))
    short = sum(f.needed and f.status != "found" for f in findings)
    assert short >= 3
    console = Console(width=160)
    with console.capture() as shown:
        console.print(check_table(findings))
    assert f"{short} of {sum(f.needed for f in findings)} items" in shown.get()


def test_real_lists_are_read(realdata: Path, tmp_path: Path) -> None:
    init_project(tmp_path / "p", "toy")
    layout = Layout(tmp_path / "p")
    raw = load_params(layout.root).model_dump()
    sources = raw["masks"]["sources"]
    sources["lvis"] |= {"root": str(realdata / "lvis"), "images": str(realdata / "lvis")}
    sources["openimages"]["root"] = str(realdata / "openimages")
    raw["audio"]["sources"]["vggsound"]["root"] = str(realdata / "vggsound")
    found = findings_of(Params.model_validate(raw), layout, tmp_path / "cache")
    assert found["lvis"].status == found["openimages"].status == "found"
    assert "313 of 1,270,141 masks" in found["lvis"].detail
    assert found["vggsound"].status == "incomplete"
    assert "106,476 of 199,176 clips" in found["vggsound"].detail
