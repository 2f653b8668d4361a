"""A small model and small shards: what the tests of loader, training and evaluation work with."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from avsynth.core.params.experiments import TrainingParams
from avsynth.core.records import Sample
from avsynth.formats.logmel import logmel
from avsynth.formats.mask_rle import mask_to_rle, rle_to_png
from avsynth.formats.shards import ShardReader, write_index, write_shard
from avsynth.formats.waveform import encode_flac, quantise
from avsynth.loading.batch import Batch, Prediction
from avsynth.loading.dataset import SampleSpec, ShardDataset, SplitData
from avsynth.loading.sampler import list_groups

CATEGORIES = ("low", "high")
SETTINGS = TrainingParams(
    optimizer="adamw",
    lr=0.02,
    min_lr=0.001,
    weight_decay=0.01,
    epochs=4,
    batch_size=6,
    micro_batch=4,
    bf16=False,
)


class SmallModel(nn.Module):
    """A model that learns to mark the red half for low tones, the blue half for high tones."""

    name = "small"
    architecture = "conv"
    input_size = 16
    needs_waveform = False
    needs_whole_clips = False
    audio_encoder = None
    ground_truth_use = None

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.look = nn.Conv2d(3, 8, 3, padding=1)
            self.listen = nn.Linear(64, 8)
            self.drop = nn.Dropout(0.1)

    def forward(self, batch: Batch) -> Prediction:
        """Multiply image features by audio features."""
        assert batch.logmel is not None
        image = self.look(batch.image.float() / 255)
        audio = self.listen(self.drop(batch.logmel.mean(dim=2)))[:, 0, :, None, None]
        return Prediction((image * audio).sum(1))

    def trainable_names(self) -> list[str]:
        """Return the names of all parameters."""
        return sorted(name for name, _ in self.named_parameters())

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean binary cross-entropy."""
        assert batch.mask is not None
        logits = self(batch).logits
        return nn.functional.binary_cross_entropy_with_logits(logits, batch.mask.float())


def small_sample(split: str, number: int, frames: int = 1, frame: int = 0) -> Sample:
    """Return a sample, half red, half blue: a low tone marks the red half, a high one the blue."""
    rng = np.random.default_rng([number, frame, len(split)])
    category = CATEGORIES[number % 2]
    pixels = rng.integers(0, 60, (20, 24, 3)).astype(np.uint8)
    pixels[:, :12, 0] += 150
    pixels[:, 12:, 2] += 150
    mask = np.zeros((20, 24), bool)
    mask[:, :12] = category == "low"
    mask[:, 12:] = category == "high"
    pitch_hz = 300 if category == "low" else 3000
    time_s = np.arange(16_000) / 16_000
    sound = quantise((0.3 * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.float32))
    meta = {
        "category": category,
        "clip_key": f"{split}{number}",
        "frame_index": frame,
        "image_id": f"{split}{number // 2}",
        "num_frames": frames,
        "split": split,
    }
    return Sample(
        key=f"{category}-{split}{number:04d}f{frame}",
        image=_png(pixels),
        image_ext="png",
        mask_png=rle_to_png(mask_to_rle(mask), *mask.shape),
        audio_flac=encode_flac(sound),
        logmel_npy=_npy(logmel(sound)[0]),
        meta=dict(meta),
    )


def write_small_shards(
    folder: Path, counts: dict[str, int], frames: dict[str, int] | None = None
) -> Path:
    """Write shards with a number of clips for each split, and of frames for each clip (1)."""
    infos = []
    for split, count in counts.items():
        each = (frames or {}).get(split, 1)
        samples = [small_sample(split, n, each, f) for n in range(count) for f in range(each)]
        infos.append(write_shard(folder / f"{split}-00000.tar", split, samples))
    write_index(folder, "small", infos)
    return folder


def small_split(
    folder: Path, split: str, *, whole_clips: bool = False, size: int = SmallModel.input_size
) -> SplitData:
    """Open a split of small shards, with images and masks of one size."""
    reader = ShardReader(folder, split)
    dataset = ShardDataset(reader, SampleSpec(size, (size, size)))
    return SplitData(dataset, list_groups(reader, whole_clips=whole_clips))


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
