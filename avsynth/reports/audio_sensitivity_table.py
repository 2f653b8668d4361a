"""The audio test as a table: how predictions depend on the audio."""

import pandas as pd

from avsynth.metrics.rows import AUDIO
from avsynth.reports.page.tables import NOTHING, Cell, Column, EstimateCell, Table
from avsynth.reports.read_scores import groups
from avsynth.reports.score_cells import Scorer, false_frac, predicted_frac, shows_mask

_AUDIO_TEXT = {
    "own": "its own",
    "silence": "silence",
    "noise": "white noise",
    "other": "another category",
}


def audio_table(audio_test: pd.DataFrame, blind: dict[str, float], scorer: Scorer) -> Table:
    """Build the table of each run's predictions for the same images with other audio.

    Args:
        audio_test: rows of the audio test.
        blind: run to the best mean IoU of one mask per image, the same for any audio.
        scorer: computes the cells.
    """
    lines: list[tuple[Cell, ...]] = []
    nan = float("nan")
    for run, of_run in groups(audio_test):
        for audio in AUDIO:
            group = of_run[of_run["audio"] == audio]
            if len(group):
                cells = _cells(group, audio, scorer)
                lines.append((run["run"], _AUDIO_TEXT[audio], *cells, len(group)))
    for value in sorted(set(blind.values())):
        runs = "any" if len(set(blind.values())) == 1 else _runs_with(blind, value)
        bound = EstimateCell(value, nan, nan, "percent", bar=True)
        rest = (NOTHING, NOTHING, NOTHING, NOTHING)
        lines.append((runs, "best masks that ignore the audio", bound, *rest))
    return Table(
        "audio-test",
        "The same images with other audio",
        (
            Column("run", "Run"),
            Column("audio", "Audio"),
            Column("miou", "IoU with the object, %", "high with its own audio, low with others"),
            Column("predicted", "Image predicted, %", "share of the pixels predicted to sound"),
            Column("false_px", "False pixels, %", "share of the silent pixels predicted to sound"),
            Column("false_frames", "False alarms, %", "frames with a mask but no sounding object"),
            Column("frames", "Frames"),
        ),
        tuple(lines),
        "With its own audio, pixels outside the object are false. With silence, noise or audio of "
        "another category nothing in the image should be predicted, so every pixel is silent and "
        "every mask of at least 1 % of the image is a false alarm. The best masks that ignore the "
        "audio are one mask per image, chosen with the ground truth to fit all of its audio.",
    )


def _runs_with(blind: dict[str, float], value: float) -> str:
    return ", ".join(run for run in sorted(blind) if blind[run] == value)


def _cells(group: pd.DataFrame, audio: str, scorer: Scorer) -> tuple[Cell, ...]:
    own = audio == "own"
    return (
        scorer.cell(group, "miou", bar=True),
        scorer.share(group, predicted_frac),
        scorer.share(group, false_frac if own else predicted_frac),
        NOTHING if own else scorer.share(group, shows_mask),
    )
