"""Tables in the terminal: a dataset's samples per category, with bars."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from avsynth.core.names import printable
from avsynth.core.records import SPLITS
from avsynth.inspection.dataset_stats import measure_samples
from avsynth.reports.page.tables import Cell, Column, EstimateCell, Table, cell_text

BAR_WIDTH = 12


def dataset_table(folder: Path) -> Table:
    """Build a table of samples per category and split, with median mask area and loudness.

    Raises:
        DataError: the dataset is absent, or a shard is damaged.
    """
    samples = measure_samples(folder)
    splits = [split for split in SPLITS if (samples["split"] == split).any()]
    groups = dict(list(samples.groupby("category", sort=True)))
    most = max((len(group) for group in groups.values()), default=1)
    nan = float("nan")
    lines: list[tuple[Cell, ...]] = []
    for name, group in [*groups.items(), (f"{len(groups)} categories", samples)]:
        counts = [int((group["split"] == split).sum()) for split in splits]
        share = len(group) / most
        lines.append(
            (
                str(name),
                "█" * round(BAR_WIDTH * share) if group is not samples else "",
                len(group),
                *counts,
                EstimateCell(float(group["area_frac"].median()), nan, nan, "percent"),
                EstimateCell(float(group["loudness_db"].median()), nan, nan, "decibel"),
            )
        )
    return Table(
        f"dataset-{folder.name}",
        f"{folder.name}: samples per category",
        (
            Column("category", "category"),
            Column("bar", ""),
            Column("samples", "samples"),
            *(Column(split, split) for split in splits),
            Column("area", "mask %"),
            Column("loudness", "dBFS"),
        ),
        tuple(lines),
        "medians: mask % of the image, dBFS of the second of audio",
    )


def terminal_table(table: Table) -> RichTable:
    """Return a table for the terminal; the last line of a dataset's table is its total."""
    rich = RichTable(
        title=table.caption, title_style="", caption=table.note or None, box=SIMPLE_HEAD,
        show_edge=False, pad_edge=False,
    )  # fmt: skip
    for place, column in enumerate(table.columns):
        texts = [row[place] for row in table.rows]
        left = place == 0 or column.name == "bar" or not any(_is_number(cell) for cell in texts)
        rich.add_column(
            column.title, justify="left" if left else "right", no_wrap=place < 2 or not left
        )
    for number, row in enumerate(table.rows):
        if "categories" in str(row[0]) and number == len(table.rows) - 1:
            rich.add_section()
        rich.add_row(*(Text(printable(cell_text(cell))) for cell in row))
    return rich


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, int | EstimateCell):
        return True
    return isinstance(cell, str) and cell.replace(".", "").replace("-", "").isdecimal()
