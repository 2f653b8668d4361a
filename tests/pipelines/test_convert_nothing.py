"""A conversion that finds no clip keeps the shards that are there."""

from pathlib import Path

import pytest

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.pipelines.convert import convert
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime


def test_lists_without_a_clip_never_replace_shards(toy_project: Path):
    params, layout = load_params(toy_project, []), Layout(toy_project)
    convert("s4", params, layout, Runtime())
    before = (layout.shards("s4") / "index.json").read_bytes()
    [meta] = layout.resolve(params.convert.roots["s4"]).rglob("s4_meta_data.csv")
    meta.write_text(meta.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="at least one clip"):
        convert("s4", params, layout, Runtime())
    assert (layout.shards("s4") / "index.json").read_bytes() == before
