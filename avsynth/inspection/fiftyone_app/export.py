"""Export of a dataset with all its files for another FiftyOne, and reading the tags back."""

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
    """Make every file of these samples that does not exist yet.

    Args:
        folder: folder of the shards.
        rows: `avsynth.inspection.fiftyone_app.samples.COLUMNS`, one row per sample.
        media: folder of the samples' files.
        runtime: its workers make the files.
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
        DataError: the folder is not empty.
    """
    from fiftyone.types import FiftyOneDataset

    if out.exists() and any(out.iterdir()):
        raise DataError(str(out), "a new or empty folder", "files", "Choose another folder.")
    view.export(
        export_dir=str(out), dataset_type=FiftyOneDataset, export_media=True, rel_dir=str(media)
    )


def exported_documents(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the samples of an exported folder, in the form that they have in a database.

    Raises:
        DataError: the folder is not an export.
    """
    path = folder / SAMPLES_FILE
    fix = "Choose a folder written by avsynth inspect --export or FiftyOne (FiftyOneDataset)."
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
