"""The gallery of a dataset: one offline HTML page, without FiftyOne."""

from pathlib import Path

import pandas as pd

from avsynth.core.funnel import category_rows, read_funnels
from avsynth.core.hashing import order_key
from avsynth.core.paths import Layout
from avsynth.core.records import SPLITS
from avsynth.formats.images import decode_image, decode_mask, shrink
from avsynth.formats.render import GROUND_TRUTH, audio_uri, jpeg_uri, overlay
from avsynth.formats.shards import ShardReader
from avsynth.inspection.dataset_stats import measure_samples
from avsynth.reports.page.cards import LONGEST_PX, Card, CardImage, Cards, spectrogram_image
from avsynth.reports.page.figures import Figure, histogram_figure
from avsynth.reports.page.html import Page
from avsynth.reports.page.tables import Cell, Column, EstimateCell, Table
from avsynth.reports.sections import Section
from avsynth.runtime.errors import DataError


def gallery_page(layout: Layout, dataset: str, split: str | None, cards: int) -> Page:
    """Build the page of a dataset.

    Args:
        layout: the project's paths; its funnels are shown too.
        dataset: a folder below data/shards.
        split: only this split, or None for all.
        cards: samples per category on the contact sheets, chosen by a hash of their keys.

    Raises:
        DataError: the dataset is absent, or has no sample of this split.
    """
    folder = layout.shards(dataset)
    samples = measure_samples(folder, split)
    if samples.empty:
        fix = "Choose another split." if split else "Build the dataset first."
        raise DataError(str(folder), "samples to show", "none", fix)
    reader = ShardReader(folder, split)
    facts = (
        (f"{len(samples):,}", "samples"),
        (f"{samples['category'].nunique()}", "categories"),
        *((f"{int((samples['split'] == name).sum()):,}", name) for name in SPLITS),
    )
    return Page(
        f"Dataset {dataset}",
        "Images with the mask of the sounding object, and one second of its audio.",
        facts,
        (
            _balance(samples),
            _distributions(samples),
            _funnel(layout),
            _sheets(reader, samples, cards),
        ),
        footer=f"Written by avsynth gallery from data/shards/{dataset}.",
    )


def _balance(samples: pd.DataFrame) -> Section:
    splits = [name for name in SPLITS if (samples["split"] == name).any()]
    most = samples["category"].value_counts().max()
    nan = float("nan")
    lines: list[tuple[Cell, ...]] = []
    for category, group in samples.groupby("category", sort=True):
        lines.append(
            (
                str(category),
                EstimateCell(len(group) / most, nan, nan, "percent", bar=True),
                len(group),
                *(int((group["split"] == name).sum()) for name in splits),
                EstimateCell(float(group["area_frac"].median()), nan, nan, "percent"),
                EstimateCell(float(group["loudness_db"].median()), nan, nan, "decibel"),
                ", ".join(sorted(set(group["mask_source"]))),
            )
        )
    table = Table(
        "balance",
        "Samples per category",
        (
            Column("category", "Category"),
            Column("share", "% of the largest"),
            Column("samples", "Samples"),
            *(Column(name, name) for name in splits),
            Column("area", "Mask, % of image", "median"),
            Column("loudness_db", "Audio, dBFS", "median"),
            Column("sources", "Mask sources"),
        ),
        tuple(lines),
    )
    lead = "Number of samples per category, with the median mask area and the median loudness."
    return Section("balance", "Class balance", lead, (table,))


def _distributions(samples: pd.DataFrame) -> Section:
    splits = [name for name in SPLITS if (samples["split"] == name).any()]

    def figure(column: str, scale: float, label: str, caption: str) -> Figure:
        values = {
            name: [scale * v for v in samples.loc[samples["split"] == name, column] if v > -200]
            for name in splits
        }
        return histogram_figure(values, label, caption)

    silent = int((samples["loudness_db"] <= -200).sum())
    area = figure("area_frac", 100, "mask, % of the image", "Mask area as a share of the image.")
    loud = figure("loudness_db", 1, "loudness, dBFS", "Loudness of the second of audio.")
    return Section(
        "distributions",
        "Areas and loudness",
        "Inspect very small masks and very quiet seconds first: they are most often bad samples.",
        figures=(area, loud),
        missing=f"{silent} samples of digital silence are not drawn." if silent else "",
    )


def _funnel(layout: Layout) -> Section:
    funnels = read_funnels(layout.reports / "funnel")
    building = {
        name: frame
        for name, frame in funnels.items()
        if frame["stage"].isin(["categories", "masks", "audio", "match", "shard"]).any()
    }
    lead = "Items of the sources, dropped items by reason, and used items. Every item is counted."
    if "categories.csv" not in building:
        missing = "No funnels in reports/funnel: the stages of the build write them."
        return Section("funnel", "Funnel", lead, missing=missing)
    rows = category_rows(building)
    empty = rows[(rows["masks found"] == 0) & (rows["clips found"] == 0)]
    rows = rows.drop(empty.index)
    nothing = f"No mask and no clip at all: {', '.join(empty['category'])}." if len(empty) else ""
    used = rows["masks used"] > 0
    tables = (
        _counts("funnel", "Masks and clips per category", rows[used], nothing),
        _counts("unused", "Categories without samples", rows[~used]),
        _drops(pd.concat(building.values())),
    )
    return Section("funnel", "Funnel", lead, tuple(table for table in tables if table.rows))


def _drops(funnel: pd.DataFrame) -> Table:
    dropped = funnel[funnel["status"] == "dropped"]
    counts = (
        dropped.groupby(["stage", "source", "kind", "reason"], sort=True)["count"]
        .sum()
        .reset_index()
    )
    return Table(
        "drops",
        "Why items were dropped",
        (
            Column("stage", "Stage"),
            Column("source", "Source"),
            Column("kind", "Kind"),
            Column("reason", "Reason"),
            Column("count", "Dropped"),
        ),
        tuple(
            (str(row.stage), str(row.source), str(row.kind), str(row.reason), int(row["count"]))
            for _, row in counts.iterrows()
        ),
    )


def _counts(name: str, caption: str, rows: pd.DataFrame, note: str = "") -> Table:
    columns = tuple(Column(str(title).replace(" ", "_"), str(title)) for title in rows.columns)
    lines = tuple(
        tuple(int(v) if not isinstance(v, str) else v for v in row)
        for row in rows.itertuples(index=False, name=None)
    )
    return Table(name, caption, columns, lines, note, folded=name == "unused")


def _sheets(reader: ShardReader, samples: pd.DataFrame, cards: int) -> Section:
    sheets = []
    for category, group in samples.groupby("category", sort=True):
        chosen = group.loc[group["key"].map(order_key).sort_values().index[:cards]]
        made = tuple(_card(reader, row) for _, row in chosen.iterrows())
        sheets.append(Cards(f"{category} ({len(group):,})", made))
    lead = "A deterministic sample of every category, with the mask in green and the audio."
    return Section("samples", "Samples", lead, cards=tuple(sheets))


def _card(reader: ShardReader, row: pd.Series) -> Card:
    key, category = row["key"], row["category"]
    parts = reader.parts(key)
    with reader.naming(key):
        content = next(c for name, c in parts.items() if name.startswith("image."))
        image = shrink(decode_image(content), LONGEST_PX)
        painted = overlay(image, decode_mask(parts["mask.png"]), GROUND_TRUTH)
        spectrogram = spectrogram_image(parts, category)
    area = f"{100 * row['area_frac']:.1f} % of the image"
    sources = f"{row['mask_source']} + {row['clip_source']}"
    remark = f"{row['split']} · {sources} · {row['loudness_db']:.1f} dBFS"
    marked = CardImage(jpeg_uri(painted), f"{category} marked in green, {area}", area)
    images = (marked, spectrogram)
    return Card("", remark, images, audio_uri(parts["audio.flac"]), key)


def gallery_path(layout: Layout, dataset: str) -> Path:
    """Return the default path of a dataset's page."""
    return layout.reports / f"gallery-{dataset}.html"
