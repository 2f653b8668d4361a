"""Stage ``shard``: write the triplets as WebDataset tars."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from avsynth.composing import SAMPLE_SCHEMA, Recipe, compose
from avsynth.config import Params, Runtime
from avsynth.errors import DataError, DropLimitError
from avsynth.packing import Packed, ShardPlan, pack
from avsynth.paths import Layout
from avsynth.records import SPLITS, AudioClip, MaskRecord, Triplet
from avsynth.tables import FUNNEL_COLUMNS, read_table, write_csv

DATASET = "avs-synthetic"
_SOUND_BYTES = 64_000
"""Upper bound for a sample's flac, log-mel, mask, meta and headers, for the space check."""


def shard(params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``data/shards/avs-synthetic`` from ``triplets.csv`` and the raw pictures and sounds.

    A shard holds one category of one split, so that a change in one category leaves the tars of
    the others as they are.

    Returns:
        The funnel: samples written per category and split, drops with their reasons.

    Raises:
        DropLimitError: more than ``shard.max_drop_frac`` of the triplets could not be written.
        SpaceError: no room.
    """
    plans = list(_plans(params, layout))
    if not plans:
        raise DataError(
            str(layout.triplets_csv),
            "triplets to write",
            "none",
            f"Read why in {layout.funnel('match')}; choose categories that have masks and clips.",
        )
    packed = pack(layout.shards(DATASET), DATASET, plans, compose, layout.staging(DATASET), runtime)
    funnel = _funnel(plans, packed)
    write_csv(layout.funnel("shard"), funnel)
    lost = int(funnel.loc[funnel["status"] == "dropped", "count"].sum())
    total = int(funnel["count"].sum())
    if lost > params.shard.max_drop_frac * total:
        raise DropLimitError(
            "shard",
            f"at most {params.shard.max_drop_frac:.1%} of {total} triplets dropped",
            f"{lost} dropped",
            f"Read why in {layout.funnel('shard')}; mend the files, or raise shard.max_drop_frac.",
        )
    return funnel


def _plans(params: Params, layout: Layout) -> Iterator[ShardPlan]:
    """Cut the triplets of every split and category into shards, in the order of their ids."""
    triplets = read_table(layout.triplets_csv, Triplet)
    triplets = triplets[triplets["status"] == "ok"].sort_values(["category", "triplet_id"])
    recipe = _Cook(params, layout, triplets)
    size = params.shard.samples_per_shard
    for split in SPLITS:
        numbers = itertools.count()
        for _, group in triplets[triplets["split"] == split].groupby("category", sort=True):
            rows = group.to_dict("records")
            for start in range(0, len(rows), size):
                recipes = tuple(recipe(row) for row in rows[start : start + size])
                yield ShardPlan(
                    file=f"{split}-{next(numbers):05d}.tar",
                    split=split,
                    items=recipes,
                    signature=_signature(recipes),
                    bytes_expected=sum(_state(r.image_path)[0] + _SOUND_BYTES for r in recipes),
                )


class _Cook:
    """Makes recipes: looks up what a triplet's mask and clip are."""

    def __init__(self, params: Params, layout: Layout, triplets: pd.DataFrame) -> None:
        self.params = params
        mask_ids = set(itertools.chain(*triplets["mask_id"].str.split("+")))
        clip_ids = set(triplets["clip_id"])
        self.masks = {
            (source, row["mask_id"]): row
            for source in params.masks.folders()
            for row in _rows(layout.masks(source), MaskRecord, "mask_id", mask_ids)
        }
        self.clips = {
            (source, row["clip_id"]): row
            for source in params.audio.folders()
            for row in _rows(layout.audio(source), AudioClip, "clip_id", clip_ids)
        }
        self.folders = {
            source: layout.resolve(folder)
            for source, folder in (params.masks.folders() | params.audio.folders()).items()
        }

    def __call__(self, row: Mapping[Hashable, Any]) -> Recipe:
        """Make the recipe of one row of triplets.csv."""
        masks = [self.masks[row["mask_source"], one] for one in row["mask_id"].split("+")]
        clip = self.clips[row["clip_source"], row["clip_id"]]
        mask = masks[0]
        key = f"{row['category']}-{row['triplet_id'][:10]}"
        meta = {
            "schema": SAMPLE_SCHEMA,
            "dataset": DATASET,
            "category": row["category"],
            "split": row["split"],
            "triplet_id": row["triplet_id"],
            "mask_source": row["mask_source"],
            "mask_id": row["mask_id"],
            "image_id": mask["image_id"],
            "clip_source": row["clip_source"],
            "clip_id": row["clip_id"],
            "video_id": clip["video_id"],
            "label": clip["label"],
            "second": row["second"],
            "clip_key": key,
            "frame_index": 0,
            "num_frames": 1,
            "has_mask": True,
            "pairing": self.params.match.pairing,
            "image_licence": mask["licence"],
            "image_url": mask["url"],
            "audio_licence": clip["licence"],
            "audio_url": clip["url"],
        }
        return Recipe(
            key=key,
            category=row["category"],
            image_path=self.folders[row["mask_source"]] / mask["image_path"],
            height_px=mask["height_px"],
            width_px=mask["width_px"],
            rles=tuple(m["rle"] for m in masks),
            audio_path=self.folders[row["clip_source"]] / clip["audio_path"],
            second=row["second"],
            decode_images=self.params.shard.decode_images,
            meta=tuple(meta.items()),
        )


def _rows(path: Path, record: type, key: str, wanted: set[str]) -> list[dict[Hashable, Any]]:
    table = read_table(path, record)
    rows: list[dict[Hashable, Any]] = table[table[key].isin(wanted)].to_dict("records")
    return rows


def _signature(recipes: tuple[Recipe, ...]) -> str:
    """Digest the recipes and the state of the files they name."""
    digest = hashlib.sha256()
    for recipe in recipes:
        states = (_state(recipe.image_path), _state(recipe.audio_path))
        fields = [(name, str(value)) for name, value in asdict(recipe).items()]
        digest.update(repr((fields, states)).encode())
    return digest.hexdigest()[:32]


def _state(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in ns; zeros for a file that is not there."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _funnel(plans: list[ShardPlan], packed: list[Packed]) -> pd.DataFrame:
    """Count the samples written per category and split, and the drops per reason."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for plan, result in zip(plans, packed, strict=True):
        counts[plan.items[0].category, "ok", plan.split] += result.info.count
        counts.update((d.category, "dropped", d.reason) for d in result.drops)
    rows = [("shard", "", *what, count) for what, count in sorted(counts.items()) if count]
    return pd.DataFrame(rows, columns=list(FUNNEL_COLUMNS))
