"""`SOURCES`: the files that the chosen categories need, as `DownloadBatch`es per source.

A source yields its batches one after the other, because the later ones are computed from the
files of the first one: the annotations list the images.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from avsynth.core.hashing import order_key
from avsynth.core.params.building import CocoParams, LvisParams
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.download.catalog import catalog_entry, file_item
from avsynth.download.items import Item
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.audio.clip_lists import BadRow
from avsynth.sources.audio.vggsound import clip_rows
from avsynth.sources.categories import LabelLookup, Vocabulary, load_vocabulary
from avsynth.sources.masks import coco, lvis
from avsynth.sources.masks.annotation_index import open_index
from avsynth.sources.masks.coco_family import match_names
from avsynth.sources.masks.openimages import read_label_rows

WATCH_URL = "https://www.youtube.com/watch?v="
IMAGES_URL = "https://open-images-dataset.s3.amazonaws.com"
MASKS_URL = "https://storage.googleapis.com/openimages/v5"
_IMAGE_ID = re.compile(r"[0-9a-f]{16}")
_MASK_NAME = re.compile(r"([0-9a-f]{16})_m[0-9a-z_]+_[0-9a-f]{8}\.png")
_COCO_PATH = re.compile(r"(train2017|val2017)/\d{12}\.jpg")


@dataclass(frozen=True, slots=True)
class DownloadBatch:
    """Items that are downloaded together, into one folder with one ledger."""

    kind: str
    """annotations, images, masks, clips or weights; also the ledger's name."""
    root: Path
    items: list[Item]


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that determines which files are needed."""

    params: Params
    layout: Layout
    runtime: Runtime
    vocabulary: Vocabulary
    sample: int | None
    """Maximum number of images or clips per category; None for all."""


def make_request(
    params: Params, layout: Layout, runtime: Runtime, sample: int | None = None
) -> Request:
    """Build the request of a project; ``sample`` overrides ``fetch.sample``."""
    table = params.categories.table
    vocabulary = load_vocabulary(layout.resolve(table) if table else None)
    chosen = vocabulary.choose(params.categories.choose)
    return Request(params, layout, runtime, chosen, sample or params.fetch.sample)


def lvis_batches(request: Request) -> Iterator[DownloadBatch]:
    """Yield the batches of LVIS v1: the json files, then the COCO images of the categories."""
    yield from _coco_family(request, "lvis", request.params.masks.lvis)


def coco_batches(request: Request) -> Iterator[DownloadBatch]:
    """Yield the batches of COCO 2017: the instances files, then the images."""
    yield from _coco_family(request, "coco", request.params.masks.coco)


def _coco_family(
    request: Request, source: str, params: LvisParams | CocoParams
) -> Iterator[DownloadBatch]:
    root = request.layout.resolve(params.root)
    listed = [file_item(source, PurePosixPath(name).name, name) for name in params.files]
    yield DownloadBatch("annotations", root, [item for item in listed if item is not None])
    labels = request.vocabulary.label_to_category("lvis" if source == "lvis" else "coco")
    image_items: dict[str, set[str]] = {}
    for name in params.files:
        for category, path in _images_of(source, root / name, labels, request.runtime):
            image_items.setdefault(category, set()).add(path)
    chosen = _sample_all(image_items, request)
    single = request.params.fetch.images == "single"
    images = request.layout.resolve(params.images)
    yield DownloadBatch("images", images, [_coco_item(path, single) for path in chosen])


def _images_of(
    source: str, path: Path, labels: dict[str, str], runtime: Runtime
) -> Iterator[tuple[str, str]]:
    """Yield (category, image path) for every image of the labels, e.g. train2017/0….jpg."""
    index = open_index(path, runtime)
    full = lvis.V1_CATEGORIES if source == "lvis" else coco.CATEGORIES
    names = match_names(source, index.categories, labels, full)
    found: dict[int, set[str]] = {}
    extents = index.extents_of(names)
    for rows in index.rows(extents):
        pairs = zip(rows["image_id"].tolist(), rows["category_id"].tolist(), strict=True)
        for image_id, category_id in pairs:
            found.setdefault(image_id, set()).add(names[category_id])
    for image_id, image in index.images(extents).items():
        # The URL gives the folder: LVIS val also uses images of train2017.
        image_path = urlsplit(image.coco_url or "").path.lstrip("/")
        if not _COCO_PATH.fullmatch(image_path):
            raise DataError(
                f"{path}: image {image_id}",
                "a coco_url that ends in train2017/ or val2017/ and twelve digits",
                repr(image.coco_url),
                "Download the file again; it is not an LVIS v1 or COCO 2017 file.",
            )
        yield from ((category, image_path) for category in found[image_id])


def _coco_item(path: str, single: bool) -> Item:
    if single:
        return Item(path, f"http://images.cocodataset.org/{path}", path)
    archive = catalog_entry("coco").archives[path.partition("/")[0]].url
    return Item(path, archive, path, member=path)


def openimages_batches(request: Request) -> Iterator[DownloadBatch]:
    """Yield the batches of Open Images: mask lists, masks of the sixteen zips, then images."""
    params = request.params.masks.openimages
    root = request.layout.resolve(params.root)
    names = [f"{split}-annotations-object-segmentation.csv" for split in params.splits]
    listed = [file_item("openimages", name, name) for name in names]
    yield DownloadBatch("annotations", root, [item for item in listed if item is not None])
    labels = request.vocabulary.label_to_category("openimages")
    masks: list[Item] = []
    image_items: list[Item] = []
    for split in params.splits:
        rows = list(_mask_rows(root / f"{split}-annotations-object-segmentation.csv", labels))
        by_category: dict[str, set[str]] = {}
        for category, _, image_id in rows:
            by_category.setdefault(category, set()).add(image_id)
        chosen = set(_sample_all(by_category, request))
        masks += [_mask_item(split, mask) for _, mask, image_id in rows if image_id in chosen]
        image_items += [
            Item(f"{split}/{i}", f"{IMAGES_URL}/{split}/{i}.jpg", f"{split}/{i}.jpg")
            for i in sorted(chosen)
        ]
    yield DownloadBatch("masks", root, sorted(masks, key=lambda item: item.item_id))
    yield DownloadBatch("images", root, image_items)


def _mask_rows(path: Path, labels: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield (category, mask file, image id) for the labels' rows of a mask list."""
    for batch in read_label_rows(path, labels):
        for row in batch:
            if _MASK_NAME.fullmatch(row.mask_path) and _IMAGE_ID.fullmatch(row.image_id):
                yield row.category, row.mask_path, row.image_id


def _mask_item(split: str, mask: str) -> Item:
    archive = f"{MASKS_URL}/{split}-masks/{split}-masks-{mask[0]}.zip"
    return Item(f"{split}/{mask}", archive, f"{split}-masks/{mask}", member=mask)


def vggsound_batches(request: Request) -> Iterator[DownloadBatch]:
    """Yield the batches of VGGSound: the list, then the clips of the categories' labels."""
    params = request.params.audio.vggsound
    root = request.layout.resolve(params.root)
    listed = file_item("vggsound", PurePosixPath(params.table).name, params.table)
    yield DownloadBatch("annotations", root, [listed] if listed else [])
    labels = request.vocabulary.label_to_category("vggsound")
    suffix = ".mp4" if request.params.fetch.youtube.video else ".flac"
    clips: dict[str, dict[str, Item]] = {}
    lookup = LabelLookup(labels)
    for row in clip_rows(params, request.layout):
        if isinstance(row, BadRow) or not lookup[row.labels[0]]:
            continue
        category = lookup[row.labels[0]]
        url = WATCH_URL + row.video_id
        item = Item(row.clip_id, url, row.clip_id + suffix, category, start_s=row.start_s)
        clips.setdefault(category, {})[row.clip_id] = item
    items = {
        clip_id: of_category[clip_id]
        for category, of_category in sorted(clips.items())
        for clip_id in _sample(category, of_category, request)
    }
    yield DownloadBatch(
        "clips", root / params.media, sorted(items.values(), key=lambda i: i.item_id)
    )


def checkpoint_batches(request: Request) -> Iterator[DownloadBatch]:
    """Yield the SAM and VGGish weights that the models of params.yaml name, a batch per folder."""
    named = {
        request.params.vggish.checkpoint,
        *(m.checkpoint for m in request.params.models.values()),
    }
    paths = sorted(request.layout.resolve(name) for name in named if name)
    for folder in sorted({path.parent for path in paths}):
        names = [path.name for path in paths if path.parent == folder]
        items = (file_item("checkpoints", name, name) for name in names)
        yield DownloadBatch("weights", folder, [item for item in items if item is not None])


SOURCES: dict[str, Callable[[Request], Iterator[DownloadBatch]]] = {
    "lvis": lvis_batches,
    "coco": coco_batches,
    "openimages": openimages_batches,
    "vggsound": vggsound_batches,
    "checkpoints": checkpoint_batches,
}


def _sample(category: str, ids: Iterable[str], request: Request) -> list[str]:
    """Sample at most ``sample`` ids of a category; a larger sample contains the smaller one."""
    if request.sample is None:
        return sorted(ids)
    seed = request.params.seed
    return sorted(ids, key=lambda item_id: order_key(seed, category, item_id))[: request.sample]


def _sample_all(by_category: dict[str, set[str]], request: Request) -> list[str]:
    """Return the sampled images of all categories, each once."""
    sampled = {
        item_id for c, ids in sorted(by_category.items()) for item_id in _sample(c, ids, request)
    }
    return sorted(sampled)
