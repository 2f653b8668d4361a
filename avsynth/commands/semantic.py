"""Score predicted label maps on AVSBench-semantic: 71 classes, as published and corrected."""

from pathlib import Path

from avsynth.core.files import write_json
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_csv
from avsynth.evaluation.label_maps import class_names, score_label_maps
from avsynth.metrics.semantic import ClassSums, per_class, summary
from avsynth.reports.page.tables import NOTHING, Cell, Column, EstimateCell, Table, Unit
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.options import Runtime

_MEANS = {
    "": "mean of all 71, as published",
    "_present": "mean of those that occur",
    "_foreground": "mean without background",
}
"""Ending of a name of `summary` -> its line in the table."""


def semantic(folder: Path, split: str, params: Params, layout: Layout, runtime: Runtime) -> Table:
    """Write ``reports/semantic/<folder's name>.csv`` (per class) and ``.json`` (means).

    Args:
        folder: of predicted label maps, ``<uid>/<frame>.png``.
        split: of AVSBench-semantic.
        params: names the root of AVSBench-semantic by ``convert.roots``.
        layout: of the project.
        runtime: unused; all entry points have the same arguments.

    Returns:
        The classes that occur, and the means.

    Raises:
        ConfigError: ``convert.roots`` names no folder of AVSBench-semantic.
        DataError: data or predictions are absent or damaged.
    """
    root = _root(params, layout)
    names = class_names(root)
    sums = score_label_maps(root, folder, split)
    table = _table(names, sums, folder.name, split)
    path = layout.reports / "semantic" / f"{folder.name}.csv"
    write_csv(path, table.frame())
    write_json(
        path.with_suffix(".json"),
        {name: round(value, 6) for name, value in summary(sums).items()},
    )
    return table


def _root(params: Params, layout: Layout) -> Path:
    roots = params.convert.roots
    for benchmark in ("v2", "v3"):
        if benchmark in roots:
            return layout.resolve(roots[benchmark])
    fix = "Set convert.roots.v2 to the folder of AVSBench-semantic."
    raise ConfigError("convert.roots", "v2 or v3", ", ".join(roots) or "nothing", fix)


def _table(names: list[str], sums: ClassSums, title: str, split: str) -> Table:
    ious, fscores = per_class(sums)
    lines: list[tuple[Cell, ...]] = [
        (name, _cell(iou, "percent"), _cell(f, "fraction"), frames)
        for name, iou, f, frames in zip(
            names, ious.tolist(), fscores.tolist(), sums.frames.tolist(), strict=True
        )
        if frames
    ]
    means = summary(sums)
    for end, text in _MEANS.items():
        iou, f = means[f"miou{end}"], means[f"fscore{end}"]
        lines.append((text, _cell(iou, "percent"), _cell(f, "fraction"), NOTHING))
    return Table(
        f"semantic-{title}",
        f"AVSBench-semantic, split {split}: {title}",
        (
            Column("category", "Class"),
            Column("iou", "IoU, %"),
            Column("f", "F"),
            Column("frames", "Frames"),
        ),
        tuple(lines),
        "A class is averaged over the frames in which it is predicted or true. The published mean "
        "counts a class that never occurs as 0. Label maps are compared at the size of the ground "
        "truth.",
    )


def _cell(value: float, unit: Unit) -> EstimateCell:
    nan = float("nan")
    return EstimateCell(value, nan, nan, unit)
