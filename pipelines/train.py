"""Stage ``train``: train a model on AVS-Synthetic, score its test split and the audio test."""

from typing import Any

import numpy as np
import pandas as pd

from avsynth.core.files import write_json
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_table
from avsynth.evaluation.audio_sensitivity import (
    SOUNDS,
    OtherSounds,
    audio_blind_iou,
    other_sounds,
    sound_rows,
)
from avsynth.evaluation.evaluate import score
from avsynth.evaluation.predictions import best_of_categories, predict, write_predictions
from avsynth.loading.batch import AvsModel
from avsynth.loading.dataset import SplitData
from avsynth.metrics.rows import FrameRow, Labels, SoundRow
from avsynth.pipelines.shared.models import training_of
from avsynth.pipelines.shared.project import SYNTHETIC, Project, model_params, score_path
from avsynth.pipelines.shared.runs import Task, fit
from avsynth.pipelines.shared.scoring import counted, funnel, open_split, score_rows, score_size
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
    task = Task(model, SYNTHETIC, layout.runs / "train" / model, model_params(project, model).train)
    with init_distributed(runtime.device) as ranks:
        trained = fit(project, task, ranks)
    if not ranks.is_main:
        return funnel([])
    setting, regime = training_of(trained, "trained on AVS-Synthetic")
    labels = Labels("test", model, model, SYNTHETIC, setting, regime)
    own = score_rows(project, trained, labels, score_path(project, "test", model))
    _test_sounds(project, trained, labels, own)
    return counted(labels, own)


def _test_sounds(project: Project, model: AvsModel, labels: Labels, own: list[FrameRow]) -> None:
    """Score the test pictures with every other sound, and write what listening is worth."""
    seed, section = project.params.seed, project.params.evaluate
    split = open_split(project, model, SYNTHETIC, labels.split)
    reader = split.dataset.reader
    partners = other_sounds({key: reader.meta(key) for key in reader.keys}, seed)
    groups = [g for g in split.groups if set(g.keys) <= set(partners)]
    rows: list[SoundRow] = []
    files: dict[str, Any] = {}
    for sound in SOUNDS:
        heard = OtherSounds(split.dataset, sound, partners, seed)
        played = SplitData(heard, groups)
        if sound == "own":
            heard_rows = [row for row in own if row.key in partners]
        else:
            heard_rows = score(
                model,
                played,
                labels,
                protocol=section.protocol,
                batch_size=section.batch_size,
                runtime=project.runtime,
            )
        rows += sound_rows(heard_rows, sound, partners)
        keys = best_of_categories([row for row in rows if row.sound == "own"], section.pictures)
        masks = predict(model, played, keys, protocol=section.protocol, runtime=project.runtime)
        files |= {f"{key}.{sound}.png": mask for key, mask in masks}
        if sound == "noise":
            files |= {f"{key}.noise.flac": heard.flac(key) for key in keys}
    write_predictions(project.layout.predictions / "audio-test" / labels.run, files)
    write_table(score_path(project, "audio-test", labels.run), SoundRow, rows, key=("key", "sound"))
    blind = audio_blind_iou(reader, score_size(project))
    content = {f"miou_{s}": _mean([r.iou for r in rows if r.sound == s]) for s in SOUNDS}
    content["miou_audio_blind_bound"] = _mean(list(blind.values()))
    write_json(project.layout.scores / "audio-test" / f"{labels.run}.json", content)


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 6)
