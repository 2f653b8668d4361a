"""Category tables and the choice of categories."""

from pathlib import Path

import pytest

from avsynth.core.paths import Layout
from avsynth.runtime.errors import ConfigError, DataError
from avsynth.sources.categories import (
    TABLE_COLUMNS,
    chosen_vocabulary,
    load_vocabulary,
    parse_vocabulary,
    write_vocabulary,
)

TEN_OF_THE_PAPERS = {
    "ambulance", "cat", "dog", "bus", "horse", "lion", "bird", "guitar", "piano",
    "computer_keyboard",
}  # fmt: skip
HEADER = ",".join(TABLE_COLUMNS)


def test_the_ten_categories_named_by_the_papers_have_the_first_ranks():
    assert set(load_vocabulary().choose(10).names) == TEN_OF_THE_PAPERS


def test_every_default_category_has_masks_and_audio():
    for category in load_vocabulary().choose(46).categories:
        assert category.lvis, category.name
        assert category.vggsound, category.name


def test_46_is_a_prefix_of_60():
    vocabulary = load_vocabulary()
    assert vocabulary.choose(60).names[:46] == vocabulary.choose(46).names


def test_labels_may_contain_commas():
    labels = load_vocabulary().label_to_category("vggsound")
    assert labels["donkey, ass braying"] == "donkey"
    assert labels["bird chirping, tweeting"] == "bird"


def test_names_are_chosen_in_the_order_of_the_table():
    chosen = load_vocabulary().choose(["dog", "cat", "bird", "dog"])
    assert chosen.names == ("cat", "dog", "bird")


@pytest.mark.parametrize("number", [0, -1, 9999])
def test_an_impossible_number_is_refused(number: int):
    with pytest.raises(ConfigError, match="a number from 1 to 116"):
        load_vocabulary().choose(number)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'guitar'"):
        load_vocabulary().choose(["guitr"])


def test_a_chosen_table_is_read_back(tmp_path: Path):
    layout = Layout(tmp_path)
    with pytest.raises(DataError, match="avsynth categories"):
        chosen_vocabulary(layout)
    chosen = load_vocabulary().choose(46)
    write_vocabulary(layout.categories_csv, chosen)
    assert chosen_vocabulary(layout).categories == chosen.categories


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER},vgsound\ndog,dog,,,,,,1,", "unknown column 'vgsound'.*'vggsound'"),
        ("category,lvis\ndog,dog", "no column 'openimages'"),
        (f"{HEADER}\ndog,dog,,,,,,1\ndog,wolf,,,,,,2", "category 'dog' once in the table"),
        (f"{HEADER}\ndog,dog,,,,,,1\ncat,dog,,,,,,2", "lvis 'dog' once in the table"),
        (f"{HEADER}\ndog,dog,,,,,,first", "a unique rank"),
        (f"{HEADER}\ndog,dog,,,,,,1\ncat,cat,,,,,,1", "a unique rank"),
        (f"{HEADER}\n../dog,dog,,,,,,1", "letters, digits and _"),
    ],
)
def test_a_malformed_table_is_refused(text: str, message: str):
    with pytest.raises(ConfigError, match=message):
        parse_vocabulary(text, "mine.csv")
