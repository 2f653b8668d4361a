"""Counts per category equal those of the shards; bars are proportional to them."""

import io
from collections import Counter

from rich.console import Console

from avsynth.core.paths import Layout
from avsynth.formats.shards import ShardReader
from avsynth.inspection.dataset_stats import measure_samples
from avsynth.inspection.stats import BAR_WIDTH, dataset_table, terminal_table


def test_counts_equal_those_of_the_shards(built):
    folder = Layout(built).shards("avs-synthetic")
    reader = ShardReader(folder)
    counted = Counter(reader.meta(key)["category"] for key in reader.keys)
    table = dataset_table(folder)
    *rows, total = table.rows
    assert {row[0]: row[2] for row in rows} == counted
    assert total[2] == len(reader)
    assert total[0] == f"{len(counted)} categories"
    names = [column.name for column in table.columns]
    assert sum(total[names.index(split)] for split in ("train", "val", "test")) == len(reader)
    largest = max(rows, key=lambda row: row[2])
    assert len(largest[1]) == BAR_WIDTH
    assert all(len(row[1]) == round(BAR_WIDTH * row[2] / largest[2]) for row in rows)


def test_areas_and_loudness_are_within_their_ranges(built):
    samples = measure_samples(Layout(built).shards("avs-synthetic"), "val")
    assert set(samples["split"]) == {"val"}
    assert samples["area_frac"].between(0.002, 0.95).all()
    assert samples["loudness_db"].between(-60, 0).all()
    assert samples["key"].is_unique


def test_a_narrow_terminal_shows_every_number(built):
    console = Console(width=80, record=True, file=io.StringIO())
    table = dataset_table(Layout(built).shards("avs-synthetic"))
    console.print(terminal_table(table))
    text = console.export_text()
    assert "…" not in text
    for row in table.rows:
        assert row[0] in text
