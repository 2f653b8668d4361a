"""Benchmark of the caches, compared with computing again: ``python -m bench.cache [--quick]``.

Image embeddings: the frozen encoder as in segment-anything and as in avsynth, compared with the
same embeddings read from `avsynth.training.image_embedding_cache`. Build: the first build
of the toy world, compared with a second build without changes. Both run alternately in one
process; ratios are of CPU time.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from avsynth.building.new_project import init_project
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.models.backbones.encoder import ImageEncoder
from avsynth.models.backbones.sam import build_sam
from avsynth.pipelines.build import build
from avsynth.runtime.options import Runtime
from avsynth.toy import write_toy_world
from avsynth.training.image_embedding_cache import ImageEmbeddingCache, digest_of
from bench.interleaved import machine, measure, table
from bench.models import FAST, OFFICIAL, OfficialEncoder, make_batch
from bench.rows import Row, record


def embeddings(folder: Path, architecture: str, rounds: int) -> None:
    """Measure encoding four images, and reading their cached embeddings."""
    sam = build_sam(architecture, 256).requires_grad_(False)
    batch = make_batch(architecture, 256, 4)
    cache = ImageEmbeddingCache(folder, digest_of(sam.image_encoder))

    def encoded(encoder: str) -> None:
        sam.image_encoder.__class__ = OfficialEncoder if encoder == OFFICIAL else ImageEncoder
        sam.embedding_cache = None
        sam.encode(batch)

    def found() -> None:
        sam.embedding_cache = cache
        sam.encode(batch)

    with torch.no_grad():
        found()
        jobs = {
            "segment-anything": lambda: encoded(OFFICIAL),
            "avsynth": lambda: encoded(FAST),
            "from disk": found,
        }
        timings = measure(jobs, rounds)
    size = sum(p.stat().st_size for p in folder.rglob("*.npy")) / 4 / 1024
    notes = {"from disk": f"{size:.0f} KiB an image"}
    print(table(f"Image embeddings {architecture}, 256 px, batch 4", timings, notes, {}))
    against = zip(timings["avsynth"].cpu_s, timings["from disk"].cpu_s, strict=True)
    record(
        Row("cache", "image embedding from disk vs our encoder", [a / b for a, b in against], 30)
    )


def rebuild(folder: Path, scale: float, rounds: int) -> None:
    """Measure a first and a second build."""
    times: dict[str, list[float]] = {"first": [], "again": []}
    write_toy_world(folder / "toy", scale=scale)
    for number in range(rounds):
        root = folder / str(number)
        init_project(root, "toy")
        (root / "data").mkdir()
        (root / "data" / "raw").symlink_to(folder / "toy")
        params = load_params(root, ["fetch.sources=[]"])
        for taken in times.values():
            taken.append(cpu_seconds(lambda p=params, r=root: list(build(p, Layout(r), RUNTIME))))
    ratios = [a / b for a, b in zip(times["first"], times["again"], strict=True)]
    record(Row("cache", "build again, nothing changed", ratios, 2))
    print(f"build {times['first']} s, again {times['again']} s")


RUNTIME = Runtime(quiet=True)


def cpu_seconds(job: Callable[[], object]) -> float:
    """Measure CPU seconds of a job."""
    begun = time.process_time()
    job()
    return time.process_time() - begun


def main() -> None:
    """Run both cases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny backbone, one round")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print(machine(), end="\n\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        embeddings(folder / "cache", "tiny" if quick else "vit_b", 1 if quick else 5)
        rebuild(folder, 0.05 if quick else 0.3, 1 if quick else 3)


if __name__ == "__main__":
    main()
