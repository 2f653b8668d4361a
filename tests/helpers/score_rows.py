"""Plausible score rows, drawn by program: sharper masks for better models, softer for others."""

import hashlib
import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd
from PIL import Image

from avsynth.core.paths import Layout
from avsynth.evaluation.predictions import best_median_worst, best_of_categories
from avsynth.formats.images import decode_mask
from avsynth.formats.shards import ShardReader
from avsynth.metrics.fmeasure import pack
from avsynth.metrics.rows import RunFacts
from avsynth.reports.read_scores import read_scores

CATEGORIES = ("bird", "cat", "dog", "horse")
PIXELS = 1024


def seed_of(*parts):
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big")


def facts_of(**facts):
    """Columns of `RunFacts`; by default of a small model trained on AVS-Synthetic."""
    defaults = {
        "split": "test", "protocol": "avsbench", "architecture": "tiny", "input_size": 64,
        "pretrained_on": "", "trained_on": "synthetic", "finetuned_on": "", "real_percent": 0,
        "shots": 0, "ablation": "", "prompt": "",
    }  # fmt: skip
    return asdict(RunFacts(**{**defaults, **facts}))


def score_rows(
    *,
    run="sama_avs",
    model="sama_avs",
    benchmark="s4",
    skill=0.6,
    keys=None,
    clips=12,
    frames=2,
    categories=CATEGORIES,
    protocol="avsbench",
    version="v1s",
    **facts,
):
    """Rows of one run; ``skill`` 0..1 moves every IoU. The same keys for every run of a set.

    Without other facts, the run is of a small model trained on AVS-Synthetic.
    """
    common = facts_of(run=run, model=model, benchmark=benchmark, protocol=protocol, **facts)
    names = keys or [
        (f"{categories[c % len(categories)]}-{c:04x}", categories[c % len(categories)], f)
        for c in range(clips)
        for f in range(frames)
    ]
    rows = []
    for name, category, frame in names:
        key = f"{name}-{frame}" if keys is None else name
        rng = np.random.default_rng(seed_of(key, *common.values()))
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
                "category": category,
                "version": version,
                **common,
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
    """Rows of localisation, one per image; ``shift`` moves every score."""
    rows = []
    for number in range(count):
        value = (number + 0.5) / count
        rows.append(
            {
                "key": f"flickr-{number:03d}",
                "clip_key": f"{number:03d}",
                "category": "unlabelled",
                "version": "test-250",
                **facts_of(run=run, model=model, benchmark="flickr", protocol="consensus"),
                "ciou": value + shift,
                "pixel_ap": value / 2,
                "piap": value / 4,
            }
        )
    return pd.DataFrame(rows)


def audio_rows(run="sama_avs", other_key="bird-0000-0", **options):
    """Rows of the audio test: the skill falls where the audio does not fit."""
    skills = {"own": 0.7, "silence": 0.1, "noise": 0.15, "other": 0.2}
    parts = [
        score_rows(run=run, benchmark="synthetic", skill=skill, **options).assign(
            audio=audio, audio_key=other_key if audio == "other" else "")
        for audio, skill in skills.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def put(folder, stage, rows):
    """Write the rows of one run below a folder ``reports/scores``; return the file."""
    path = folder / stage / f"{rows['run'].iloc[0]}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
    return path


def write_scores(folder, *, models=("sama_avs", "save"), keys=None):
    """Write a whole ``reports/scores`` folder: every stage that the report knows."""
    for number, model in enumerate(models):
        better = 0.04 * number
        put(folder, "test", score_rows(run=model, model=model, benchmark="synthetic", keys=keys,
                                       skill=0.75 + better, version="build"))  # fmt: skip
        put(folder, "zeroshot",
            score_rows(run=f"{model}-s4", model=model, skill=0.6 + better))  # fmt: skip
        put(folder, "zeroshot",
            score_rows(run=f"{model}-ms3", model=model, benchmark="ms3", version="v1m",
                       categories=("multi-source",), skill=0.45 + better))  # fmt: skip
        for percent in (0, 10, 20, 30, 100):
            for word, low, high in (("with", 0.6, 0.85), ("without", 0.1, 0.8)):
                skill = low + (high - low) * (percent / 100) ** 0.3 + better
                run = f"{model}-s4-{percent}-{word}"
                facts = few_shot_facts(percent, pretrained=word == "with")
                put(folder, "fewshot", score_rows(run=run, model=model, skill=skill, **facts))
        put(folder, "v3_base", score_rows(
            run=model, model=model, benchmark="v3", version="v3", trained_on="v3",
            real_percent=100, categories=("bell", "harp", "tiger"),
            skill=0.4 + better))  # fmt: skip
        put(folder, "v3_shots", score_rows(
            run=f"{model}-1", model=model, benchmark="v3-1shot", version="v3", trained_on="v3",
            finetuned_on="v3-1shot", real_percent=100, shots=1, categories=("tiger",),
            skill=0.5 + better))  # fmt: skip
        put(folder, "audio-test", audio_rows(
            run=model, model=model, keys=keys, version="build",
            other_key=keys[0][0] if keys else "bird-0000-0"))  # fmt: skip


def few_shot_facts(percent, *, pretrained):
    """The facts of a run on a share of S4, as the stage ``fewshot`` writes them."""
    before = "synthetic" if pretrained else ""
    if percent == 0:
        return {"trained_on": before}
    return {"pretrained_on": before, "trained_on": "s4", "real_percent": percent}


def write_predictions(layout):
    """Store a mask for every row that can be shown: the ground truth, shifted more at low IoU."""
    reader = ShardReader(layout.shards("avs-synthetic"), "test")
    scores = read_scores(layout.scores)
    test = scores.rows[scores.rows["stage"] == "test"]
    own = scores.audio_test[scores.audio_test["audio"] == "own"]
    names = []
    for run in sorted(test["run"].unique()):
        rows = list(test[test["run"] == run].itertuples(index=False))
        names += [("test", run, row.key, row.key, row.iou) for row in rows
                  if row.key in best_median_worst(rows, 2)]  # fmt: skip
        paired = list(own[own["run"] == run].itertuples(index=False))
        shown = best_of_categories(paired, 2)
        names += [("audio-test", run, f"{r['key']}.{r['audio']}", r["key"], r["iou"])
                  for _, r in scores.audio_test.iterrows()
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
