"""Write the page of a dataset: samples to see and hear, funnel, class balance, histograms."""

from pathlib import Path

from avsynth.config import Params
from avsynth.gallery import gallery_page, gallery_path
from avsynth.paths import Layout
from avsynth.reports.page import page_html
from avsynth.tables import whole_file


def gallery(
    dataset: str, split: str | None, cards: int, params: Params, layout: Layout, out: Path | None
) -> Path:
    """Write one HTML file that opens offline.

    Args:
        dataset: a folder below data/shards.
        split: only this one, or None for all.
        cards: samples per category.
        params: not used; every entry point takes it.
        layout: of the project.
        out: the file; None for ``reports/gallery-<dataset>.html``.

    Returns:
        where it was written.

    Raises:
        DataError: no such dataset, or no sample of this split.
    """
    path = out or gallery_path(layout, dataset)
    page = gallery_page(layout, dataset, split, cards)
    with whole_file(path) as temporary:
        temporary.write_text(page_html(page), encoding="utf-8")
    return path
