"""`avsynth gallery`: every category, its audio and the funnel; the same bytes every time."""

import pytest

from avsynth.commands.gallery import gallery
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.formats.shards import ShardReader
from avsynth.runtime.errors import DataError


def make(built, out, split="test", cards=2):
    layout = Layout(built)
    return gallery("avs-synthetic", split, cards, load_params(built), layout, out)


def test_every_category_has_its_sheet_and_its_audio(built, tmp_path):
    page = make(built, tmp_path / "a.html").read_text()
    reader = ShardReader(Layout(built).shards("avs-synthetic"), "test")
    categories = [reader.meta(key)["category"] for key in reader.keys]
    sheets = {name: categories.count(name) for name in categories}
    for name, count in sheets.items():
        assert f"<h3>{name} ({count})</h3>" in page
    cards = sum(min(2, count) for count in sheets.values())
    assert page.count("<audio ") == page.count("data:audio/flac") == cards
    assert page.count("<img ") == 2 * cards
    assert "Why items were dropped" in page
    assert page.count("<svg") == 2


def test_the_same_dataset_gives_the_same_bytes(built, tmp_path):
    first, second = (make(built, tmp_path / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()


def test_an_absent_split_or_dataset_is_refused(built, tmp_path):
    with pytest.raises(DataError, match="samples to show"):
        make(built, tmp_path / "a.html", split="trian")
    with pytest.raises(DataError, match="index of a dataset"):
        gallery("s4x", None, 1, load_params(built), Layout(built), tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []
