import csv
from importlib import resources

import pytest

from avsynth.toy.avss import LABELS
from avsynth.toy.categories import CAST, Role

SOUNDING = [role for role in CAST if not role.mute]


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, str]]:
    text = (
        resources.files("avsynth.resources").joinpath("categories.csv").read_text(encoding="utf-8")
    )
    return {row["category"]: row for row in csv.DictReader(text.splitlines())}


@pytest.mark.parametrize("role", SOUNDING, ids=lambda role: role.name)
def test_the_cast_is_known_by_the_category_table(
    role: Role, table: dict[str, dict[str, str]]
) -> None:
    row = table[role.name]
    assert set(role.vggsound) <= set(row["vggsound"].split(";"))
    for name, column in (
        (role.lvis, "lvis"), (role.mid, "openimages"), (role.coco, "coco"), (role.s4, "avsbench")
    ):  # fmt: skip
        if name:
            assert name in row[column].split(";")


def test_the_cast_is_large_enough() -> None:
    assert len([role for role in SOUNDING if role.lvis and role.mid]) >= 12
    assert len([role for role in CAST if role.s4]) >= 8
    assert len([role for role in CAST if role.unseen]) >= 3
    assert {role.avss for role in CAST if role.avss} <= set(LABELS)
    assert any("," in label for role in CAST for label in role.vggsound)
