"""What training and its tests need is checked before the first epoch."""

from pathlib import Path

import pytest

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.evaluation.audio_sensitivity import choose_partners, has_partners
from avsynth.pipelines.train import train
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from tests.conftest import REPOSITORY
from tests.helpers.small import write_small_shards


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train": 2, "val": 2}, "samples of split test"),
        ({"train": 2, "test": 2}, "samples of split val"),
        ({"val": 2, "test": 2}, "samples of split train"),
        ({"train": 2, "val": 2, "test": 1}, "another category, for the audio test"),
    ],
)
def test_a_split_that_lacks_something_is_found_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: dict[str, int], message: str
):
    monkeypatch.setattr("avsynth.pipelines.train.fit", lambda *_: pytest.fail("trained"))
    layout = Layout(tmp_path)
    write_small_shards(layout.shards("avs-synthetic"), counts)
    with pytest.raises(DataError, match=message):
        train("sama_avs", load_params(REPOSITORY), layout, Runtime())


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ({}, False),
        ({"a": ["dog"], "b": ["dog"]}, False),
        ({"a": ["dog", "cat"]}, False),
        ({"a": ["dog", "cat"], "b": ["dog"]}, True),
        ({"a": ["dog"], "b": ["cat"]}, True),
    ],
)
def test_partners_are_found_as_they_are_chosen(images: dict[str, list[str]], expected: bool):
    metas = {
        f"{image}-{category}": {"category": category, "mask_source": "lvis", "image_id": image}
        for image, categories in images.items()
        for category in categories
    }
    assert has_partners(metas) is expected
    assert bool(choose_partners(metas, 0)) is expected
