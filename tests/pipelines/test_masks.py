"""The stage masks: its table, its funnel and its drop limit."""

from pathlib import Path

import pytest

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.core.records import MaskRecord
from avsynth.core.tables import read_table
from avsynth.pipelines.categories import categories
from avsynth.pipelines.masks import masks
from avsynth.runtime.errors import ConfigError, DropLimitError
from avsynth.runtime.options import Runtime
from avsynth.sources.masks import MASK_SOURCES


@pytest.fixture
def project(toy_project: Path) -> Layout:
    layout = Layout(toy_project)
    categories(load_params(toy_project), layout, Runtime())
    return layout


@pytest.mark.parametrize("source", sorted(MASK_SOURCES))
def test_the_table_and_the_funnel_agree_and_are_deterministic(project, source, tmp_path):
    overrides = [f"masks.sources={{coco: {COCO}}}"] if source == "coco" else []
    params = load_params(project.root, overrides)
    funnel = masks(source, params, project, Runtime(cache_dir=tmp_path / "a"))
    table = read_table(project.masks(source), MaskRecord)
    assert len(table) == funnel["count"].sum() > 15
    in_order = table.sort_values(["category", "mask_id"], kind="stable").index
    assert in_order.tolist() == list(range(len(table)))
    assert (table["status"] == "ok").sum() == funnel.loc[funnel["status"] == "ok", "count"].sum()
    first = project.masks(source).read_bytes()
    again = Runtime(2, "process", cache_dir=tmp_path / "b")
    masks(source, params, project, again)
    assert project.masks(source).read_bytes() == first


COCO = "{root: data/raw/coco, files: [annotations/instances_train2017.json], images: data/raw/coco}"


def test_missing_images_beyond_the_limit_stop_the_stage(project, tmp_path):
    params = load_params(project.root, ["masks.max_drop_frac=0.2"])
    pictures = sorted((project.raw / "lvis" / "train2017").iterdir())
    assert len(pictures) > 10
    for picture in pictures[: len(pictures) // 2]:
        picture.unlink()
    with pytest.raises(DropLimitError, match=r"at most 20\.0% .* missing_image"):
        masks("lvis", params, project, Runtime(cache_dir=tmp_path))


def test_filtered_masks_do_not_count_against_the_limit(project, tmp_path):
    params = load_params(project.root, ["masks.max_drop_frac=0", "masks.filters.min_area_frac=0.9"])
    funnel = masks("lvis", params, project, Runtime(cache_dir=tmp_path))
    assert set(funnel["reason"]) >= {"too_small", "crowd"}
    assert "ok" not in set(funnel["status"])


def test_an_unknown_source_is_an_error(project):
    with pytest.raises(ConfigError, match="Did you mean 'lvis'"):
        masks("lvsi", load_params(project.root), project, Runtime())


def test_the_digests_of_usable_images_follow_the_files(project):
    params = load_params(project.root)
    masks("lvis", params, project, Runtime())
    listed = project.raw_files("masks", "lvis")
    first = listed.read_text().splitlines()
    table = read_table(project.masks("lvis"), MaskRecord)
    used = set(table.loc[table["status"] == "ok", "image_path"])
    assert {line.split(",")[0] for line in first[1:]} == used
    image = project.raw / "lvis" / first[1].split(",")[0]
    content = image.read_bytes()
    image.unlink()  # The fixture's files are hard links.
    image.write_bytes(content + b"0")
    masks("lvis", params, project, Runtime())
    second = listed.read_text().splitlines()
    assert [a != b for a, b in zip(first, second, strict=True)] == [False, True] + [False] * (
        len(first) - 2
    )


def test_images_outside_the_root_are_refused(project):
    params = load_params(project.root, ["masks.sources.lvis.images=data/raw/coco"])
    with pytest.raises(ConfigError, match=r"lvis\.images.*Set masks\.sources\.lvis\.root"):
        masks("lvis", params, project, Runtime())
