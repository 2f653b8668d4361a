"""From params.yaml to a model on its device."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from avsynth.core.cache import cache_root
from avsynth.models import MODELS
from avsynth.models.backbones.sam import build_sam
from avsynth.models.backbones.vggish import build_vggish
from avsynth.pipelines.shared.project import SYNTHETIC, Project, model_params
from avsynth.runtime.errors import ConfigError
from avsynth.training.embedding_cache import EmbeddingCache, digest_of


def build_model(project: Project, name: str, change: Mapping[str, Any] | None = None) -> Any:
    """Build a model as its section says, with some of the builder's parameters changed.

    On a CPU, torch is held to one thread: sums are then taken in one order whatever the machine,
    and small models run no slower. More cores are used by `torchrun`.

    Raises:
        ConfigError: params.yaml has no such model, or the device is not here.
        CheckpointError: the backbone's or VGGish's weights are damaged or of another network.
    """
    _check_device(project.runtime.device)
    if project.runtime.device == "cpu":
        torch.set_num_threads(1)
    section = model_params(project, name)
    layout, seed = project.layout, project.params.seed
    checkpoint = section.checkpoint and layout.resolve(section.checkpoint)
    sam = build_sam(section.architecture, section.input_size, checkpoint or None, seed=seed)
    model = MODELS[name](sam, _vggish(project), seed=seed, **parameters(project, name, change))
    frozen = not any(p.requires_grad for p in sam.image_encoder.parameters())
    if section.cache_embeddings and frozen:
        sam.recall = _embeddings(project, sam.image_encoder)
    return model


def _check_device(name: str) -> None:
    known = ["cpu", "cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name not in known or (name == "cuda" and not torch.cuda.is_available()):
        found = f"{name!r}, and {torch.cuda.device_count()} CUDA devices"
        fix = "Take cpu, or see what torch.cuda says of the others."
        raise ConfigError("--device", "cpu, cuda or cuda:N that is here", found, fix)


def _embeddings(project: Project, encoder: nn.Module) -> EmbeddingCache:
    """Open the cache of what a frozen encoder says of pictures."""
    folder = cache_root(project.runtime) / "embeddings"
    return EmbeddingCache(folder, digest_of(encoder), project.runtime.cache_limit_bytes)


def parameters(
    project: Project, name: str, change: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a model's builder is called with, besides backbone, VGGish and seed."""
    return {**model_params(project, name).build, **(change or {})}


def _vggish(project: Project) -> Any:
    section = project.params.vggish
    checkpoint = section.checkpoint and project.layout.resolve(section.checkpoint)
    return build_vggish(checkpoint or None, size=section.size, seed=project.params.seed)


def is_temporal(model: Any) -> bool:
    """Whether the frames of a clip inform one another."""
    return bool(model.name == "st_bava")


def training_of(model: Any, words: str) -> tuple[str, str]:
    """Say how a model was trained on AVS-Synthetic: in the words of the papers, and its regime.

    The oracle has nothing to train: its masks are chosen by the truth.
    """
    if model.trainable_names():
        return words, SYNTHETIC
    if model.prompt == "automatic":
        return "max-IoU selection", "none"
    return f"{model.prompt} of the truth", "none"
