"""Read the score rows of a project and refuse to mix what does not compare.

``reports/scores/<stage>/<run>.csv`` holds one row per scored frame. The folder ``audio-test`` holds
the rows of the audio test, with the sound that was played instead. A file with the column ``ciou``
holds rows of localisation.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from avsynth.metrics.rows import LocalisationRow, ScoreRow
from avsynth.runtime.errors import DataError

AUDIO_TEST = "audio-test"
SOUNDS = ("own", "silence", "noise", "other")
COLUMNS = (
    *(field.name for field in fields(ScoreRow)),
    "split",
    "run",
    "setting",
    "num_frames",
    "frame_index",
)
SOUND_COLUMNS = ("sound", "sound_key")
_KINDS = {
    "rows": COLUMNS,
    "sounds": (*COLUMNS, *SOUND_COLUMNS),
    "localisation": tuple(field.name for field in fields(LocalisationRow)),
}
"""Field of `Scores` -> the columns of its files."""
_NUMBERS = dict.fromkeys(("iou", "fscore", "ciou", "pixel_ap", "piap"), float) | dict.fromkeys(
    ("inter_px", "union_px", "gt_px", "pred_px", "num_frames", "frame_index"), int
)


@dataclass(frozen=True, slots=True)
class Scores:
    """All score rows of a project."""

    rows: pd.DataFrame
    """`COLUMNS`, plus ``stage`` and ``name`` (of the folder and the file)."""
    sounds: pd.DataFrame
    """The audio test: the same and `SOUND_COLUMNS`."""
    localisation: pd.DataFrame
    """Rows of localisation: `LocalisationRow`, ``stage`` and ``name``."""
    blind: dict[str, float]
    """Run -> the best mean IoU that one mask per picture could have, whatever sounds."""


def read_scores(folder: Path, *, mix: bool = False) -> Scores:
    """Read every csv below ``reports/scores``.

    Args:
        folder: may be absent or empty: there are no rows then.
        mix: allow one benchmark in several versions or protocols; each is a line of its own.

    Raises:
        DataError: a file is damaged, a column is absent, or rows would be mixed unasked.
    """
    parts: dict[str, list[pd.DataFrame]] = {kind: [] for kind in _KINDS}
    for path in sorted(folder.rglob("*.csv")):
        kind, rows = _read(path)
        parts[kind].append(rows)
    joined = {
        kind: _joined(parts[kind], [*columns, "stage", "name"]) for kind, columns in _KINDS.items()
    }
    if not mix:
        for rows in joined.values():
            _refuse_mixed(rows)
    return Scores(**joined, blind=_bounds(folder / AUDIO_TEST))


def groups(rows: pd.DataFrame) -> Iterator[tuple[pd.Series, pd.DataFrame]]:
    """Yield the rows of each scored run with their common values, sorted.

    One group is what a table's line is: one benchmark and setting of one file.
    """
    keys = ["stage", "benchmark", "setting", "run", "protocol", "version", "name"]
    parts = [group for _, group in rows.groupby(keys, sort=False)]
    for group in sorted(parts, key=lambda part: [_natural(part.iloc[0][name]) for name in keys]):
        yield group.iloc[0], group


def first_run(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of one scored run: the first, where several were scored alike."""
    return next((group for _, group in groups(rows)), rows)


def _natural(text: str) -> list[tuple[int, str]]:
    """Make a sorting key in which 20 % comes before 100 %."""
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", text)]


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _read(path: Path) -> tuple[str, pd.DataFrame]:
    """Read a file: its kind, a key of `_KINDS`, and its rows."""
    fix = "Score the run again (the stage of the folder's name)."
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(str(path), "a csv of score rows", str(error), fix) from None
    kind = "localisation" if "ciou" in rows else "rows"
    if path.parent.name == AUDIO_TEST:
        kind = "sounds"
    if absent := [name for name in _KINDS[kind] if name not in rows]:
        raise DataError(str(path), "the columns of score rows", f"no {', '.join(absent)}", fix)
    for name in (name for name in _NUMBERS if name in _KINDS[kind]):
        numbers = pd.to_numeric(rows[name], errors="coerce")
        bad = numbers.isna()
        if name in ("iou", "fscore"):
            bad &= ~rows[name].str.lower().isin(["nan", ""])
        if bad.any():
            found = f"{rows[name][bad].iloc[0]!r} in column {name}, key {rows.key[bad].iloc[0]!r}"
            raise DataError(str(path), "numbers", found, fix)
        rows[name] = numbers.astype(_NUMBERS[name])
    if kind == "sounds" and (unknown := sorted(set(rows["sound"]) - set(SOUNDS))):
        raise DataError(str(path), f"a sound of {', '.join(SOUNDS)}", repr(unknown[0]), fix)
    return kind, rows.assign(stage=path.parent.name, name=path.stem)


def _bounds(folder: Path) -> dict[str, float]:
    """Read what the audio test says of answers that do not listen."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = float(json.loads(path.read_bytes())["miou_audio_blind_bound"])
        except (ValueError, KeyError, TypeError) as error:
            fix = "Run the stage train again."
            raise DataError(str(path), "the bound of the audio test", f"{error!r}", fix) from None
    return found


def _refuse_mixed(rows: pd.DataFrame) -> None:
    for column in ("version", "protocol"):
        for benchmark, group in rows.groupby("benchmark", sort=True):
            found = sorted(group[column].unique())
            if len(found) > 1:
                runs = group.drop_duplicates(column).sort_values(column)
                named = ", ".join(f"{r[column]} ({r['run']})" for _, r in runs.iterrows())
                raise DataError(
                    f"reports/scores, benchmark {benchmark}",
                    f"score rows of one {column}",
                    named,
                    "Their numbers do not compare: score the runs alike, move one away, or ask "
                    "for both with -S report.mix=true.",
                )
