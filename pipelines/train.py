"""Stage ``train``: train a model on AVS-Synthetic, score its test split and the audio test."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from avsynth.core.files import write_json
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.records import SPLITS
from avsynth.core.tables import write_table
from avsynth.evaluation.audio_sensitivity import (
    ReplacedAudio,
    audio_blind_iou,
    audio_rows,
    choose_partners,
    has_partners,
)
from avsynth.evaluation.evaluate import score
from avsynth.evaluation.predictions import best_of_categories, predict, write_predictions
from avsynth.formats.shards import ShardReader
from avsynth.loading.batch import AvsModel
from avsynth.loading.dataset import SplitData
from avsynth.metrics.rows import AUDIO, AudioRow, FrameRow
from avsynth.pipelines.shared.project import SYNTHETIC, Project, dataset_folder, model_params
from avsynth.pipelines.shared.run_spec import RunSpec, facts_of
from avsynth.pipelines.shared.runs import fit
from avsynth.pipelines.shared.scoring import counted, funnel, open_split, score_rows, score_size
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.training.distributed import init_distributed


def train(model: str, params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``runs/train/<model>``, and rows below ``reports/scores``: ``test``, ``audio-test``.

    Raises:
        ConfigError: params.yaml has no such model.
        DataError: the shards are absent or damaged.
        AvsynthError: the loss is not finite, or memory ran out.
    """
    project = Project(params, layout, runtime)
    training, folder = model_params(project, model).train, layout.runs / "train" / model
    spec = RunSpec("test", model, model, SYNTHETIC, training, folder)
    _check_splits(project)
    with init_distributed(runtime.device) as ranks:
        trained = fit(project, spec, ranks)
    if not ranks.is_main:
        return funnel([])
    own = score_rows(project, trained, spec)
    _test_audio(project, trained, replace(spec, stage="audio-test"), own)
    return counted(spec, own)


def _check_splits(project: Project) -> None:
    """Check before the training that everything after it has data too.

    Raises:
        DataError: a split is empty, or no test image can be given the audio of another category.
    """
    folder = dataset_folder(project, SYNTHETIC)
    fix = "Build more categories or larger splits (categories.choose, match.sizes), then run again."
    for split in SPLITS:
        reader = ShardReader(folder, split)
        if not len(reader):
            raise DataError(str(folder), f"samples of split {split}", "none", fix)
        if split == "test" and not has_partners({key: reader.meta(key) for key in reader.keys}):
            expected = "a test image without the objects of another category, for the audio test"
            raise DataError(str(folder), expected, "none", fix)


def _test_audio(project: Project, model: AvsModel, spec: RunSpec, own: list[FrameRow]) -> None:
    """Score the test images with every other audio; write rows, predictions and the means."""
    seed, section, runtime = project.params.seed, project.params.evaluate, project.runtime
    facts = facts_of(project, spec, model)
    split = open_split(project, model, facts.benchmark, facts.split)
    reader = split.dataset.reader
    partners = choose_partners({key: reader.meta(key) for key in reader.keys}, seed)
    groups = [g for g in split.groups if set(g.keys) <= set(partners)]
    frames = [row for row in own if row.key in partners]
    keys = best_of_categories(frames, section.example_frames)
    rows: list[AudioRow] = []
    files: dict[str, Any] = {}
    for audio in AUDIO:
        replaced = ReplacedAudio(split.dataset, audio, partners, seed)
        paired = SplitData(replaced, groups)
        if audio != "own":
            frames = score(model, paired, facts, batch_size=section.batch_size, runtime=runtime)
        rows += audio_rows(frames, audio, partners)
        masks = predict(model, paired, keys, protocol=facts.protocol, runtime=runtime)
        files |= {f"{key}.{audio}.png": mask for key, mask in masks}
        if audio == "noise":
            files |= {f"{key}.noise.flac": replaced.flac(key) for key in keys}
    write_predictions(project.layout.predictions / spec.stage / spec.name, files)
    path = spec.score_path(project)
    write_table(path, AudioRow, rows, key=("key", "audio"))
    blind = audio_blind_iou(reader, score_size(project))
    content = {f"miou_{audio}": _mean([r.iou for r in rows if r.audio == audio]) for audio in AUDIO}
    content["miou_audio_blind_bound"] = _mean(list(blind.values()))
    write_json(path.with_suffix(".json"), content)


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 6)
