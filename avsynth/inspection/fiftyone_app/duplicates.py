"""Duplicates, leaky splits and similarity of images, by FiftyOne Brain and a cheap embedding.

The embedding is the image at 16 x 16 pixels, with brightness and contrast normalised. It finds the
same photograph after scaling, recompression or a change of light, not the same subject. It needs no
model and no network.
"""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from avsynth.formats.images import open_image, to_rgb
from avsynth.formats.shards import ShardReader

if TYPE_CHECKING:
    import fiftyone

SIMILARITY = "images"
"""Brain key of the similarity index, listed in the App under "Sort by similarity"."""
EXACT, NEAR, LEAKY = "exact duplicates", "near duplicates", "leaky splits"
_SIDE = 16
_MAX_DISTANCE = 0.05
"""Cosine distance below which two images count as one photograph."""


def embed(content: bytes) -> NDArray[np.float32]:
    """Compute the embedding of an encoded image: float32 ``[768]``, L2 norm 1."""
    with open_image(content) as image:
        image.draft("RGB", (4 * _SIDE, 4 * _SIDE))
        small = to_rgb(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.float32).ravel()
    values -= values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6), np.float32)


def find_duplicates(
    dataset: "fiftyone.Dataset", reader: ShardReader, rows: pd.DataFrame
) -> dict[str, int]:
    """Save views of duplicate images and of leaky splits, and build an index of similarity.

    An image with several masks occurs in several samples, and the frames of a video resemble each
    other. Neither is a duplicate, so only one sample of each image and of each video is compared.

    Args:
        dataset: the grouped dataset.
        reader: reader of its shards.
        rows: rows of the samples to compare.

    Returns:
        Name of each saved view -> number of its images.
    """
    import fiftyone.brain as fob

    names = rows["image_id"].where(rows["image_id"] != "", rows["clip_key"])
    unique = rows[~names.duplicated()]
    images = [reader.parts(k)[n] for k, n in zip(unique["key"], unique["image"], strict=True)]
    view = dataset.select_group_slices("image")
    ids = dict(zip(*view.values(["key", "id"]), strict=True))
    order = [ids[key] for key in unique["key"]]
    view = view.select(order, ordered=True)
    embeddings = np.stack([embed(content) for content in images])
    if dataset.has_brain_run(SIMILARITY):
        dataset.delete_brain_run(SIMILARITY)
    options: Any = {"backend": "sklearn", "metric": "cosine"}
    index = fob.compute_similarity(view, embeddings=embeddings, brain_key=SIMILARITY, **options)
    near: list[str] = []
    if len(order) > 1:
        index.find_duplicates(thresh=_MAX_DISTANCE)
        near = [*index.duplicate_ids, *index.neighbors_map]
    found = {EXACT: _exact(order, images), NEAR: sorted(set(near)), LEAKY: []}
    if unique["split"].nunique() > 1:
        leaks = fob.compute_leaky_splits(
            view, "split", threshold=_MAX_DISTANCE, similarity_index=index
        )
        found[LEAKY] = sorted(set(leaks.leak_ids))
    for name, chosen in found.items():
        _save(dataset, name, chosen)
    return {name: len(chosen) for name, chosen in found.items()}


def _exact(ids: list[str], images: list[bytes]) -> list[str]:
    """Return the ids of images that have the same bytes as another."""
    digests = pd.Series([hashlib.sha256(content).hexdigest() for content in images], index=ids)
    return list(digests.index[digests.duplicated(keep=False)])


def _save(dataset: "fiftyone.Dataset", name: str, ids: list[str]) -> None:
    """Save a view of the groups of these images."""
    groups = dataset.select_group_slices("image").select(ids).values("group.id") if ids else []
    dataset.save_view(name, dataset.select_groups(groups), overwrite=True)
