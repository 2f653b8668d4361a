import csv
from importlib import resources

import pytest

from avsynth.toy.avss import LABELS
from avsynth.toy.categories import CATEGORIES, ToyCategory

SOUNDING = [category for category in CATEGORIES if not category.silent]


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, str]]:
    text = (
        resources.files("avsynth.resources").joinpath("categories.csv").read_text(encoding="utf-8")
    )
    return {row["category"]: row for row in csv.DictReader(text.splitlines())}


@pytest.mark.parametrize("category", SOUNDING, ids=lambda category: category.name)
def test_the_category_table_contains_every_toy_category(
    category: ToyCategory, table: dict[str, dict[str, str]]
) -> None:
    row = table[category.name]
    assert set(category.vggsound) <= set(row["vggsound"].split(";"))
    for name, column in (
        (category.lvis, "lvis"), (category.mid, "openimages"), (category.coco, "coco"),
        (category.s4, "avsbench"),
    ):  # fmt: skip
        if name:
            assert name in row[column].split(";")


def test_there_are_enough_toy_categories() -> None:
    assert len([category for category in SOUNDING if category.lvis and category.mid]) >= 12
    assert len([category for category in CATEGORIES if category.s4]) >= 8
    assert len([category for category in CATEGORIES if category.unseen]) >= 3
    assert {category.avss for category in CATEGORIES if category.avss} <= set(LABELS)
    assert any("," in label for category in CATEGORIES for label in category.vggsound)
