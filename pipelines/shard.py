"""Stage ``shard``: write the triplets as WebDataset tars."""

import dataclasses
import hashlib
import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from avsynth.building.samples import SAMPLE_SCHEMA, SampleInputs, compose
from avsynth.building.shard_builder import ShardPlan, ShardResult, staged_shards
from avsynth.core.funnel import funnel_of
from avsynth.core.hashing import source_digest
from avsynth.core.params.load import Params
from avsynth.core.paths import AVS_SYNTHETIC, Layout
from avsynth.core.records import SPLITS, AudioClip, Drop, MaskRecord, Sample, Triplet
from avsynth.core.tables import read_table, write_csv
from avsynth.runtime.errors import DataError, DropLimitError
from avsynth.runtime.options import Runtime

_OTHER_BYTES = 64_000
"""Upper bound for a sample's flac, log-mel, mask, meta and headers, for the space check."""
_FROM_TRIPLET = (
    "category",
    "split",
    "triplet_id",
    "mask_source",
    "mask_id",
    "clip_source",
    "clip_id",
    "second",
)
_MAKERS = ("avsynth.building.samples", "avsynth.formats.shards")
"""Modules whose code, imports included, determines a tar's bytes: when it changes, tars of earlier
runs are rebuilt."""
Row = Mapping[Hashable, Any]


def shard(params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``data/shards/avs-synthetic`` from ``triplets.csv`` and the raw images and audio.

    A shard holds one category of one split, so that a change in one category leaves the tars of
    the others as they are.

    Returns:
        The funnel: samples written per category and split, drops with their reasons.

    Raises:
        DropLimitError: more than ``shard.max_drop_frac`` of the triplets could not be written; the
            existing dataset stays.
        SpaceError: the disk has no room for the shards.
    """
    plans = list(_plans(params, layout))
    if not plans:
        raise DataError(
            str(layout.triplets_csv),
            "triplets to write",
            "none",
            f"Read why in {layout.funnel('match')}; choose categories that have masks and clips.",
        )
    make = partial(_samples, params=params, layout=layout)
    folder, staging = layout.shards(AVS_SYNTHETIC), layout.staging(AVS_SYNTHETIC)
    with staged_shards(folder, AVS_SYNTHETIC, plans, make, staging, runtime) as results:
        funnel = _funnel(plans, results)
        write_csv(layout.funnel("shard"), funnel)
        _check_drops(funnel, params, layout)
    return funnel


def _check_drops(funnel: pd.DataFrame, params: Params, layout: Layout) -> None:
    """Raise DropLimitError if more than ``shard.max_drop_frac`` of the triplets were dropped."""
    samples = funnel[funnel["kind"] == "sample"]
    lost = int(samples.loc[samples["status"] == "dropped", "count"].sum())
    total = int(samples["count"].sum())
    if lost > params.shard.max_drop_frac * total:
        raise DropLimitError(
            "shard",
            f"at most {params.shard.max_drop_frac:.1%} of {total} triplets dropped",
            f"{lost} dropped",
            f"Read why in {layout.funnel('shard')}; fix the files, or raise shard.max_drop_frac.",
        )


def _plans(params: Params, layout: Layout) -> Iterator[ShardPlan]:
    """Yield the shards of every category and split, with the triplets in the order of their ids.

    Only one category's masks and clips are in memory at a time.
    """
    triplets = read_table(layout.triplets_csv, Triplet)
    triplets = triplets[triplets["status"] == "ok"].sort_values("triplet_id")
    numbers = {split: itertools.count() for split in SPLITS}
    size, code = params.shard.samples_per_shard, source_digest(*_MAKERS)
    for category, of_category in triplets.groupby("category", sort=True):
        lookup = _RecordLookup(params, layout, str(category))
        for split in SPLITS:
            rows = of_category[of_category["split"] == split]
            for start in range(0, len(rows), size):
                chunk = rows[start : start + size]
                inputs = list(lookup.inputs(chunk))
                yield ShardPlan(
                    file=f"{split}-{next(numbers[split]):05d}.tar",
                    split=split,
                    content=chunk,
                    signature=_signature(inputs, code),
                    bytes_expected=sum(_state(r.image_path)[0] + _OTHER_BYTES for r in inputs),
                )


def _samples(chunk: pd.DataFrame, params: Params, layout: Layout) -> Iterator[Sample | Drop]:
    """Build the samples of one shard from its rows of triplets.csv."""
    lookup = _RecordLookup(params, layout, str(chunk["category"].iloc[0]))
    return map(compose, lookup.inputs(chunk))


class _RecordLookup:
    """The mask and clip records of one category, and the sample inputs built from them."""

    def __init__(self, params: Params, layout: Layout, category: str) -> None:
        self.params = params
        self.masks = {
            source: _rows(layout.masks(source), MaskRecord, category)
            for source in params.masks.folders()
        }
        self.clips = {
            source: _rows(layout.audio(source), AudioClip, category)
            for source in params.audio.folders()
        }
        self.folders = {
            source: layout.resolve(folder)
            for source, folder in (params.masks.folders() | params.audio.folders()).items()
        }

    def inputs(self, triplets: pd.DataFrame) -> Iterator[SampleInputs]:
        """Yield the sample inputs of every row of triplets.csv."""
        mask_ids = set(itertools.chain(*triplets["mask_id"].str.split("+")))
        masks = {
            (source, row["mask_id"]): row
            for source, table in self.masks.items()
            for row in table[table["mask_id"].isin(mask_ids)].to_dict("records")
        }
        clips = {
            (source, row["clip_id"]): row
            for source, table in self.clips.items()
            for row in table[table["clip_id"].isin(triplets["clip_id"])].to_dict("records")
        }
        for row in triplets.to_dict("records"):
            parts = [masks[row["mask_source"], one] for one in row["mask_id"].split("+")]
            yield self._inputs_of(row, parts, clips[row["clip_source"], row["clip_id"]])

    def _inputs_of(self, row: Row, masks: Sequence[Row], clip: Row) -> SampleInputs:
        mask = masks[0]
        key = sample_key(row["category"], row["triplet_id"])
        meta = {
            "schema": SAMPLE_SCHEMA,
            "dataset": AVS_SYNTHETIC,
            "clip_key": key,
            "frame_index": 0,
            "num_frames": 1,
            "has_mask": True,
            "pairing": self.params.match.pairing,
            **{name: row[name] for name in _FROM_TRIPLET},
            "image_id": mask["image_id"],
            "image_licence": mask["licence"],
            "image_url": mask["url"],
            "video_id": clip["video_id"],
            "label": clip["label"],
            "audio_licence": clip["licence"],
            "audio_url": clip["url"],
        }
        return SampleInputs(
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


def sample_key(category: str, triplet_id: str) -> str:
    """Return the key of a triplet's sample in the shards."""
    return f"{category}-{triplet_id[:10]}"


def _rows(path: Path, record: type, category: str) -> pd.DataFrame:
    return read_table(path, record, category=category)


def _signature(inputs: list[SampleInputs], code: str) -> str:
    """Compute a digest of the sample inputs, the state of their files, and the code."""
    digest = hashlib.sha256(code.encode())
    for sample in inputs:
        states = (_state(sample.image_path), _state(sample.audio_path))
        fields = [str(getattr(sample, f.name)) for f in dataclasses.fields(sample)]
        digest.update(repr((fields, states)).encode())
    return digest.hexdigest()[:32]


def _state(path: Path) -> tuple[int, int]:
    """Return size in bytes and time of the last change in ns; zeros for an absent file."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _funnel(plans: list[ShardPlan], results: list[ShardResult]) -> pd.DataFrame:
    """Count samples and their masks per category and split, and the drops per reason."""
    tables = []
    for plan, result in zip(plans, results, strict=True):
        reason_of = {drop.item: drop.reason for drop in result.drops}
        table = plan.content[["category", "split", "mask_id"]].copy()
        table["reason"] = [
            reason_of.get(sample_key(*row), "")
            for row in zip(plan.content["category"], plan.content["triplet_id"], strict=True)
        ]
        tables.append(table)
    samples = pd.concat(tables, ignore_index=True)
    samples["status"] = np.where(samples["reason"] == "", "ok", "dropped")
    masks = samples.assign(count=samples["mask_id"].str.count(r"\+") + 1)
    parts = [funnel_of("shard", "", kind, t) for kind, t in (("sample", samples), ("mask", masks))]
    return pd.concat(parts, ignore_index=True)
