"""``avsynth check``: whether every dataset and checkpoint is on disk and complete.

There is one finding each: found, incomplete (with counts and the first missing names) or absent
(with source, publisher and licence). Nothing is downloaded or changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE
from rich.table import Table

from avsynth.benchmarks import Benchmark
from avsynth.benchmarks.convertible import RELEASE, convertible
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.download.catalog import CatalogEntry, catalog_entry, read_catalog
from avsynth.download.items import Item, check_file
from avsynth.download.requirements import SOURCES, DownloadBatch, Request, make_request
from avsynth.runtime.environment import extras, machine
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.audio.clip_lists import BadRow, find_media
from avsynth.sources.audio.vggsound import clip_rows, file_stems
from avsynth.sources.masks.annotation_index import open_index

Status = Literal["found", "incomplete", "absent"]
MAX_NAMES = 3
"""Maximum number of missing files that a finding names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The status of one dataset, checkpoint, extra or hardware part."""

    name: str
    status: Status
    needed: bool
    """Whether params.yaml uses it."""
    detail: str
    missing: tuple[str, ...] = ()
    """The first missing or damaged files."""
    source: str = ""
    """Its source, publisher and licence."""


def check(params: Params, layout: Layout, runtime: Runtime | None = None) -> list[Finding]:
    """Check everything that params.yaml needs, and the other known datasets in ``data/raw``.

    Args:
        params: all sections.
        layout: the project's paths.
        runtime: gives the cache folder of annotation indices.
    """
    request = make_request(params, layout, runtime or Runtime())
    used = {**params.masks.folders(), **params.audio.folders()}
    findings = [_source(name, request) for name in SOURCES if name in used]
    findings += _weights(request)
    findings += [_local_audio(name, request) for name in ("audioset", "folder") if name in used]
    for name, root in sorted(params.convert.roots.items()):
        findings.append(_benchmark(convertible(name), layout.resolve(root), True))
    if RELEASE not in params.convert.roots:
        findings.append(_benchmark(convertible(RELEASE), layout.release, False))
    findings += [_unused(n, layout) for n in ("lvis", "coco", "openimages") if n not in used]
    for part in (*extras(), *machine(layout.raw)):
        status: Status = "found" if part.available else "absent"
        findings.append(Finding(part.name, status, False, part.detail))
    return findings


def _origin(entry: CatalogEntry) -> str:
    return f"{entry.title}: {entry.by}. Licence: {entry.licence}"


def _source(name: str, request: Request) -> Finding:
    """Check a source that `fetch` can download: its lists, then the files that they name."""
    parts, missing, count_found = [], [], 0
    status: Status = "found"
    try:
        for batch in SOURCES[name](request):
            absent = _missing(batch)
            count_found += len(batch.items) - len(absent)
            missing += absent
            parts.append(f"{batch.kind} {len(batch.items) - len(absent):,}/{len(batch.items):,}")
        parts += _differences_from_official(name, request)
    except DataError as error:
        parts.append(f"{error.found} ({Path(error.where).name})")
        status = "incomplete"
    if missing or status != "found":
        status = "incomplete" if count_found else "absent"
    return Finding(
        name,
        status,
        True,
        "; ".join(parts),
        tuple(missing[:MAX_NAMES]),
        _origin(catalog_entry(name)),
    )


def _missing(batch: DownloadBatch) -> list[str]:
    if batch.kind == "clips":
        stems = find_media(batch.root) if batch.root.is_dir() else {}
        return [i.target for i in batch.items if stems.keys().isdisjoint(file_stems(i.item_id))]
    return [i.target for i in batch.items if not (batch.root / i.target).is_file()]


def _differences_from_official(name: str, request: Request) -> Iterator[str]:
    """Yield how the lists differ from the complete official ones."""
    for file, counts in catalog_entry(name).counts.items():
        found = _count_list(name, file, request)
        if found:
            differing = [f"{found[k]:,} of {n:,} {k}" for k, n in counts.items() if found[k] != n]
            if differing:
                yield f"{file} is not the official list: {', '.join(differing)}"


def _count_list(name: str, file: str, request: Request) -> dict[str, int]:
    masks, audio = request.params.masks, request.params.audio
    if name == "lvis":
        paths = [request.layout.resolve(masks.lvis.root) / f for f in masks.lvis.files]
        path = next((p for p in paths if p.name == file), None)
        if path is None:
            return {}
        index = open_index(path, request.runtime)
        return {"masks": sum(index.count().values()), "categories": len(index.categories)}
    if name == "openimages":
        path = request.layout.resolve(masks.openimages.root) / file
        return {"masks": _lines(path) - 1} if path.is_file() else {}
    if name == "vggsound":
        rows = [r for r in clip_rows(audio.vggsound, request.layout) if not isinstance(r, BadRow)]
        return {"clips": len(rows), "labels": len({r.labels[0] for r in rows})}
    return {}


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _weights(request: Request) -> list[Finding]:
    """Check and hash every checkpoint that a model names."""
    return [
        _weight(item, batch.root)
        for batch in SOURCES["checkpoints"](request)
        for item in batch.items
    ]


def _weight(item: Item, root: Path) -> Finding:
    origin = f"{item.url}. Licence: {catalog_entry('checkpoints').licence}"
    path = root / item.target
    if not path.is_file():
        return Finding(item.item_id, "absent", True, f"not in {root}", (item.target,), origin)
    fault, size, _ = check_file(path, item)
    if fault:
        return Finding(item.item_id, "incomplete", True, fault, (item.target,), origin)
    return Finding(item.item_id, "found", True, f"{size:,} bytes, {item.digest} agrees")


def _local_audio(name: str, request: Request) -> Finding:
    """Check an audio source that `fetch` does not download."""
    folder = request.layout.resolve(request.params.audio.folders()[name])
    origin = _origin(catalog_entry(name)) if name in read_catalog() else "your own audio files"
    if not folder.is_dir():
        return Finding(name, "absent", True, f"no folder {folder.name}", (), origin)
    count = len(find_media(folder))
    return Finding(
        name, "found" if count else "incomplete", True, f"{count:,} audio files", (), origin
    )


def _benchmark(benchmark: Benchmark, root: Path, needed: bool) -> Finding:
    """Check a benchmark in its official layout."""
    origin = f"{benchmark.title}: {benchmark.url}. Licence: {benchmark.licence}"
    try:
        findings = benchmark.check(root)
    except DataError as error:
        status: Status = "incomplete" if root.is_dir() and any(root.iterdir()) else "absent"
        detail = f"{Path(error.where).name}: {error.found}"
        return Finding(benchmark.name, status, needed, detail, (), origin)
    parts: dict[str, list[int]] = {}
    for f in findings:
        total = parts.setdefault(f.part, [0, 0])
        total[0] += f.found
        total[1] += f.expected
    detail = "; ".join(f"{part} {n:,}/{of:,}" for part, (n, of) in parts.items())
    official = sum(benchmark.clips.values())
    if parts["clips"][1] != official:
        detail += f"; a subset: the official lists have {official:,} clips"
    missing = tuple(name for f in findings for name in f.missing)[:MAX_NAMES]
    complete = all(f.found == f.expected for f in findings)
    return Finding(
        benchmark.name, "found" if complete else "incomplete", needed, detail, missing, origin
    )


def _unused(name: str, layout: Layout) -> Finding:
    """Return the finding of a source that params.yaml does not use."""
    present = (layout.raw / catalog_entry(name).folder).is_dir()
    status: Status = "found" if present else "absent"
    return Finding(
        name, status, False, "params.yaml does not use it", (), _origin(catalog_entry(name))
    )


def check_table(findings: list[Finding]) -> Table:
    """Build a table of the findings, the needed ones first."""
    colours = {"found": "green", "incomplete": "yellow", "absent": "red"}
    needed = [f for f in findings if f.needed]
    n_incomplete = sum(f.status != "found" for f in needed)
    verdict = f"{n_incomplete} of {len(needed)} items that params.yaml needs are not complete"
    table = Table(
        title="data on disk",
        title_style="",
        box=SIMPLE,
        caption=verdict if n_incomplete else "complete",
    )
    for name in ("name", "needed", "status"):
        table.add_column(name)
    table.add_column("detail", overflow="fold")
    for finding in sorted(findings, key=lambda f: not f.needed):
        colour = colours[finding.status] if finding.needed or finding.status == "found" else "dim"
        lines = [finding.detail]
        if finding.missing:
            lines.append("missing: " + ", ".join(finding.missing) + " ...")
        if finding.status != "found" and finding.source:
            lines.append(finding.source)
        table.add_row(
            finding.name,
            "yes" if finding.needed else "",
            f"[{colour}]{finding.status}[/]",
            "\n".join(line for line in lines if line),
        )
    return table
