"""Look at a dataset in FiftyOne: pictures with masks, spectrograms, previews with sound."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from avsynth.cache import cache_root
from avsynth.config import Params, Runtime
from avsynth.errors import MissingExtra
from avsynth.paths import Layout
from avsynth.viewer.database import URI_VARIABLE, database, locked
from avsynth.viewer.datasets import sync_dataset
from avsynth.viewer.rows import Selection, select_rows
from avsynth.viewer.scores import scored_runs
from avsynth.viewer.server import Media, serve
from avsynth.viewer.views import add_scores, arrange_sidebar, save_selection, save_views

_PORT = 5151


def inspect(
    dataset: str,
    selection: Selection,
    params: Params,
    layout: Layout,
    runtime: Runtime,
    opened: Callable[[str], None],
) -> None:
    """Serve a dataset in the App until it is stopped.

    Args:
        dataset: a folder below data/shards.
        selection: which samples.
        params: of the project.
        layout: of the project.
        runtime: names the cache.
        opened: called with the App's address once it answers.

    Raises:
        MissingExtra: FiftyOne is not installed.
        DataError: nothing to show, or the database does not start.
    """
    rows = select_rows(layout, dataset, selection)
    media = cache_root(runtime) / "inspect"
    with fiftyone_session(layout):
        with locked(layout.inspect / "sync.lock"):
            view = _prepare(dataset, rows, selection, params, layout, media)
        listener = _listener()
        query = f"?view={view}" if view else ""
        opened(f"http://127.0.0.1:{listener.getsockname()[1]}/datasets/{dataset}{query}")
        serve(Media(layout, media), listener)


def _prepare(
    name: str,
    rows: pd.DataFrame,
    selection: Selection,
    params: Params,
    layout: Layout,
    media: Path,
) -> str | None:
    """Bring the dataset up to date; return the slug of the view that was asked for, if any."""
    from fiftyone.core.utils import to_slug

    dataset = sync_dataset(name, rows, media)
    runs = scored_runs(layout, name, set(dataset.distinct("key")))
    add_scores(dataset, runs)
    save_views(dataset, runs, params.match.quiet_second_db)
    arrange_sidebar(dataset)
    view = save_selection(dataset, selection, list(rows["key"]))
    slug: str | None = to_slug(view) if view else None
    return slug


@contextmanager
def fiftyone_session(layout: Layout) -> Iterator[None]:
    """Load FiftyOne on the project's own database: no telemetry, no other project's data."""
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
