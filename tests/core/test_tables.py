import errno
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from avsynth.core.files import atomic_file
from avsynth.core.funnel import FUNNEL_COLUMNS, funnel_of
from avsynth.core.records import Triplet
from avsynth.core.tables import read_table, write_table
from avsynth.runtime.errors import DataError, SpaceError

ROW = Triplet("00ff", "train", "dog", "lvis", "0012", "vggsound", "-abc_000030", 4)


@dataclass(frozen=True, slots=True)
class Other:
    a: int
    b: str


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_rows_come_back_as_they_were(tmp_path: Path, suffix: str):
    rows = [replace(ROW, triplet_id=f"{i:04x}", mask_id=f"00{i}", reason="") for i in range(30)]
    path = tmp_path / f"t{suffix}"
    write_table(path, Triplet, reversed(rows), key=("triplet_id",))
    table = read_table(path, Triplet)
    assert [Triplet(**r) for r in table.to_dict("records")] == rows


def test_the_order_of_the_rows_changes_no_byte(tmp_path: Path):
    rows = [replace(ROW, triplet_id=f"{i:04x}") for i in range(100)]
    write_table(tmp_path / "a.parquet", Triplet, rows, key=("triplet_id",))
    write_table(tmp_path / "b.parquet", Triplet, reversed(rows), key=("triplet_id",))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_an_empty_table_keeps_its_columns(tmp_path: Path):
    write_table(tmp_path / "t.csv", Triplet, [], key=("triplet_id",))
    assert len(read_table(tmp_path / "t.csv", Triplet)) == 0


def test_a_doubled_key_is_refused_and_nothing_is_written(tmp_path: Path):
    with pytest.raises(DataError, match="'triplet_id': '00ff'"):
        write_table(tmp_path / "t.csv", Triplet, [ROW, ROW], key=("triplet_id",))
    assert list(tmp_path.iterdir()) == []


def test_other_columns_damage_and_absence_are_told_apart(tmp_path: Path):
    write_table(tmp_path / "t.parquet", Other, [Other(1, "x")], key=("a",))
    with pytest.raises(DataError, match="columns"):
        read_table(tmp_path / "t.parquet", Triplet)
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="a readable table"):
        read_table(tmp_path / "t.parquet", Other)
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "u.parquet", Other)


def test_a_full_disk_keeps_the_old_file_and_leaves_no_half(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(SpaceError, match="No space left"), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_funnel_counts_per_category_status_and_reason(tmp_path: Path):
    rows = [
        ROW,
        replace(ROW, triplet_id="1"),
        replace(ROW, triplet_id="2", status="dropped", reason="no_clip"),
    ]
    write_table(tmp_path / "t.csv", Triplet, rows, key=("triplet_id",))
    table = read_table(tmp_path / "t.csv", Triplet)
    funnel = funnel_of("match", "lvis", "triplet", table)
    assert tuple(funnel.columns) == FUNNEL_COLUMNS
    assert funnel.to_numpy().tolist() == [
        ["match", "lvis", "triplet", "dog", "train", "dropped", "no_clip", 1],
        ["match", "lvis", "triplet", "dog", "train", "ok", "", 2],
    ]
    masks = funnel_of("masks", "", "mask", table.drop(columns="split").assign(count=[1, 2, 5]))
    assert masks[["split", "count"]].to_numpy().tolist() == [["", 5], ["", 3]]
