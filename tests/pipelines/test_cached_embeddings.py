"""The cache of a frozen encoder's embeddings: no image is encoded twice, no output changes."""

import os
import shutil
import socket
import subprocess
import sys

import pytest

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.pipelines.shared import models
from avsynth.pipelines.train import train
from avsynth.runtime.options import Runtime
from avsynth.training.image_embedding_cache import ImageEmbeddingCache

FROZEN = (
    "models.ap_sam.build={hidden_dim: 16}", "models.ap_sam.input_size=32",
    "models.ap_sam.train.epochs=2", "models.ap_sam.cache_embeddings=true",
    "models.sam_oracle.input_size=32", "models.sam_oracle.cache_embeddings=true",
    "models.sam_oracle.build={prompt: automatic, points_per_side: 1}",
    "evaluate.frame_size=32", "evaluate.example_frames=1",
)  # fmt: skip
FILES = ("runs/train/{}/weights.safetensors", "reports/scores/test/{}.csv")


@pytest.fixture(scope="module")
def project(built, tmp_path_factory):
    root = tmp_path_factory.mktemp("cached") / "project"
    shutil.copytree(built, root)
    return root


@pytest.fixture
def opened(monkeypatch):
    """Record the caches that the stages open."""
    caches = []

    class Listed(ImageEmbeddingCache):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            caches.append(self)

    monkeypatch.setattr(models, "ImageEmbeddingCache", Listed)
    return caches


def trained(root, model="ap_sam", settings=(), **runtime):
    params = load_params(root, [*FROZEN, *settings])
    given = Runtime(cache_dir=root / "cache", quiet=True, **runtime)
    train(model, params, Layout(root), given)
    return [(root / name.format(model)).read_bytes() for name in FILES]


def test_no_image_is_encoded_twice_and_the_cache_changes_no_byte(project, opened):
    first = trained(project)
    assert opened[-1].computed > 0
    held = len(list((project / "cache/embeddings").rglob("*.npy")))
    assert held == opened[-1].computed
    assert trained(project) == first
    assert (opened[-1].computed, opened[-1].found > held) == (0, True)
    shutil.rmtree(project / "cache/embeddings")
    assert trained(project, cache_limit_bytes=10_000) == first
    kept = list((project / "cache/embeddings").rglob("*.npy"))
    assert 0 < sum(path.stat().st_size for path in kept) <= 10_000
    shutil.rmtree(project / "cache/embeddings")
    assert trained(project, cache_limit_bytes=0) == first
    assert not (project / "cache/embeddings").exists()


def test_only_embeddings_of_a_frozen_encoder_are_cached(project, opened):
    rounded = trained(project)
    assert len(opened) == 1
    assert trained(project, settings=["models.ap_sam.cache_embeddings=false"]) != rounded
    assert len(opened) == 1
    trained(project, settings=["models.ap_sam.build={train_image_encoder: true}"])
    assert opened[-1].found == opened[-1].computed == 0


def test_mask_proposals_use_cached_embeddings(project, opened):
    shutil.rmtree(project / "cache/embeddings", ignore_errors=True)
    scores = trained(project, "sam_oracle")[1]
    assert opened[-1].computed > 0
    assert trained(project, "sam_oracle")[1] == scores
    assert opened[-1].computed == 0
    trained(project)
    assert opened[-1].found > opened[-1].computed > 0, "models share the cache"


@pytest.mark.slow
def test_ranks_share_the_cache(project):
    shutil.rmtree(project / "cache", ignore_errors=True)
    cold, warm = together(project), together(project)
    assert cold == warm
    assert list((project / "cache/embeddings").rglob("*.npy"))
    assert not list((project / "cache/embeddings").rglob("*.tmp"))


def together(root):
    """Train with two ranks from the command line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "avsynth", "train", "ap_sam", "--root", str(root), "-q"]
    command += ["--cache-dir", str(root / "cache"), "--cache-limit", "5MB"]
    for setting in FROZEN:
        command += ["-S", setting]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen(
            command, env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        )
        for rank in range(2)
    ]
    assert [rank.wait() for rank in ranks] == [0, 0]
    return [(root / name.format("ap_sam")).read_bytes() for name in FILES]
