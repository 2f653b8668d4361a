"""A dataset with all its files in a folder, for a FiftyOne elsewhere; and the tags back from it."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from avsynth.formats.shards import ShardReader
from avsynth.inspection.fiftyone_app.media import MASK, PREVIEW, SPECTROGRAM, make_file
from avsynth.runtime.errors import DataError
from avsynth.runtime.executors import map_items
from avsynth.runtime.options import Runtime
from avsynth.runtime.progress import track

if TYPE_CHECKING:
    import fiftyone

_CHUNK = 32
SAMPLES_FILE = "samples.json"


def make_all(folder: Path, rows: pd.DataFrame, media: Path, runtime: Runtime) -> None:
    """Make every file of these samples that is not there yet.

    Args:
        folder: of the shards.
        rows: `avsynth.inspection.fiftyone_app.samples.COLUMNS`.
        media: where.
        runtime: how many workers.
    """
    names = list(zip(rows["tar"], rows["key"], rows["image"], strict=True))
    chunks = [names[i : i + _CHUNK] for i in range(0, len(names), _CHUNK)]
    made = map_items(partial(_make, folder, media), chunks, runtime)
    for _ in track(made, "files", len(chunks), runtime):
        pass


def _make(folder: Path, media: Path, samples: list[tuple[str, str, str]]) -> None:
    reader = ShardReader(folder)
    for tar, key, image in samples:
        for name in (image, MASK, SPECTROGRAM, PREVIEW):
            path = media / tar / key / name
            if not path.is_file():
                make_file(reader, key, path)


def export_view(view: "fiftyone.DatasetView", media: Path, out: Path) -> None:
    """Write a view in FiftyOne's own format: ``samples.json`` and the files.

    Raises:
        DataError: the folder holds something already.
    """
    from fiftyone.types import FiftyOneDataset

    if out.exists() and any(out.iterdir()):
        raise DataError(str(out), "a new or empty folder", "files", "Name another folder.")
    view.export(
        export_dir=str(out), dataset_type=FiftyOneDataset, export_media=True, rel_dir=str(media)
    )


def exported_documents(folder: Path) -> Iterator[dict[str, Any]]:
    """Read the samples of an exported folder, as they stand in a database.

    Raises:
        DataError: it is no such folder.
    """
    path = folder / SAMPLES_FILE
    fix = "Name a folder that avsynth inspect --export or FiftyOne wrote (FiftyOneDataset)."
    try:
        samples = json.loads(path.read_bytes())["samples"]
    except FileNotFoundError:
        raise DataError(str(path), "the samples of an export", "no such file", fix) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(str(path), "the samples of an export", repr(error), fix) from None
    for sample in samples:
        if not isinstance(sample, dict) or not isinstance(sample.get("key"), str):
            raise DataError(str(path), "samples with a key", repr(sample)[:80], fix)
        yield sample
