"""Plausible score rows, drawn by program: sharper masks for better models, softer for others."""

import hashlib
import shutil

import numpy as np
import pandas as pd
from PIL import Image

from avsynth.core.paths import Layout
from avsynth.evaluation.predictions import best_median_worst, best_of_categories
from avsynth.formats.images import decode_mask
from avsynth.formats.shards import ShardReader
from avsynth.metrics.fmeasure import pack
from avsynth.reports.read_scores import read_scores

CATEGORIES = ("bird", "cat", "dog", "horse")
PIXELS = 1024


def seed_of(*parts):
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big")


def score_rows(
    *,
    run="sama_avs",
    model="sama_avs",
    stage="zeroshot",
    benchmark="s4",
    setting="0% real, w/ P.T.",
    skill=0.6,
    keys=None,
    clips=12,
    frames=2,
    categories=CATEGORIES,
    protocol="avsbench",
    version="v1s",
):
    """Rows of one run; ``skill`` 0..1 moves every IoU. The same keys for every run of a set."""
    names = keys or [
        (f"{categories[c % len(categories)]}-{c:04x}", categories[c % len(categories)], f)
        for c in range(clips)
        for f in range(frames)
    ]
    rows = []
    for name, category, frame in names:
        key = f"{name}-{frame}" if keys is None else name
        rng = np.random.default_rng(seed_of(benchmark, key, run, setting))
        truth = int(rng.integers(PIXELS // 10, PIXELS // 3))
        hit = int(truth * np.clip(rng.normal(skill, 0.15), 0.02, 1))
        false = int(truth * np.clip(rng.normal(1 - skill, 0.15), 0, 1) * 0.7)
        histogram = np.zeros((2, 256), np.int64)
        spread = rng.integers(128, 256, size=hit)
        np.add.at(histogram[1], spread, 1)
        np.add.at(histogram[1], rng.integers(0, 128, size=truth - hit), 1)
        np.add.at(histogram[0], rng.integers(128, 256, size=false), 1)
        np.add.at(histogram[0], rng.integers(0, 128, size=PIXELS - truth - false), 1)
        rows.append(
            {
                "key": key,
                "clip_key": name,
                "benchmark": benchmark,
                "version": version,
                "split": "test",
                "model": model,
                "run": run,
                "regime": "synthetic",
                "setting": setting,
                "protocol": protocol,
                "category": category,
                "num_frames": frames,
                "frame_index": frame,
                "iou": hit / (truth + false),
                "fscore": 1.3 * hit / (0.3 * truth + hit + false),
                "inter_px": hit,
                "union_px": truth + false,
                "gt_px": truth,
                "pred_px": hit + false,
                "histogram": pack(histogram),
            }
        )
    return pd.DataFrame(rows)


def localisation_rows(run="av_sam", model="av_sam", shift=0.0, count=12):
    """Rows of localisation, one per picture; ``shift`` moves every score."""
    rows = []
    for number in range(count):
        value = (number + 0.5) / count
        rows.append(
            {
                "key": f"flickr-{number:03d}",
                "clip_key": f"{number:03d}",
                "benchmark": "flickr",
                "version": "test-250",
                "model": model,
                "regime": "synthetic",
                "protocol": "consensus",
                "category": "unlabelled",
                "ciou": value + shift,
                "pixel_ap": value / 2,
                "piap": value / 4,
                "split": "test",
                "run": run,
                "setting": "trained with Synthetic",
            }
        )
    return pd.DataFrame(rows)


def sound_rows(run="sama_avs", other_key="bird-0000-0", **options):
    """Rows of the audio test: the skill falls where the sound does not fit."""
    skills = {"own": 0.7, "silence": 0.1, "noise": 0.15, "other": 0.2}
    parts = [
        score_rows(run=run, stage="audio-test", benchmark="synthetic", setting=sound,
                   skill=skill, **options).assign(
            setting="", sound=sound, sound_key=other_key if sound == "other" else "")
        for sound, skill in skills.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def write_scores(folder, *, models=("sama_avs", "save"), keys=None):
    """Write a whole ``reports/scores`` folder: every stage that the report knows."""
    for number, model in enumerate(models):
        base = {"run": model, "model": model}
        better = 0.04 * number

        def put(stage, rows, base=base):
            path = folder / stage / f"{base['run']}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows.to_csv(path, index=False)

        put("test", score_rows(**base, stage="test", benchmark="synthetic",
                               setting="trained on AVS-Synthetic", keys=keys,
                               skill=0.75 + better, version="build"))  # fmt: skip
        put("zeroshot", pd.concat([
            score_rows(**base, setting="trained with Synthetic", skill=0.6 + better),
            score_rows(**base, benchmark="ms3", version="v1m", setting="trained with Synthetic",
                       categories=("multi-source",), skill=0.45 + better),
        ]))  # fmt: skip
        put("fewshot", pd.concat([
            score_rows(**base, stage="fewshot", setting=f"{percent}% real, {word} P.T.",
                       skill=low + (high - low) * (percent / 100) ** 0.3 + better)
            for word, low, high in (("w/", 0.6, 0.85), ("w/o", 0.1, 0.8))
            for percent in (0, 10, 20, 30, 100)
        ]))  # fmt: skip
        put("v3_shots", pd.concat([
            score_rows(**base, stage="v3_shots", benchmark=name, version="v3", setting=shots,
                       categories=categories, skill=skill + better)
            for name, shots, categories, skill in (
                ("v3", "0-shot", ("bell", "harp", "tiger"), 0.4),
                ("v3-1shot", "1-shot", ("tiger",), 0.5),
            )
        ]))  # fmt: skip
        put("audio-test", sound_rows(run=model, model=model, keys=keys, version="build",
                                     other_key=keys[0][0] if keys else "bird-0000-0"))  # fmt: skip


def write_predictions(layout):
    """Store a mask for every row that can be shown: the truth, moved by more where IoU is low."""
    reader = ShardReader(layout.shards("avs-synthetic"), "test")
    scores = read_scores(layout.scores)
    test = scores.rows[scores.rows["stage"] == "test"].drop(columns="name")
    own = scores.sounds[scores.sounds["sound"] == "own"]
    names = []
    for run in sorted(test["run"].unique()):
        rows = list(test[test["run"] == run].itertuples(index=False))
        names += [("test", run, row.key, row.key, row.iou) for row in rows
                  if row.key in best_median_worst(rows, 2)]  # fmt: skip
        heard = list(own[own["run"] == run].drop(columns="name").itertuples(index=False))
        shown = best_of_categories(heard, 2)
        names += [("audio-test", run, f"{r['key']}.{r['sound']}", r["key"], r["iou"])
                  for _, r in scores.sounds.iterrows()
                  if r["run"] == run and r["key"] in shown]  # fmt: skip
    for stage, run, name, key, iou in names:
        truth = decode_mask(reader.parts(key)["mask.png"])
        path = layout.predictions / stage / run / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(truth, int(40 * (1 - iou)), axis=(0, 1))).save(path)


def scored_project(built, root, **options):
    """Make a project with the data of a finished build and plausible scores of its test split."""
    layout = Layout(root)
    shutil.copytree(built, root, ignore=lambda *_: ["raw"], dirs_exist_ok=True)
    keys = ShardReader(layout.shards("avs-synthetic"), "test").keys
    write_scores(layout.scores, keys=[(key, key.rsplit("-", 1)[0], 0) for key in keys], **options)
    write_predictions(layout)
    return layout
