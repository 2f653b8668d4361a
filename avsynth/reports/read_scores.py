"""A reader of a project's score rows that refuses damaged files and incomparable numbers.

``reports/scores/<stage>/<run>.csv`` holds one row per scored frame of one run. The folder
``audio-test`` holds the rows of the audio test. A file with the column ``ciou`` holds rows of
localisation.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd

from avsynth.metrics.rows import AUDIO, AudioRow, FrameRow, LocalisationRow, RunFacts
from avsynth.runtime.errors import DataError

AUDIO_TEST = "audio-test"
FACTS = tuple(field.name for field in fields(RunFacts))
_RECORDS: dict[str, type] = {
    "rows": FrameRow,
    "audio_test": AudioRow,
    "localisation": LocalisationRow,
}
"""Field of `Scores` -> the record of its files."""
_ORDER = (
    "stage", "benchmark", "shots", "real_percent", "pretrained_on", "trained_on", "finetuned_on",
    "ablation", "model", "input_size", "run",
)  # fmt: skip
"""Columns that order the runs of a table."""


@dataclass(frozen=True, slots=True)
class Scores:
    """All score rows of a project; each table has the columns of its record and ``stage``."""

    rows: pd.DataFrame
    """Of `FrameRow`."""
    audio_test: pd.DataFrame
    """Of `AudioRow`."""
    localisation: pd.DataFrame
    """Of `LocalisationRow`."""
    blind: dict[str, float]
    """Run of the audio test -> the best mean IoU of one mask per image, the same for any audio."""


def read_scores(folder: Path, *, mix: bool = False) -> Scores:
    """Read every csv below ``reports/scores``.

    Args:
        folder: may be absent or empty; the tables are empty then.
        mix: allow one benchmark in several versions or protocols; each is a line of its own.

    Raises:
        DataError: a file is damaged, lacks a column or holds several runs; or one benchmark has
            several versions or protocols without ``mix``.
    """
    parts: dict[str, list[pd.DataFrame]] = {kind: [] for kind in _RECORDS}
    for path in sorted(folder.rglob("*.csv")):
        kind, rows = _read(path)
        parts[kind].append(rows)
    joined = {
        kind: _joined(parts[kind], [*get_type_hints(record), "stage"])
        for kind, record in _RECORDS.items()
    }
    if not mix:
        for rows in joined.values():
            _refuse_mixed(rows)
    return Scores(**joined, blind=_bounds(folder / AUDIO_TEST))


def groups(rows: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield the rows of each run with the run's facts, in the order of a table's lines."""
    parts = [group for _, group in rows.groupby(["stage", "run"], sort=False)]
    for group in sorted(parts, key=lambda part: [_natural(part.iloc[0][name]) for name in _ORDER]):
        yield {str(name): value for name, value in group.iloc[0].items()}, group


def first_run(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of the first run."""
    return next((group for _, group in groups(rows)), rows)


def _natural(value: str | int) -> list[tuple[int, str]]:
    """Build a sorting key in which 20 comes before 100."""
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", str(value)) if p]


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _read(path: Path) -> tuple[str, pd.DataFrame]:
    """Read a file: its kind, a key of `_RECORDS`, and its rows."""
    fix = "Score the run again (the stage of the folder's name)."
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(str(path), "a csv of score rows", str(error), fix) from None
    kind = "localisation" if "ciou" in rows else "rows"
    if path.parent.name == AUDIO_TEST:
        kind = "audio_test"
    columns = get_type_hints(_RECORDS[kind])
    if absent := [name for name in columns if name not in rows]:
        raise DataError(str(path), "the columns of score rows", f"no {', '.join(absent)}", fix)
    for name in (name for name, type_ in columns.items() if type_ is not str):
        numbers = pd.to_numeric(rows[name], errors="coerce")
        bad = numbers.isna()
        if name in ("iou", "fscore"):
            bad &= ~rows[name].str.lower().isin(["nan", ""])
        if bad.any():
            found = f"{rows[name][bad].iloc[0]!r} in column {name}, key {rows.key[bad].iloc[0]!r}"
            raise DataError(str(path), "numbers", found, fix)
        rows[name] = numbers.astype(columns[name])
    if kind == "audio_test" and (unknown := sorted(set(rows["audio"]) - set(AUDIO))):
        raise DataError(str(path), f"audio of {', '.join(AUDIO)}", repr(unknown[0]), fix)
    rows["run"] = path.stem
    _refuse_several_runs(path, rows)
    return kind, rows.assign(stage=path.parent.name)


def _refuse_several_runs(path: Path, rows: pd.DataFrame) -> None:
    for name in (*FACTS, "version"):
        found = sorted(map(str, rows[name].unique()))
        if len(found) > 1:
            fix = "Write the rows of every run to a file of its own."
            raise DataError(str(path), f"rows of one {name}", ", ".join(found), fix)


def _bounds(folder: Path) -> dict[str, float]:
    """Read the bounds of the audio test for masks that ignore the audio."""
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
