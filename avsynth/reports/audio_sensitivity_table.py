"""The audio test as a table: what a model marks when the sound is another."""

import pandas as pd

from avsynth.reports.page.tables import NOTHING, Cell, Column, Measured, Table
from avsynth.reports.read_scores import SOUNDS, groups
from avsynth.reports.score_cells import Judge, false_frac, predicted_frac, shows_mask


def sound_table(sounds: pd.DataFrame, blind: dict[str, float], judge: Judge) -> Table:
    """Lay out what each run predicts for the same pictures with another sound.

    Args:
        sounds: rows of the audio test.
        blind: run to the best mean IoU of an answer that does not listen.
        judge: measures the rows.
    """
    lines: list[tuple[Cell, ...]] = []
    nan = float("nan")
    for run, of_run in groups(sounds):
        for sound in SOUNDS:
            group = of_run[of_run["sound"] == sound]
            if len(group):
                cells = _sound_cells(group, sound, judge)
                lines.append((run["run"], _SOUND_WORDS[sound], *cells, len(group)))
    for value in sorted(set(blind.values())):
        runs = "any" if len(set(blind.values())) == 1 else _runs_with(blind, value)
        bound = Measured(value, nan, nan, "percent", bar=True)
        rest = (NOTHING, NOTHING, NOTHING, NOTHING)
        lines.append((runs, "best answer that is deaf", bound, *rest))
    return Table(
        "audio-test",
        "The same pictures with another sound",
        (
            Column("run", "Run"),
            Column("sound", "Sound"),
            Column("miou", "IoU with the object, %", "high with its own sound, low with others"),
            Column("predicted", "Picture predicted, %", "share of the pixels said to sound"),
            Column("false_px", "False pixels, %", "share of the silent pixels said to sound"),
            Column("false_frames", "False alarms, %", "frames with a mask that nothing sounds for"),
            Column("frames", "Frames"),
        ),
        tuple(lines),
        "With its own sound, pixels outside the object are false. With silence, noise or a sound "
        "of another category nothing in the picture should be marked, so every pixel is silent and "
        "every mask of at least 1 % of the picture is a false alarm. The best deaf answer is one "
        "mask per picture, chosen with the truth at hand to fit all of its sounds.",
    )


def _runs_with(blind: dict[str, float], value: float) -> str:
    return ", ".join(run for run in sorted(blind) if blind[run] == value)


_SOUND_WORDS = {
    "own": "its own",
    "silence": "silence",
    "noise": "white noise",
    "other": "another category",
}


def _sound_cells(group: pd.DataFrame, sound: str, judge: Judge) -> tuple[Cell, ...]:
    own = sound == "own"
    return (
        judge.cell(group, "miou", bar=True),
        judge.share(group, predicted_frac),
        judge.share(group, false_frac if own else predicted_frac),
        NOTHING if own else judge.share(group, shows_mask),
    )
