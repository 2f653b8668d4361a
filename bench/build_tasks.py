"""The tasks that `bench.build` measures: one task per process, one line of JSON as its result."""

import io
import json
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE = 60_000
CANDIDATES = 95_565
CATEGORIES = 46


def peak_mb() -> float:
    """Read the peak resident memory of this process in MiB, without its parent's."""
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(status.split()[0]) / 1024


def cpu_s(run: Callable[[], Any]) -> tuple[float, Any]:
    """Run a function; return the CPU seconds of all threads, and its result."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


def generate(file: str, scale: str) -> dict[str, Any]:
    """Write the annotation file."""
    from bench.lvis_json import write_lvis_json

    images, masks = write_lvis_json(Path(file), float(scale))
    size = Path(file).stat().st_size
    return {"text": f"{images:,} images, {masks:,} masks, {size / 1e6:,.0f} MB"}


def columns(file: str) -> dict[str, Any]:
    """Read id, image, category, crowd, area and box of every mask into memory."""
    from avsynth.sources.masks.coco_json import stream_sections
    from avsynth.sources.masks.index_writer import annotation_rows

    def run() -> list[Any]:
        pieces = stream_sections(Path(file))
        return [annotation_rows(items) for name, items in pieces if name == "annotations"]

    seconds, kept = cpu_s(run)
    return {"cpu_s": seconds, "peak_mb": peak_mb(), "masks": sum(map(len, kept))}


def index(file: str, folder: str) -> dict[str, Any]:
    """Build the index as in the first run of the stage, with the digest of the file."""
    from avsynth.core.hashing import file_digest
    from avsynth.runtime.options import Runtime
    from avsynth.sources.masks.annotation_index import load_index
    from avsynth.sources.masks.index_writer import write_index

    def run() -> None:
        Path(folder).mkdir(exist_ok=True)
        file_digest(Path(file))
        write_index(Path(file), Path(folder), Runtime(quiet=True))

    seconds, _ = cpu_s(run)
    peak = peak_mb()
    return {
        "cpu_s": seconds,
        "peak_mb": peak,
        "categories": _choose(load_index(Path(folder)).count()),
    }


def _choose(counts: dict[int, int]) -> list[int]:
    """Choose 46 categories, adjacent by number of masks, with 7.5 % of all masks together."""
    ranked = sorted(counts, key=lambda c: (-counts[c], c))
    share = CANDIDATES / 1_270_141 * sum(counts.values())
    for start in range(len(ranked) - CATEGORIES):
        chosen = ranked[start : start + CATEGORIES]
        if sum(counts[c] for c in chosen) <= share:
            return sorted(chosen)
    return sorted(ranked[:CATEGORIES])


def reopen(folder: str, category_ids: str, scale: str) -> dict[str, Any]:
    """Open the index, choose categories, and sample masks: ids, images, stored polygons."""
    from avsynth.formats.mask_rle import parse_segmentation
    from avsynth.sources.masks.annotation_index import load_index

    def run() -> list[tuple[int, int, bytes]]:
        opened = load_index(Path(folder))
        found: list[tuple[int, int, bytes]] = []
        for rows, texts in opened.read(opened.extents_of(json.loads(category_ids))):
            found += zip(rows["id"].tolist(), rows["image_id"].tolist(), texts, strict=True)
        return [found[i] for i in _sample(len(found), scale)]

    seconds, kept = cpu_s(run)
    parsing, _ = cpu_s(lambda: [parse_segmentation(text) for _, _, text in kept])
    return {"cpu_s": seconds, "parsed_s": seconds + parsing, "masks": len(kept)}


def _sample(found: int, scale: str) -> list[int]:
    size = min(found, round(SAMPLE * float(scale)))
    return np.random.default_rng(0).permutation(found)[:size].tolist()


def peer(file: str, category_ids: str, scale: str) -> dict[str, Any]:
    """Load the file with the official API, then choose categories and sample masks with it."""
    from lvis import LVIS

    load_s, api = cpu_s(lambda: LVIS(file))
    load_mb = peak_mb()

    def run() -> list[Any]:
        found = api.get_ann_ids(cat_ids=json.loads(category_ids))
        return api.load_anns([found[i] for i in _sample(len(found), scale)])

    choose_s, kept = cpu_s(run)
    return {
        "load_s": load_s,
        "load_mb": load_mb,
        "through_s": load_s + choose_s,
        "masks": len(kept),
    }


def png(count: str, rounds: str) -> dict[str, Any]:
    """Encode polygons as PNG bytes, with our code and with `ann_to_mask` and PIL alternately."""
    from PIL import Image

    from avsynth.formats.images import decode_mask
    from avsynth.formats.mask_rle import polygons_to_rle, rle_to_png
    from bench.lvis_json import HEIGHT, WIDTH, blobs

    shapes = blobs(int(count), np.random.default_rng(1))
    api = _small_api(shapes)

    def theirs(number: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(api.ann_to_mask(api.anns[number]) * 255).save(buffer, "PNG")
        return buffer.getvalue()

    def ours(number: int) -> bytes:
        rle = polygons_to_rle(shapes[number], HEIGHT, WIDTH)
        return rle_to_png(rle, HEIGHT, WIDTH)

    for number in range(len(shapes)):
        if not np.array_equal(decode_mask(ours(number)), decode_mask(theirs(number))):
            raise SystemExit(f"mask {number} differs")
    return _in_turns(theirs, ours, len(shapes), int(rounds))


def _small_api(shapes: list[list[list[float]]]) -> Any:
    """Build an official API object with these segmentations, one image each."""
    from lvis import LVIS

    from bench.lvis_json import HEIGHT, WIDTH

    api = LVIS.__new__(LVIS)
    api.imgs = {i: {"height": HEIGHT, "width": WIDTH} for i in range(len(shapes))}
    api.anns = {i: {"image_id": i, "segmentation": shape} for i, shape in enumerate(shapes)}
    return api


def _in_turns(
    theirs: Callable[[int], Any], ours: Callable[[int], Any], count: int, rounds: int
) -> dict[str, Any]:
    theirs(0), ours(0)  # imports and first use are not measured
    ratios = []
    for _ in range(rounds):
        slow, _ = cpu_s(lambda: [theirs(i) for i in range(count)])
        fast, _ = cpu_s(lambda: [ours(i) for i in range(count)])
        ratios.append(slow / fast)
    return {"ratios": ratios, "peer_ms": slow / count * 1e3, "ours_ms": fast / count * 1e3}


def samples(folder: str, count: str, rounds: str) -> dict[str, Any]:
    """Build tars of samples from annotations and image files; audio and meta are given."""
    return _Samples(Path(folder), int(count)).compare(int(rounds))


class _Samples:
    """The same samples, written by the official tools and by our code."""

    def __init__(self, folder: Path, count: int) -> None:
        from PIL import Image

        from bench.lvis_json import HEIGHT, WIDTH, blobs

        rng = np.random.default_rng(2)
        self.folder, self.count = folder, count
        self.shapes = blobs(count, rng)
        self.api = _small_api(self.shapes)
        self.images = [folder / f"{i}.jpg" for i in range(20)]
        for path in self.images:
            noise = rng.integers(0, 256, (HEIGHT // 2, WIDTH // 2, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((WIDTH, HEIGHT)).save(path, quality=78)
        self.flac, self.logmel = rng.bytes(20_000), rng.bytes(24_704)
        self.meta = {"category": "cat", "second": 3, "schema": 1}

    def theirs(self) -> None:
        import webdataset as wds
        from PIL import Image

        with wds.TarWriter(str(self.folder / "theirs.tar")) as tar:
            for i in range(self.count):
                buffer = io.BytesIO()
                mask = self.api.ann_to_mask(self.api.anns[i])
                Image.fromarray(mask * 255).save(buffer, "PNG")
                sample = {
                    "__key__": f"cat-{i:010d}",
                    "audio.flac": self.flac,
                    "image.jpg": self.images[i % 20].read_bytes(),
                    "logmel.npy": self.logmel,
                    "mask.png": buffer.getvalue(),
                    "meta.json": json.dumps(self.meta).encode(),
                }
                tar.write(sample)

    def ours(self) -> None:
        from avsynth.formats.shards import write_shard

        write_shard(self.folder / "ours.tar", "train", map(self._sample, range(self.count)))

    def _sample(self, i: int) -> Any:
        from avsynth.core.records import Sample
        from avsynth.formats.mask_rle import polygons_to_rle, rle_to_png
        from bench.lvis_json import HEIGHT, WIDTH

        rle = polygons_to_rle(self.shapes[i], HEIGHT, WIDTH)
        return Sample(
            key=f"cat-{i:010d}",
            image=self.images[i % 20].read_bytes(),
            image_ext="jpg",
            mask_png=rle_to_png(rle, HEIGHT, WIDTH),
            audio_flac=self.flac,
            logmel_npy=self.logmel,
            meta=self.meta,
        )

    def compare(self, rounds: int) -> dict[str, Any]:
        """Measure both alternately, then check that both tars have the same content."""
        result = _in_turns(lambda _: self.theirs(), lambda _: self.ours(), 1, rounds)
        theirs, ours = (self._content(name) for name in ("theirs.tar", "ours.tar"))
        if theirs != ours:
            raise SystemExit("the two tars differ")
        per_sample = {k: result[k] / self.count for k in ("peer_ms", "ours_ms")}
        return result | per_sample

    def _content(self, name: str) -> dict[str, bytes]:
        from avsynth.formats.images import decode_mask

        content = {}
        with tarfile.open(self.folder / name) as tar:
            for member in tar:
                data = tar.extractfile(member)
                assert data is not None
                read = data.read()
                if member.name.endswith("mask.png"):
                    read = np.packbits(decode_mask(read)).tobytes()
                if member.name.endswith("meta.json"):
                    read = json.dumps(json.loads(read), sort_keys=True).encode()
                content[member.name] = read
        return content


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "generate": generate,
    "columns": columns,
    "index": index,
    "reopen": reopen,
    "peer": peer,
    "png": png,
    "samples": samples,
}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*sys.argv[2:])))
