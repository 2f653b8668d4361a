"""Look at a dataset in FiftyOne: pictures with masks, spectrograms, previews with sound."""

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
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.formats.shards import ShardReader
from avsynth.inspection.fiftyone_app.database import URI_VARIABLE, database, locked
from avsynth.inspection.fiftyone_app.datasets import sync_dataset
from avsynth.inspection.fiftyone_app.dropped import DATASET as DROPPED
from avsynth.inspection.fiftyone_app.dropped import dropped_rows, fill_dataset
from avsynth.inspection.fiftyone_app.duplicates import think
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
from avsynth.runtime.cache import cache_root
from avsynth.runtime.errors import ConfigError, DataError, MissingExtra
from avsynth.runtime.options import Runtime

if TYPE_CHECKING:
    import fiftyone

_PORT = 5151


@dataclass(frozen=True, slots=True)
class Looked:
    """What `inspect` is asked for."""

    dataset: str
    """A folder below data/shards, or ``dropped``: what the tables dropped, by reason."""
    selection: Selection
    brain: bool = False
    """Find duplicates and leaky splits; decodes every picture."""
    export: Path | None = None
    """Write the samples with all their files to this folder instead of serving them."""


def inspect(
    looked: Looked,
    params: Params,
    layout: Layout,
    runtime: Runtime,
    say: Callable[[str], None],
) -> None:
    """Serve a dataset in the App until it is stopped, or export it.

    Args:
        looked: at what.
        params: of the project.
        layout: of the project.
        runtime: names the cache.
        say: called with the App's address once it answers, and with what the brain found.

    Raises:
        MissingExtra: FiftyOne is not installed.
        ConfigError: a wrong selection, or a brain for what was dropped.
        DataError: nothing to show, or the database does not start.
    """
    if looked.brain and looked.dataset == DROPPED:
        fix = "Leave one of the two out."
        raise ConfigError("--brain", "a dataset of samples", repr(DROPPED), fix)
    media = cache_root(runtime) / "inspect"
    rows = _rows(looked, params, layout, runtime)
    with fiftyone_session(layout):
        with locked(layout.inspect / "sync.lock"):
            if looked.dataset == DROPPED:
                dataset, view = fill_dataset(rows, media), None
                arrange_sidebar(dataset)
            else:
                dataset, view = _prepare(looked, rows, params, layout, media)
            if looked.brain:
                found = think(dataset, ShardReader(layout.shards(looked.dataset)), rows)
                say(", ".join(f"{count} {name}" for name, count in found.items()))
        if looked.export is not None:
            _export(looked, rows, dataset, layout, runtime)
            say(f"wrote {looked.export}")
            return
        listener = _listener()
        token = secrets.token_urlsafe(16)
        say(_address(listener, looked.dataset, view, token))
        serve(Media(layout, media, _pictures(params, layout)), listener, token)


def pull(
    dataset: str, exported: Path | None, params: Params, layout: Layout
) -> tuple[Path, list[str]]:
    """Write what was tagged, relabelled or deleted in the App to the list of reviews.

    Args:
        dataset: a folder below data/shards.
        exported: folder of an exported dataset to read instead of the project's database.
        params: ``match.reviews`` names the list; ``reviews.csv`` when that is null.
        layout: of the project.

    Returns:
        The list, and lines that say what was found.

    Raises:
        ConfigError: the dataset holds what is dropped already.
        DataError: the dataset was never opened, or the list is damaged.
        MissingExtra: FiftyOne is not installed.
    """
    if dataset == DROPPED:
        raise ConfigError("--dataset", "a dataset of samples", repr(DROPPED), "They are out.")
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
        lines.append(f"left alone, no verdicts: {tags}")
    if params.match.reviews is None:
        lines.append(f"match.reviews is null: set it to {REVIEWS_FILE} to drop them")
    return path, lines


@contextmanager
def fiftyone_session(layout: Layout) -> Iterator[None]:
    """Load FiftyOne on the project's own database: no telemetry, no other project's data.

    For one project in a process: FiftyOne connects once.
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


def _rows(looked: Looked, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    if looked.dataset == DROPPED:
        return dropped_rows(params, layout, looked.selection)
    return select_rows(layout, looked.dataset, looked.selection, runtime)


def _prepare(
    looked: Looked, rows: pd.DataFrame, params: Params, layout: Layout, media: Path
) -> tuple["fiftyone.Dataset", str | None]:
    """Bring the dataset up to date; name the view that was asked for, if it is not all."""
    dataset = sync_dataset(looked.dataset, rows, media)
    runs = scored_runs(layout, looked.dataset, set(dataset.distinct("key")))
    add_scores(dataset, runs)
    save_views(dataset, runs, params.match.quiet_second_db)
    arrange_sidebar(dataset)
    return dataset, save_selection(dataset, looked.selection, list(rows["key"]))


def _export(
    looked: Looked,
    rows: pd.DataFrame,
    dataset: "fiftyone.Dataset",
    layout: Layout,
    runtime: Runtime,
) -> None:
    from fiftyone import ViewField

    assert looked.export is not None
    media = cache_root(runtime) / "inspect"
    if looked.dataset != DROPPED:
        make_all(layout.shards(looked.dataset), rows, media, runtime)
    export_view(dataset.match(ViewField("key").is_in(list(rows["key"]))), media, looked.export)


def _documents(name: str) -> list[dict[str, Any]]:
    import fiftyone

    if not fiftyone.dataset_exists(name):
        fix = "Open it first: avsynth inspect."
        raise DataError("inspect pull", "a dataset that was opened", repr(name), fix)
    return list(fiftyone.load_dataset(name)._sample_collection.find())


def _pictures(params: Params, layout: Layout) -> list[Path]:
    """List the folders that pictures of the mask sources lie in."""
    return [layout.resolve(folder) for folder in params.masks.folders().values()]


def _address(listener: socket.socket, dataset: str, view: str | None, token: str) -> str:
    from fiftyone.core.utils import to_slug

    address = f"http://127.0.0.1:{listener.getsockname()[1]}/datasets/{dataset}?token={token}"
    return f"{address}&view={to_slug(view)}" if view else address


def _listener() -> socket.socket:
    """Bind the App's usual port, or a free one when another inspection has it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", _PORT))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    return listener
