"""Selection and measurement of samples."""

import json
import shutil

import numpy as np
import pytest

from avsynth.formats.images import decode_mask
from avsynth.formats.shards import ShardReader
from avsynth.inspection.fiftyone_app.samples import (
    COLUMNS,
    MEASURED,
    Selection,
    dataset_of_tar,
    select_rows,
)
from avsynth.runtime.errors import ConfigError, DataError
from avsynth.runtime.options import Runtime


def rows_of(layout, **selection):
    return select_rows(layout, "avs-synthetic", Selection(**selection), Runtime())


def test_every_sample_of_the_shards_is_a_row(project):
    rows = rows_of(project)
    assert tuple(rows.columns) == COLUMNS
    assert tuple(rows["key"]) == ShardReader(project.shards("avs-synthetic")).keys
    assert rows["loudness_db"].between(-200, 0).all()


def test_measurements_of_the_tables_equal_those_of_the_shards(project):
    known = rows_of(project)
    shutil.rmtree(project.interim)
    measured = rows_of(project)
    exact = [name for name in MEASURED if name != "loudness_db"]
    assert (known[exact].to_numpy() == measured[exact].to_numpy()).all()
    # The table rounds to a tenth of a decibel.
    assert np.abs(known["loudness_db"] - measured["loudness_db"]).max() < 0.06


def test_a_box_is_tight(project):
    reader = ShardReader(project.shards("avs-synthetic"))
    rows = rows_of(project, max=20)
    assert len(rows) == 20
    for row in rows.itertuples():
        mask = decode_mask(reader.parts(row.key)["mask.png"])
        inside = mask[row.y0_px : row.y1_px, row.x0_px : row.x1_px]
        assert inside.sum() == mask.sum() == round(row.area_frac * mask.size)
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


def test_category_and_condition_are_combined(project):
    everything = rows_of(project)
    category = everything["category"].mode()[0]
    of_category = rows_of(project, category=category)
    assert set(of_category["category"]) == {category}
    assert len(of_category) == (everything["category"] == category).sum()
    small = rows_of(project, category=category, where="area_frac < 0.05 and split == 'train'")
    expected = of_category.query("area_frac < 0.05 and split == 'train'")
    assert list(small["key"]) == list(expected["key"])


def test_a_limited_selection_is_deterministic_and_part_of_a_larger_one(project):
    few, more = rows_of(project, max=5), rows_of(project, max=9)
    assert list(few["key"]) == list(rows_of(project, max=5)["key"])
    assert len(few) == 5
    assert set(few["key"]) < set(more["key"])


def test_an_invalid_selection_is_refused_with_a_suggestion(project):
    with pytest.raises(ConfigError, match=r"--category.*'dgo'.*Did you mean 'dog'"):
        rows_of(project, category="dgo")
    with pytest.raises(ConfigError, match=r"--where.*area_fraction.*area_frac"):
        rows_of(project, where="area_fraction < 1")
    with pytest.raises(ConfigError, match=r"--where"):
        rows_of(project, where="area_frac <")
    with pytest.raises(DataError, match="none"):
        rows_of(project, where="area_frac > 1")
    with pytest.raises(DataError, match=r"index\.json"):
        select_rows(project, "s4", Selection(), Runtime())


def test_a_tar_is_found_by_its_name_in_the_cache(project):
    row = rows_of(project, max=1).iloc[0]
    assert dataset_of_tar(project, row["tar"]) == project.shards("avs-synthetic")
    assert dataset_of_tar(project, "0" * 16) is None


def test_measurements_are_cached(project, tmp_path):
    shutil.rmtree(project.interim)
    first = rows_of(project, max=4)
    again = rows_of(project, max=4)
    assert (first == again).all(axis=None)
    files = sorted((tmp_path / "cache").rglob("facts.json"))
    cached = {key: facts for path in files for key, facts in json.loads(path.read_text()).items()}
    assert set(cached) == set(first["key"])
    key = first["key"][0]
    path = next(p for p in files if key in json.loads(p.read_text()))
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: [*cached[key][:-1], -77.0]}))
    changed = rows_of(project, max=6).set_index("key")
    assert changed.loc[key, "loudness_db"] == -77.0
    path.write_text("damaged")
    assert rows_of(project, max=4)["loudness_db"][0] == first["loudness_db"][0]
    two = select_rows(project, "avs-synthetic", Selection(max=9), Runtime(workers=2))
    assert (two == rows_of(project, max=9)).all(axis=None)
