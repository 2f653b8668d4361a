"""What the chosen categories need: the files of each source as lists of items, step by step.

A source yields `Parcel`s one after the other, because the second list can only be read off the
files that the first one brings (which pictures are needed stands in the annotations).
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from avsynth.core.hashing import order_key
from avsynth.core.params.building import CocoParams, LvisParams, VggsoundParams
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.download.catalog import file_item, known
from avsynth.download.items import Item
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.audio.clip_lists import BadRow, ListedRow, is_youtube_id, read_rows
from avsynth.sources.categories import Vocabulary, load_vocabulary
from avsynth.sources.masks.annotation_index import open_index

WATCH_URL = "https://www.youtube.com/watch?v="
PICTURES_URL = "https://open-images-dataset.s3.amazonaws.com"
MASKS_URL = "https://storage.googleapis.com/openimages/v5"
_IMAGE_ID = re.compile(r"[0-9a-f]{16}")
_MASK_NAME = re.compile(r"([0-9a-f]{16})_m[0-9a-z_]+_[0-9a-f]{8}\.png")
_COCO_PATH = re.compile(r"(train2017|val2017)/\d{12}\.jpg")


@dataclass(frozen=True, slots=True)
class Parcel:
    """A list of items that are brought in one go, below one folder with one ledger."""

    kind: str
    """annotations, pictures, masks, clips or weights; also the ledger's name."""
    root: Path
    items: list[Item]


@dataclass(frozen=True, slots=True)
class Wish:
    """Everything that decides what is wanted."""

    params: Params
    layout: Layout
    runtime: Runtime
    vocabulary: Vocabulary
    sample: int | None
    """At most this many pictures or clips per category; None for all."""


def wish(params: Params, layout: Layout, runtime: Runtime, sample: int | None = None) -> Wish:
    """Gather what decides what is wanted; ``sample`` goes before ``fetch.sample``."""
    table = params.categories.table
    vocabulary = load_vocabulary(layout.resolve(table) if table else None)
    chosen = vocabulary.choose(params.categories.choose)
    return Wish(params, layout, runtime, chosen, sample or params.fetch.sample)


def lvis(wish: Wish) -> Iterator[Parcel]:
    """LVIS v1: the json files, then the COCO pictures that the chosen categories appear in."""
    yield from _coco_family(wish, "lvis", wish.params.masks.lvis)


def coco(wish: Wish) -> Iterator[Parcel]:
    """COCO 2017: the instances files, then the pictures."""
    yield from _coco_family(wish, "coco", wish.params.masks.coco)


def _coco_family(wish: Wish, source: str, params: LvisParams | CocoParams) -> Iterator[Parcel]:
    root = wish.layout.resolve(params.root)
    listed = [file_item(source, PurePosixPath(name).name, name) for name in params.files]
    yield Parcel("annotations", root, [item for item in listed if item is not None])
    labels = wish.vocabulary.label_to_category("lvis" if source == "lvis" else "coco")
    pictures: dict[str, set[str]] = {}
    for name in params.files:
        for category, path in _pictures_of(root / name, labels, wish.runtime):
            pictures.setdefault(category, set()).add(path)
    chosen = _shared(pictures, wish)
    single = wish.params.fetch.pictures == "single"
    images = wish.layout.resolve(params.images)
    yield Parcel("pictures", images, [_coco_item(path, single) for path in chosen])


def _pictures_of(path: Path, labels: dict[str, str], runtime: Runtime) -> Iterator[tuple[str, str]]:
    """Yield (category, picture path) for every picture of the labels, e.g. train2017/0….jpg."""
    index = open_index(path, runtime)
    names = {c.id: labels[c.name] for c in index.categories if c.name in labels}
    found: dict[int, set[str]] = {}
    extents = index.extents_of(names)
    for rows in index.rows(extents):
        pairs = zip(rows["image_id"].tolist(), rows["category_id"].tolist(), strict=True)
        for image_id, category_id in pairs:
            found.setdefault(image_id, set()).add(names[category_id])
    for image_id, image in index.images(extents).items():
        # The url says which folder: LVIS val draws on train2017 as well.
        picture = urlsplit(image.coco_url).path.lstrip("/")
        if not _COCO_PATH.fullmatch(picture):
            raise DataError(
                f"{path}: image {image_id}",
                "a coco_url that ends in train2017/ or val2017/ and twelve digits",
                repr(image.coco_url),
                "This is not an LVIS v1 or COCO 2017 file; get it again.",
            )
        yield from ((category, picture) for category in found[image_id])


def _coco_item(path: str, single: bool) -> Item:
    if single:
        return Item(path, f"http://images.cocodataset.org/{path}", path)
    archive = known("coco").archives[path.partition("/")[0]].url
    return Item(path, archive, path, member=path)


def openimages(wish: Wish) -> Iterator[Parcel]:
    """Open Images: the mask lists, then the masks out of their sixteen zips, then the pictures."""
    params = wish.params.masks.openimages
    root = wish.layout.resolve(params.root)
    names = [f"{split}-annotations-object-segmentation.csv" for split in params.splits]
    listed = [file_item("openimages", name, name) for name in names]
    yield Parcel("annotations", root, [item for item in listed if item is not None])
    labels = wish.vocabulary.label_to_category("openimages")
    masks: list[Item] = []
    pictures: list[Item] = []
    for split in params.splits:
        rows = list(_mask_rows(root / f"{split}-annotations-object-segmentation.csv", labels))
        by_category: dict[str, set[str]] = {}
        for category, _, image_id in rows:
            by_category.setdefault(category, set()).add(image_id)
        chosen = set(_shared(by_category, wish))
        masks += [_mask_item(split, mask) for _, mask, image_id in rows if image_id in chosen]
        pictures += [
            Item(f"{split}/{i}", f"{PICTURES_URL}/{split}/{i}.jpg", f"{split}/{i}.jpg")
            for i in sorted(chosen)
        ]
    yield Parcel("masks", root, sorted(masks, key=lambda item: item.item_id))
    yield Parcel("pictures", root, pictures)


def _mask_rows(path: Path, labels: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield (category, mask file, image id) for the labels' rows of a mask list."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["LabelName"] not in labels:
                    continue
                mask, image_id = row["MaskPath"], row["ImageID"]
                if _MASK_NAME.fullmatch(mask) and _IMAGE_ID.fullmatch(image_id):
                    yield labels[row["LabelName"]], mask, image_id
    except (OSError, KeyError, csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            str(path),
            "a list with MaskPath, ImageID and LabelName",
            getattr(error, "strerror", None) or str(error),
            "Fetch the annotations first, or mend masks.openimages in params.yaml.",
        ) from None


def _mask_item(split: str, mask: str) -> Item:
    archive = f"{MASKS_URL}/{split}-masks/{split}-masks-{mask[0]}.zip"
    return Item(f"{split}/{mask}", archive, f"{split}-masks/{mask}", member=mask)


def vggsound(wish: Wish) -> Iterator[Parcel]:
    """VGGSound: the list, then the clips of the chosen categories' labels."""
    params = wish.params.audio.vggsound
    root = wish.layout.resolve(params.root)
    listed = file_item("vggsound", PurePosixPath(params.table).name, params.table)
    yield Parcel("annotations", root, [listed] if listed else [])
    labels = wish.vocabulary.label_to_category("vggsound")
    suffix = ".mp4" if wish.params.fetch.youtube.video else ".flac"
    clips: dict[str, dict[str, Item]] = {}
    for row in clip_rows(params, wish.layout):
        if isinstance(row, BadRow) or row.labels[0] not in labels:
            continue
        category = labels[row.labels[0]]
        url = WATCH_URL + row.video_id
        item = Item(row.clip_id, url, row.clip_id + suffix, category, start_s=row.start_s)
        clips.setdefault(category, {})[row.clip_id] = item
    items = {
        clip_id: of_category[clip_id]
        for category, of_category in sorted(clips.items())
        for clip_id in _drawn(category, of_category, wish)
    }
    yield Parcel("clips", root / params.media, sorted(items.values(), key=lambda i: i.item_id))


def clip_rows(params: VggsoundParams, layout: Layout) -> Iterator[ListedRow | BadRow]:
    """Read the list of clips.

    Raises:
        DataError: it is absent or of another kind.
    """
    table = layout.resolve(params.root) / params.table
    return read_rows(table, _clip_row, "YouTube id, start, label, split")


def _clip_row(cells: Sequence[str]) -> ListedRow:
    video_id, start, label, split = cells
    if not (is_youtube_id(video_id) and start.isdecimal()):
        raise ValueError
    clip_id = f"{video_id}_{int(start):06d}"
    return ListedRow(clip_id, video_id, float(start), (label,), (clip_id,), split)


def checkpoints(wish: Wish) -> Iterator[Parcel]:
    """The SAM and VGGish weights that the models of params.yaml name, where they name them."""
    named = {wish.params.vggish.checkpoint, *(m.checkpoint for m in wish.params.models.values())}
    paths = sorted(wish.layout.resolve(name) for name in named if name)
    for folder in sorted({path.parent for path in paths}):
        names = [path.name for path in paths if path.parent == folder]
        items = (file_item("checkpoints", name, name) for name in names)
        yield Parcel("weights", folder, [item for item in items if item is not None])


WANTED: dict[str, Callable[[Wish], Iterator[Parcel]]] = {
    "lvis": lvis,
    "coco": coco,
    "openimages": openimages,
    "vggsound": vggsound,
    "checkpoints": checkpoints,
}


def _drawn(category: str, ids: Iterable[str], wish: Wish) -> list[str]:
    """Draw at most ``sample`` ids of a category: the same ones every time, more of them later."""
    if wish.sample is None:
        return sorted(ids)
    seed = wish.params.seed
    return sorted(ids, key=lambda one: order_key(seed, category, one))[: wish.sample]


def _shared(by_category: dict[str, set[str]], wish: Wish) -> list[str]:
    """Gather the drawn pictures of all categories, each once."""
    drawn = {one for c, ids in sorted(by_category.items()) for one in _drawn(c, ids, wish)}
    return sorted(drawn)
