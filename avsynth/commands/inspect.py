"""`avsynth inspect`: a dataset in FiftyOne, with masks, spectrograms and previews with audio."""

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from avsynth.building.reviews import (
    REVIEWS_FILE,
    merge_reviews,
    read_reviews,
    reviews_of,
    write_reviews,
)
from avsynth.core.cache import cache_root
from avsynth.core.files import file_lock
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.formats.shards import ShardReader
from avsynth.inspection.fiftyone_app.database import URI_VARIABLE, database
from avsynth.inspection.fiftyone_app.datasets import sync_dataset
from avsynth.inspection.fiftyone_app.dropped import DATASET as DROPPED
from avsynth.inspection.fiftyone_app.dropped import dropped_rows, fill_dataset
from avsynth.inspection.fiftyone_app.duplicates import find_duplicates
from avsynth.inspection.fiftyone_app.export import export_view, exported_documents, make_all
from avsynth.inspection.fiftyone_app.samples import Selection, select_rows
from avsynth.inspection.fiftyone_app.scores import scored_runs
from avsynth.inspection.fiftyone_app.server import Media, serve
from avsynth.inspection.fiftyone_app.views import (
    add_scores,
    arrange_sidebar,
    save_selection,
    save_views,
)
from avsynth.runtime.errors import ConfigError, DataError, MissingExtra
from avsynth.runtime.options import Runtime

if TYPE_CHECKING:
    import fiftyone

_PORT = 5151


@dataclass(frozen=True, slots=True)
class InspectOptions:
    """The dataset and the samples to inspect, and what to do with them."""

    dataset: str
    """A folder below data/shards, or ``dropped``: the items that the stages dropped."""
    selection: Selection
    brain: bool = False
    """Find duplicates and leaky splits with FiftyOne Brain; decodes every image."""
    export: Path | None = None
    """Write the samples with all their files to this folder instead of serving them."""


def inspect(
    options: InspectOptions,
    params: Params,
    layout: Layout,
    runtime: Runtime,
    write_line: Callable[[str], None],
) -> None:
    """Serve a dataset in the App until it is stopped, or export it.

    Args:
        options: the dataset and the samples to inspect.
        params: the project's parameters.
        layout: the project's paths.
        runtime: the cache and the workers.
        write_line: called with the App's address, the duplicates found and the export's folder.

    Raises:
        MissingExtra: FiftyOne is not installed.
        ConfigError: the selection is invalid, or ``brain`` is set for dropped items.
        DataError: no sample is selected, or the database does not start.
    """
    if options.brain and options.dataset == DROPPED:
        fix = "Remove --brain, or choose a dataset of samples."
        raise ConfigError("--brain", "a dataset of samples", repr(DROPPED), fix)
    media = cache_root(runtime) / "inspect"
    rows = _rows(options, params, layout, runtime)
    with fiftyone_session(layout):
        with file_lock(layout.inspect / "sync.lock"):
            if options.dataset == DROPPED:
                dataset, view = fill_dataset(rows, media), None
                arrange_sidebar(dataset)
            else:
                dataset, view = _prepare(options, rows, params, layout, media)
            if options.brain:
                reader = ShardReader(layout.shards(options.dataset))
                found = find_duplicates(dataset, reader, rows)
                write_line(", ".join(f"{count} {name}" for name, count in found.items()))
        if options.export is not None:
            _export(options, rows, dataset, layout, runtime)
            write_line(f"wrote {options.export}")
            return
        listener = _listener()
        token = secrets.token_urlsafe(16)
        write_line(_address(listener, options.dataset, view, token))
        serve(Media(layout, media, _image_folders(params, layout)), listener, token)


def pull(
    dataset: str, exported: Path | None, params: Params, layout: Layout
) -> tuple[Path, list[str]]:
    """Write the tags, new labels and deletions of the App to the list of reviews.

    Args:
        dataset: a folder below data/shards.
        exported: folder of an exported dataset to read instead of the project's database.
        params: ``match.reviews`` is the list's path; ``reviews.csv`` if it is null.
        layout: the project's paths.

    Returns:
        The path of the list, and a summary line by line.

    Raises:
        ConfigError: the dataset contains dropped items, which need no review.
        DataError: the dataset was never opened, or the list is damaged.
        MissingExtra: FiftyOne is not installed.
    """
    if dataset == DROPPED:
        fix = "Choose a dataset of samples; dropped items need no review."
        raise ConfigError("--dataset", "a dataset of samples", repr(DROPPED), fix)
    path = layout.resolve(params.match.reviews or REVIEWS_FILE)
    if exported is not None:
        documents = list(exported_documents(exported))
    else:
        with fiftyone_session(layout):
            documents = _documents(dataset)
    pulled = reviews_of(dataset, documents)
    reviews = merge_reviews(read_reviews(path), dataset, pulled)
    write_reviews(path, reviews)
    lines = [f"{len(pulled.reviews)} reviews of {len(pulled.seen)} samples, {len(reviews)} in all"]
    if pulled.other_tags:
        tags = ", ".join(f"{tag!r} ({count})" for tag, count in sorted(pulled.other_tags.items()))
        lines.append(f"ignored tags, not verdicts: {tags}")
    if params.match.reviews is None:
        lines.append(f"match.reviews is null; set it to {REVIEWS_FILE} to drop the reviewed items")
    return path, lines


@contextmanager
def fiftyone_session(layout: Layout) -> Iterator[None]:
    """Import FiftyOne with the project's own database and without telemetry.

    One project per process, because FiftyOne connects once.
    """
    with database(layout.inspect) as uri:
        os.environ.update(
            {
                URI_VARIABLE: uri,
                "FIFTYONE_DO_NOT_TRACK": "1",
                "FIFTYONE_DATABASE_VALIDATION": "false",
                "FIFTYONE_SHOW_PROGRESS_BARS": "false",
                "FIFTYONE_LOGGING_LEVEL": "ERROR",
                "FIFTYONE_SERVER": "1",
            }
        )
        try:
            import fiftyone  # noqa: F401
        except ImportError:
            raise MissingExtra("fiftyone", "view") from None
        yield


def _rows(
    options: InspectOptions, params: Params, layout: Layout, runtime: Runtime
) -> pd.DataFrame:
    if options.dataset == DROPPED:
        return dropped_rows(params, layout, options.selection)
    return select_rows(layout, options.dataset, options.selection, runtime)


def _prepare(
    options: InspectOptions, rows: pd.DataFrame, params: Params, layout: Layout, media: Path
) -> tuple["fiftyone.Dataset", str | None]:
    """Update the dataset; return it and the view of the selection, None if that is all samples."""
    dataset = sync_dataset(options.dataset, rows, media)
    runs = scored_runs(layout, options.dataset, set(dataset.distinct("key")))
    add_scores(dataset, runs)
    save_views(dataset, runs, params.match.quiet_second_db)
    arrange_sidebar(dataset)
    return dataset, save_selection(dataset, options.selection, list(rows["key"]))


def _export(
    options: InspectOptions,
    rows: pd.DataFrame,
    dataset: "fiftyone.Dataset",
    layout: Layout,
    runtime: Runtime,
) -> None:
    from fiftyone import ViewField

    assert options.export is not None
    media = cache_root(runtime) / "inspect"
    if options.dataset != DROPPED:
        make_all(layout.shards(options.dataset), rows, media, runtime)
    export_view(dataset.match(ViewField("key").is_in(list(rows["key"]))), media, options.export)


def _documents(name: str) -> list[dict[str, Any]]:
    import fiftyone

    if not fiftyone.dataset_exists(name):
        fix = f"Open it first: avsynth inspect --dataset {name}."
        raise DataError("inspect pull", "a dataset opened by avsynth inspect", repr(name), fix)
    return list(fiftyone.load_dataset(name)._sample_collection.find())


def _image_folders(params: Params, layout: Layout) -> list[Path]:
    """Return the image folders of the mask sources."""
    return [layout.resolve(folder) for folder in params.masks.folders().values()]


def _address(listener: socket.socket, dataset: str, view: str | None, token: str) -> str:
    from fiftyone.core.utils import to_slug

    address = f"http://127.0.0.1:{listener.getsockname()[1]}/datasets/{dataset}?token={token}"
    return f"{address}&view={to_slug(view)}" if view else address


def _listener() -> socket.socket:
    """Bind the App's default port, or a free one if it is in use."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", _PORT))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    return listener
