"""FiftyOne dataset of dropped items and their reasons: masks on images, clips with spectrogram."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from avsynth.core.files import atomic_file
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip, MaskRecord, Triplet
from avsynth.core.tables import read_table
from avsynth.formats.logmel import logmel
from avsynth.formats.mask_rle import rle_to_mask
from avsynth.formats.render import spectrogram
from avsynth.formats.waveform import read_audio
from avsynth.inspection.fiftyone_app.datasets import GROUND_TRUTH_FIELD, GROUP
from avsynth.inspection.fiftyone_app.media import PREVIEW, SPECTROGRAM, SPECTROGRAM_PX, encode_video
from avsynth.inspection.fiftyone_app.samples import Selection, apply_selection
from avsynth.runtime.errors import AvsynthError, DataError

if TYPE_CHECKING:
    import fiftyone

DATASET = "dropped"
DEFAULT_MAX_ROWS = 1_000
"""Number of rows without ``--max``; the files of all rows are made before the App opens."""
COLUMNS = (
    "key", "item", "stage", "source", "id", "category", "reason", "path", "licence", "url",
    "height_px", "width_px", "x0_px", "y0_px", "x1_px", "y1_px", "rle", "area_frac",
    "start_s", "duration_s", "loudness_db",
)  # fmt: skip
_TEXT_FIELDS = ("item", "stage", "source", "category", "reason", "licence", "url")
_NUMBER_FIELDS = ("area_frac", "start_s", "duration_s", "loudness_db")
_MAX_PREVIEW_S = 10.0


def dropped_rows(params: Params, layout: Layout, selection: Selection) -> pd.DataFrame:
    """Return the masks and clips that a stage dropped: `COLUMNS`, sorted by key.

    Raises:
        DataError: a table is absent or damaged, or nothing was dropped.
        ConfigError: an unknown category or a wrong condition.
    """
    rows = pd.concat([_masks(params, layout), _clips(params, layout)], ignore_index=True)
    rows["key"] = rows["item"] + "/" + rows["source"] + "/" + rows["id"]
    rows = rows.sort_values("key", ignore_index=True)[list(COLUMNS)]
    if rows.empty:
        fix = "Inspect a dataset of samples instead; the tables contain all items."
        raise DataError(str(layout.interim), "dropped rows", "none", fix)
    max_rows = DEFAULT_MAX_ROWS if selection.max is None else selection.max
    return apply_selection(rows, Selection(selection.category, selection.where, max_rows))


def _masks(params: Params, layout: Layout) -> pd.DataFrame:
    folders = params.masks.folders()
    table = pd.concat(read_table(layout.masks(source), MaskRecord) for source in folders)
    table["path"] = [
        str(layout.resolve(folders[source]) / path)
        for source, path in zip(table["source"], table["image_path"], strict=True)
    ]
    table = table.rename(columns={"mask_id": "id"}).assign(item="mask", stage="masks")
    later = pd.DataFrame(columns=["source", "id", "reason"])
    if layout.triplets_csv.is_file():
        triplets = read_table(layout.triplets_csv, Triplet)
        triplets = triplets.rename(columns={"mask_source": "source", "mask_id": "id"})
        later = triplets.loc[triplets["status"] == "dropped", ["source", "id", "reason"]]
        later = later.assign(id=later["id"].str.split("+")).explode("id")
    return _dropped(table, later)


def _clips(params: Params, layout: Layout) -> pd.DataFrame:
    folders = params.audio.folders()
    table = pd.concat(read_table(layout.audio(source), AudioClip) for source in folders)
    table["path"] = [
        str(layout.resolve(folders[source]) / path)
        for source, path in zip(table["source"], table["audio_path"], strict=True)
    ]
    table = table.rename(columns={"clip_id": "id", "rms_db": "loudness_db"})
    later = pd.DataFrame(columns=["source", "id", "reason"])
    if layout.clips_csv.is_file():
        pool = pd.read_csv(layout.clips_csv, dtype=str, keep_default_na=False)
        pool = pool.rename(columns={"clip_source": "source", "clip_id": "id"})
        later = pool.loc[pool["status"] == "dropped", ["source", "id", "reason"]]
    return _dropped(table.assign(item="clip", stage="audio"), later)


def _dropped(table: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that the table marks as dropped and those that ``match`` dropped later."""
    first = table[table["status"] == "dropped"]
    kept = table[table["status"] == "ok"].drop(columns="reason")
    matched = kept.merge(later, on=["source", "id"]).assign(stage="match")
    rows = pd.concat([first, matched], ignore_index=True)
    return rows.reindex(columns=[name for name in COLUMNS if name != "key"])


def fill_dataset(rows: pd.DataFrame, media: Path) -> "fiftyone.Dataset":
    """Rebuild the dataset from rows of `COLUMNS`, with a saved view for every reason.

    Args:
        rows: the dropped items; a grey image replaces a file that is absent or unreadable.
        media: folder of the masks, spectrograms and previews.
    """
    import fiftyone
    from fiftyone import ViewField

    dataset = fiftyone.Dataset(DATASET, persistent=True, overwrite=True)
    dataset.add_group_field(GROUP, default="image")
    for part, media_type in (("image", "image"), ("preview", "video")):
        dataset.add_group_slice(part, media_type)
    for field in ("width", "height", "frame_width", "frame_height"):
        dataset.add_sample_field(f"metadata.{field}", fiftyone.IntField)
    dataset.add_sample_field("metadata.frame_rate", fiftyone.FloatField)
    samples = [sample for row in rows.to_dict("records") for sample in _samples(row, media)]
    dataset.add_samples(samples, progress=False)
    for (item, reason), group in rows.groupby(["item", "reason"], sort=True):
        same = (ViewField("item") == item) & (ViewField("reason") == reason)
        name = f"{item}s dropped: {reason}"
        dataset.save_view(name, dataset.match(same), description=f"{len(group)} rows")
    return dataset


def _samples(row: dict[Any, Any], media: Path) -> Iterator["fiftyone.Sample"]:
    import fiftyone

    folder = media / DATASET / hashlib.sha256(str(row).encode()).hexdigest()[:16]
    make = _mask_files if row["item"] == "mask" else _clip_files
    try:
        files = make(row, folder)
    except (AvsynthError, OSError, ValueError) as error:
        files = {"image": (_blank(folder), {"unreadable": str(error)})}
    group = fiftyone.Group()
    facts = {name: row[name] for name in _TEXT_FIELDS} | {"source_id": row["id"]}
    facts |= {name: float(row[name]) for name in _NUMBER_FIELDS if np.isfinite(row[name])}
    for part, (path, fields) in files.items():
        yield fiftyone.Sample(str(path), key=row["key"], **facts, **fields,
                              **{GROUP: group.element(part)})  # fmt: skip


Files = dict[str, tuple[Path, dict[str, Any]]]


def _mask_files(row: dict[Any, Any], folder: Path) -> Files:
    import fiftyone

    image = Path(row["path"])
    if not image.is_file():
        raise DataError(row["path"], "an image", "no such file", "Download it.")
    if not row["rle"]:
        return {"image": (image, {})}
    mask = rle_to_mask(row["rle"], int(row["height_px"]), int(row["width_px"]))
    x0, y0, x1, y1 = (int(row[name]) for name in ("x0_px", "y0_px", "x1_px", "y1_px"))
    if x1 <= x0 or y1 <= y0:
        return {"image": (image, {})}
    height, width = mask.shape
    path = _make_once(folder / "mask.png", lambda to: _save(to, mask[y0:y1, x0:x1] * np.uint8(255)))
    box = [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]
    detection = fiftyone.Detection(label=row["category"], bounding_box=box, mask_path=str(path))
    return {"image": (image, {GROUND_TRUTH_FIELD: fiftyone.Detections(detections=[detection])})}


def _clip_files(row: dict[Any, Any], folder: Path) -> Files:
    import fiftyone

    audio, _ = read_audio(Path(row["path"]), 0.0, _MAX_PREVIEW_S)
    if not len(audio):
        raise DataError(row["path"], "audio", "an empty file", "Download it again.")
    bands = logmel(audio).reshape(-1, 64)
    height, width = SPECTROGRAM_PX
    still = np.asarray(Image.fromarray(spectrogram(bands, height)).resize((2 * width, height)))
    image = _make_once(folder / SPECTROGRAM, lambda to: _save(to, still))
    preview = _make_once(
        folder / PREVIEW, lambda to: to.write_bytes(encode_video(still, audio, height))
    )
    metadata = fiftyone.VideoMetadata(frame_width=2 * width, frame_height=height, frame_rate=20.0)
    return {"image": (image, {}), "preview": (preview, {"metadata": metadata})}


def _blank(folder: Path) -> Path:
    return _make_once(folder / "blank.png", lambda to: _save(to, np.full((96, 96), 128, np.uint8)))


def _make_once(path: Path, write: Callable[[Path], object]) -> Path:
    if not path.is_file():
        with atomic_file(path) as temporary:
            write(temporary)
    return path


def _save(path: Path, pixels: Any) -> None:
    Image.fromarray(pixels).save(path, "PNG")
