"""FiftyOne's brain on a dataset: duplicates, leaky splits, similarity, by a cheap embedding.

The embedding is the picture in 16 x 16 colours, light and contrast taken out: it finds the same
photograph scaled, recompressed or relit, not the same subject. It needs no model and no network.
"""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from avsynth.formats.images import open_image
from avsynth.formats.shards import ShardReader

if TYPE_CHECKING:
    import fiftyone

SIMILARITY = "pictures"
"""The brain key of the index: "Sort by similarity" in the App offers it."""
EXACT, NEAR, LEAKY = "exact duplicates", "near duplicates", "leaky splits"
_SIDE = 16
_DISTANCE = 0.05
"""Cosine distance below which two pictures count as one photograph."""


def embed(content: bytes) -> NDArray[np.float32]:
    """Embed an encoded picture: float32 ``[768]``, length 1."""
    with open_image(content) as image:
        image.draft("RGB", (4 * _SIDE, 4 * _SIDE))
        small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.float32).ravel()
    values -= values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6), np.float32)


def think(dataset: "fiftyone.Dataset", reader: ShardReader, rows: pd.DataFrame) -> dict[str, int]:
    """Find duplicates and leaks among pictures, and make them sortable by similarity.

    A picture with several masks stands in several samples, and the frames of a video resemble one
    another: neither is a duplicate, so each picture and each video is taken once.

    Args:
        dataset: of groups.
        reader: of its shards.
        rows: of the samples to look at.

    Returns:
        How many pictures each saved view holds.
    """
    import fiftyone.brain as fob

    names = rows["image_id"].where(rows["image_id"] != "", rows["clip_key"])
    once = rows[~names.duplicated()]
    pictures = [reader.parts(k)[name] for k, name in zip(once["key"], once["image"], strict=True)]
    view = dataset.select_group_slices("image")
    ids = dict(zip(*view.values(["key", "id"]), strict=True))
    order = [ids[key] for key in once["key"]]
    view = view.select(order, ordered=True)
    embeddings = np.stack([embed(content) for content in pictures])
    if dataset.has_brain_run(SIMILARITY):
        dataset.delete_brain_run(SIMILARITY)
    options: Any = {"backend": "sklearn", "metric": "cosine"}
    index = fob.compute_similarity(view, embeddings=embeddings, brain_key=SIMILARITY, **options)
    near: list[str] = []
    if len(order) > 1:
        index.find_duplicates(thresh=_DISTANCE)
        near = [*index.duplicate_ids, *index.neighbors_map]
    found = {EXACT: _exact(order, pictures), NEAR: sorted(set(near)), LEAKY: []}
    if once["split"].nunique() > 1:
        leaks = fob.compute_leaky_splits(view, "split", threshold=_DISTANCE, similarity_index=index)
        found[LEAKY] = sorted(set(leaks.leak_ids))
    for name, chosen in found.items():
        _save(dataset, name, chosen)
    return {name: len(chosen) for name, chosen in found.items()}


def _exact(ids: list[str], pictures: list[bytes]) -> list[str]:
    """List the pictures whose bytes stand under two ids."""
    digests = pd.Series([hashlib.sha256(content).hexdigest() for content in pictures], index=ids)
    return list(digests.index[digests.duplicated(keep=False)])


def _save(dataset: "fiftyone.Dataset", name: str, ids: list[str]) -> None:
    """Save a view of the groups that these pictures belong to."""
    groups = dataset.select_group_slices("image").select(ids).values("group.id") if ids else []
    dataset.save_view(name, dataset.select_groups(groups), overwrite=True)
