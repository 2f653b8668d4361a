"""The V3 lists of GAVS: seen and unseen categories, and few-shot lists of 1, 3 and 5 clips.

``meta_v3_{seen,seen_train,seen_val,unseen}.csv`` and ``v3_{1,3,5}_shot/{train,test}.csv``. The
few-shot lists have the quirks of the published ones: ``s_min``, ``s_sec`` and ``a_obj`` are empty,
``split`` is always ``v3_1_shot_train``, they cover fewer categories than the unseen list, and their
training lists are nested.
"""

import csv
from pathlib import Path

SHOTS = (1, 3, 5)
_VAL_EVERY = 7
_Rows = list[dict[str, str]]


def write_v3(
    folder: Path, rows: _Rows, unseen: set[str], few_shot: dict[str, str]
) -> dict[str, int]:
    """Write the lists.

    Args:
        folder: the output folder.
        rows: the rows of AVSS's ``metadata.csv``.
        unseen: the uids of unseen categories.
        few_shot: uid → category, for the clips that the few-shot lists cover.

    Returns:
        The number of rows of each list.
    """
    pool = [row for row in rows if row["label"] != "v1s"]
    seen = [row for row in pool if row["uid"] not in unseen]
    unseen_rows = [row for row in pool if row["uid"] in unseen]
    val = seen[_VAL_EVERY - 1 :: _VAL_EVERY]
    train = [row for row in seen if row not in val]
    lists: dict[str, _Rows] = {
        "meta_v3_seen": _as_split(seen, "seen"),
        "meta_v3_seen_train": _as_split(train, "seen_train"),
        "meta_v3_seen_val": _as_split(val, "seen_val"),
        "meta_v3_unseen": _as_split(unseen_rows, "unseen"),
    }
    covered = [_few_shot_row(row) for row in unseen_rows if row["uid"] in few_shot]
    for shots in SHOTS:
        given = _first_of_each(few_shot, shots)
        lists[f"v3_{shots}_shot/train"] = [row for row in covered if row["uid"] in given]
        lists[f"v3_{shots}_shot/test"] = [row for row in covered if row["uid"] not in given]
    for name, listed in lists.items():
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(listed)
    return {name: len(listed) for name, listed in lists.items()}


def _as_split(rows: _Rows, split: str) -> _Rows:
    return [{**row, "split": split} for row in rows]


def _few_shot_row(row: dict[str, str]) -> dict[str, str]:
    """Return a row in the format of the few-shot lists."""
    return {**row, "s_min": "", "s_sec": "", "a_obj": "", "split": "v3_1_shot_train"}


def _first_of_each(few_shot: dict[str, str], shots: int) -> set[str]:
    """Return the first clips of each category; at least one is always left for the test."""
    given: set[str] = set()
    for category in sorted(set(few_shot.values())):
        uids = [uid for uid, name in few_shot.items() if name == category]
        given |= set(uids[: min(shots, len(uids) - 1)])
    return given
