"""`avsynth gallery`: a page of a dataset with samples, funnel, class balance and histograms."""

from pathlib import Path

from avsynth.core.files import atomic_file
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.inspection.gallery import gallery_page, gallery_path
from avsynth.reports.page.html import page_html


def gallery(
    dataset: str, split: str | None, cards: int, params: Params, layout: Layout, out: Path | None
) -> Path:
    """Write one HTML file that opens offline.

    Args:
        dataset: a folder below data/shards.
        split: only this split, or None for all.
        cards: samples per category.
        params: not used; every command has it.
        layout: the project's paths.
        out: the page; None for ``reports/gallery-<dataset>.html``.

    Returns:
        The path of the page.

    Raises:
        DataError: the dataset is absent, or has no sample of this split.
    """
    path = out or gallery_path(layout, dataset)
    page = gallery_page(layout, dataset, split, cards)
    with atomic_file(path) as temporary:
        temporary.write_text(page_html(page), encoding="utf-8")
    return path
