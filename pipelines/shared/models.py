"""Builder of the models of params.yaml."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from avsynth.core.cache import cache_root
from avsynth.loading.batch import AvsModel
from avsynth.models import MODELS
from avsynth.models.backbones.encoder import ImageEncoder
from avsynth.models.backbones.sam import build_sam
from avsynth.models.backbones.vggish import Vggish, build_vggish
from avsynth.pipelines.shared.project import Project, model_params
from avsynth.runtime.errors import ConfigError
from avsynth.training.image_embedding_cache import ImageEmbeddingCache, digest_of


def build_model(project: Project, name: str, change: Mapping[str, Any] | None = None) -> AvsModel:
    """Build a model from its section, with some of the builder's parameters changed.

    On a CPU, torch uses one thread: sums then have one order on every machine, and small models
    run no slower. Use `torchrun` for more cores.

    Raises:
        ConfigError: params.yaml has no such model, or the device is absent.
        CheckpointError: the backbone's or VGGish's weights are damaged or of another network.
    """
    _check_device(project.runtime.device)
    if project.runtime.device == "cpu":
        torch.set_num_threads(1)
    section = model_params(project, name)
    layout, seed = project.layout, project.params.seed
    checkpoint = section.checkpoint and layout.resolve(section.checkpoint)
    sam = build_sam(
        section.architecture,
        section.input_size,
        checkpoint or None,
        seed=seed,
        open_cache=partial(_open_cache, project) if section.cache_embeddings else None,
    )
    return MODELS[name](sam, _vggish(project), seed=seed, **parameters(project, name, change))


def _check_device(name: str) -> None:
    known = ["cpu", "cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name not in known or (name == "cuda" and not torch.cuda.is_available()):
        found = f"{name!r}, and {torch.cuda.device_count()} CUDA devices"
        fix = "Use cpu, or check torch.cuda.is_available()."
        raise ConfigError("--device", "cpu, cuda or cuda:N of this machine", found, fix)


def _open_cache(project: Project, encoder: ImageEncoder) -> ImageEmbeddingCache:
    """Open the cache of an image encoder's outputs."""
    folder = cache_root(project.runtime) / "embeddings"
    return ImageEmbeddingCache(folder, digest_of(encoder), project.runtime.cache_limit_bytes)


def parameters(
    project: Project, name: str, change: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the arguments of a model's builder, besides backbone, VGGish and seed."""
    return {**model_params(project, name).build, **(change or {})}


def _vggish(project: Project) -> Vggish:
    section = project.params.vggish
    checkpoint = section.checkpoint and project.layout.resolve(section.checkpoint)
    return build_vggish(checkpoint or None, size=section.size, seed=project.params.seed)
