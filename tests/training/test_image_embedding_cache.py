import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avsynth.loading.batch import Batch
from avsynth.models.backbones.sam import Sam, build_sam
from avsynth.training.image_embedding_cache import ImageEmbeddingCache, digest_of

SIZE = 2 * 4 * 4 * 4 + 128 + 4
"""Bytes of a file: an embedding of 4 x 4 x 4 in bfloat16, npy's header, a checksum."""


class Encoder:
    """Averages over patches, and notes how many images it has encoded."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, image: Tensor) -> Tensor:
        self.seen += len(image)
        pooled = torch.nn.functional.avg_pool2d(image.float() / 3, 8)
        return torch.cat((pooled, pooled[:, :1]), dim=1)


def pictures(count: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=rng)


def size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def test_what_was_computed_is_found_in_any_batch_by_any_cache(tmp_path: Path):
    encoder, image = Encoder(), pictures(6)
    exact = encoder(image)
    first = ImageEmbeddingCache(tmp_path, "a")(image, encoder)
    assert torch.equal(first, exact.bfloat16().float())
    assert encoder.seen == 12
    again = ImageEmbeddingCache(tmp_path, "a")
    assert torch.equal(again(image[[4, 1, 4]], encoder), first[[4, 1, 4]])
    assert encoder.seen == 12
    mixed = torch.cat((pictures(2, seed=1), image[:2]))
    assert torch.equal(again(mixed, encoder)[2:], first[:2])
    assert (encoder.seen, again.found, again.computed) == (14, 5, 2)


def test_another_encoder_size_or_pixel_finds_nothing(tmp_path: Path):
    encoder, image = Encoder(), pictures(1)
    ImageEmbeddingCache(tmp_path, "a")(image, encoder)
    changed = image.clone()
    changed[0, 2, 31, 31] ^= 1
    for name, given in (("b", image), ("a", changed), ("a", image.reshape(1, 3, 16, 64))):
        cache = ImageEmbeddingCache(tmp_path, name)
        cache(given, encoder)
        assert (cache.found, cache.computed) == (0, 1)


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "one bit"])
def test_a_damaged_file_is_computed_again_and_written_again(tmp_path: Path, damage: str):
    encoder, image = Encoder(), pictures(2)
    first = ImageEmbeddingCache(tmp_path, "a")(image, encoder)
    path = next(tmp_path.rglob("*.npy"))
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "one bit":
        path.write_bytes(content[:150] + bytes([content[150] ^ 1]) + content[151:])
    else:
        path.write_bytes(content[: 150 if damage == "cut" else 0])
    for expected in (1, 0):
        cache = ImageEmbeddingCache(tmp_path, "a")
        assert torch.equal(cache(image, encoder), first)
        assert cache.computed == expected


def test_a_full_cache_keeps_what_is_in_use_and_lets_old_things_go(tmp_path: Path):
    encoder, limit = Encoder(), 10 * SIZE
    ImageEmbeddingCache(tmp_path, "old", limit)(pictures(10), encoder)
    assert size_of(tmp_path) == limit
    for path in tmp_path.rglob("*.npy"):
        os.utime(path, (1, 1))
    cache, image = ImageEmbeddingCache(tmp_path, "new", limit), pictures(14, seed=1)
    for _ in range(3):
        for part in image.split(2):
            cache(part, encoder)
            assert size_of(tmp_path) <= limit
    assert cache.found == 2 * 10, "ten images fit, and they are found in every later epoch"
    assert ImageEmbeddingCache(tmp_path, "old", limit)(pictures(1), encoder).shape == (1, 4, 4, 4)


def test_a_limit_of_nothing_rounds_and_leaves_the_folder_alone(tmp_path: Path):
    encoder, image = Encoder(), pictures(3)
    kept = ImageEmbeddingCache(tmp_path, "a")(image, encoder)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    off = ImageEmbeddingCache(tmp_path, "a", 0)
    assert torch.equal(off(torch.cat((image, pictures(2, seed=1))), encoder)[:3], kept)
    assert (off.found, off.computed) == (0, 5)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == before


def test_bytes_do_not_depend_on_what_was_there_before(tmp_path: Path):
    """Sums of a batch differ in their last bits from those of its images alone."""
    sam, image = build_sam("tiny", 64), batch(build_sam("tiny", 64), 6).image
    encoded = []
    for folder, first in (("whole", 6), ("parts", 1), ("late", 4)):
        cache = ImageEmbeddingCache(tmp_path / folder, "a")
        sam.requires_grad_(False).embedding_cache = cache
        sam.encode(Batch(("",) * first, image[:first].contiguous(), (64, 64)))
        spread = image.contiguous(memory_format=torch.channels_last)
        encoded.append(sam.encode(Batch(("",) * 6, spread, (64, 64))))
        assert cache.computed == 6
    assert torch.equal(encoded[0], encoded[1])
    assert torch.equal(encoded[0], encoded[2])


def test_what_autocast_rounds_is_another_answer(tmp_path: Path):
    sam, cache = build_sam("tiny", 64), ImageEmbeddingCache(tmp_path, "a")
    sam.requires_grad_(False).embedding_cache = cache
    given = batch(sam, 1)
    exact = sam.encode(given)
    with torch.autocast("cpu", torch.bfloat16):
        assert not torch.equal(sam.encode(given), exact)
        assert cache.computed == 2
    assert torch.equal(sam.encode(given), exact)
    assert (cache.found, cache.computed) == (1, 2)


def test_a_disk_that_cannot_be_written_ends_the_keeping_only(tmp_path: Path):
    (tmp_path / "file").touch()
    cache = ImageEmbeddingCache(tmp_path / "file" / "below", "a")
    assert torch.equal(cache(pictures(2), Encoder()), Encoder()(pictures(2)).bfloat16().float())


def fill(folder: str, start: int) -> None:
    cache = ImageEmbeddingCache(Path(folder), "a", 20 * SIZE)
    for part in pictures(40).roll(start, 0).split(4):
        assert torch.equal(cache(part, Encoder()), Encoder()(part).bfloat16().float())


def test_processes_share_a_folder(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    several = [context.Process(target=fill, args=(str(tmp_path), 7 * i)) for i in range(2)]
    for process in several:
        process.start()
    for process in several:
        process.join()
        assert process.exitcode == 0
    assert not list(tmp_path.rglob("*.tmp"))
    assert 15 * SIZE <= size_of(tmp_path) <= 24 * SIZE


def batch(sam: Sam, count: int) -> Batch:
    size = sam.input_size
    rng = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=rng)
    return Batch(tuple(map(str, range(count))), image, (size, size))


def test_sam_asks_the_cache_only_while_its_encoder_is_frozen(tmp_path: Path):
    sam = build_sam("tiny", 64)
    given = batch(sam, 3)
    exact = sam.encode(given).detach()
    cache = ImageEmbeddingCache(tmp_path, digest_of(sam.image_encoder))
    sam = build_sam("tiny", 64, open_cache=lambda encoder: cache)
    sam.requires_grad_(False)
    for _ in range(2):
        torch.testing.assert_close(sam.encode(given), exact, rtol=1e-2, atol=1e-2)
    assert (cache.found, cache.computed) == (3, 3)
    tokens = [torch.zeros(1)] * sam.depth
    sam.encode(given, tokens)
    sam.image_encoder.requires_grad_(True)
    sam.encode(given)
    assert (cache.found, cache.computed) == (3, 3)


def test_the_digest_follows_every_weight():
    sam = build_sam("tiny", 64)
    before = digest_of(sam.image_encoder)
    assert digest_of(build_sam("tiny", 64).image_encoder) == before
    with torch.no_grad():
        next(sam.image_encoder.parameters()).view(-1)[0] += 1e-6
    assert digest_of(sam.image_encoder) != before
