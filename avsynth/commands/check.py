"""``avsynth check``: for every dataset and checkpoint, is it there, and is it whole?

One finding each: found, incomplete (how many of how many, the first missing names) or absent
(where it is given out, by whom, under which licence). Nothing is downloaded or changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE
from rich.table import Table

from avsynth.benchmarks import BENCHMARKS, Benchmark, avs_synthetic_release
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.download.catalog import Known, catalog, known
from avsynth.download.items import Item, file_fault
from avsynth.download.requirements import WANTED, Parcel, Wish, clip_rows, wish
from avsynth.runtime.environment import extras, machine
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime
from avsynth.sources.audio.clip_lists import BadRow, find_media
from avsynth.sources.masks.annotation_index import open_index

State = Literal["found", "incomplete", "absent"]
NAMED = 3
"""Missing files that a finding names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What there is of one dataset, checkpoint or piece of equipment."""

    name: str
    state: State
    needed: bool
    """params.yaml builds from it."""
    detail: str
    missing: tuple[str, ...] = ()
    """The first missing or damaged files."""
    source: str = ""
    """Where it is given out, by whom, under which licence."""


def check(params: Params, layout: Layout, runtime: Runtime | None = None) -> list[Finding]:
    """Look at everything that params.yaml needs, and at what else may lie in ``data/raw``.

    Args:
        params: all sections.
        layout: of the project.
        runtime: names the cache of annotation indices.
    """
    wished = wish(params, layout, runtime or Runtime())
    used = {**params.masks.folders(), **params.audio.folders()}
    findings = [_source(name, wished) for name in WANTED if name in used]
    findings += _weights(wished)
    findings += [_own_sounds(name, wished) for name in ("audioset", "folder") if name in used]
    for name, root in sorted(params.convert.roots.items()):
        findings.append(_benchmark(BENCHMARKS[name], layout.resolve(root), True))
    release = layout.raw / known(avs_synthetic_release.NAME).folder
    findings.append(_benchmark(avs_synthetic_release.BENCHMARK, release, False))
    findings += [_unused(n, layout) for n in ("lvis", "coco", "openimages") if n not in used]
    for part in (*extras(), *machine(layout.raw)):
        state: State = "found" if part.available else "absent"
        findings.append(Finding(part.name, state, False, part.detail))
    return findings


def _origin(entry: Known) -> str:
    return f"{entry.title}: {entry.by}. Licence: {entry.licence}"


def _source(name: str, wished: Wish) -> Finding:
    """Look at a source that `fetch` can bring: its lists, then what hangs on them."""
    parts, missing, here = [], [], 0
    state: State = "found"
    try:
        for parcel in WANTED[name](wished):
            lost = _missing(parcel)
            here += len(parcel.items) - len(lost)
            missing += lost
            parts.append(f"{parcel.kind} {len(parcel.items) - len(lost):,}/{len(parcel.items):,}")
        parts += _against_official(name, wished)
    except DataError as error:
        parts.append(f"{error.found} ({Path(error.where).name})")
        state = "incomplete"
    if missing or state != "found":
        state = "incomplete" if here else "absent"
    return Finding(
        name, state, True, "; ".join(parts), tuple(missing[:NAMED]), _origin(known(name))
    )


def _missing(parcel: Parcel) -> list[str]:
    if parcel.kind == "clips":
        stems = find_media(parcel.root) if parcel.root.is_dir() else {}
        return [i.target for i in parcel.items if i.item_id not in stems]
    return [i.target for i in parcel.items if not (parcel.root / i.target).is_file()]


def _against_official(name: str, wished: Wish) -> Iterator[str]:
    """Say how the lists differ from the complete official ones."""
    for file, counts in known(name).counts.items():
        found = _count_list(name, file, wished)
        if found:
            differing = [f"{found[k]:,} of {n:,} {k}" for k, n in counts.items() if found[k] != n]
            if differing:
                yield f"{file} is not the official list: {', '.join(differing)}"


def _count_list(name: str, file: str, wished: Wish) -> dict[str, int]:
    masks, audio = wished.params.masks, wished.params.audio
    if name == "lvis":
        paths = [wished.layout.resolve(masks.lvis.root) / f for f in masks.lvis.files]
        path = next((p for p in paths if p.name == file), None)
        if path is None:
            return {}
        index = open_index(path, wished.runtime)
        return {"masks": sum(index.count().values()), "categories": len(index.categories)}
    if name == "openimages":
        path = wished.layout.resolve(masks.openimages.root) / file
        return {"masks": _lines(path) - 1} if path.is_file() else {}
    if name == "vggsound":
        rows = [r for r in clip_rows(audio.vggsound, wished.layout) if not isinstance(r, BadRow)]
        return {"clips": len(rows), "labels": len({r.labels[0] for r in rows})}
    return {}


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _weights(wished: Wish) -> list[Finding]:
    """Look at every checkpoint that a model names, and hash it."""
    return [
        _one_weight(item, parcel.root)
        for parcel in WANTED["checkpoints"](wished)
        for item in parcel.items
    ]


def _one_weight(item: Item, root: Path) -> Finding:
    origin = f"{item.url}. Licence: {known('checkpoints').licence}"
    path = root / item.target
    if not path.is_file():
        return Finding(item.item_id, "absent", True, f"not in {root}", (item.target,), origin)
    fault, size, _ = file_fault(path, item)
    if fault:
        return Finding(item.item_id, "incomplete", True, fault, (item.target,), origin)
    return Finding(item.item_id, "found", True, f"{size:,} bytes, {item.digest} agrees")


def _own_sounds(name: str, wished: Wish) -> Finding:
    """Look at a source of sounds that `fetch` does not bring."""
    folder = wished.layout.resolve(wished.params.audio.folders()[name])
    origin = _origin(known(name)) if name in catalog() else "your own sounds"
    if not folder.is_dir():
        return Finding(name, "absent", True, f"no folder {folder.name}", (), origin)
    count = len(find_media(folder))
    return Finding(name, "found" if count else "incomplete", True, f"{count:,} sounds", (), origin)


def _benchmark(benchmark: Benchmark, root: Path, needed: bool) -> Finding:
    """Look at a benchmark in its official layout."""
    origin = f"{benchmark.title}: {benchmark.url}. Licence: {benchmark.licence}"
    try:
        findings = benchmark.check(root)
    except DataError as error:
        state: State = "incomplete" if root.is_dir() and any(root.iterdir()) else "absent"
        detail = f"{Path(error.where).name}: {error.found}"
        return Finding(benchmark.name, state, needed, detail, (), origin)
    parts: dict[str, list[int]] = {}
    for f in findings:
        total = parts.setdefault(f.part, [0, 0])
        total[0] += f.found
        total[1] += f.expected
    detail = "; ".join(f"{part} {n:,}/{of:,}" for part, (n, of) in parts.items())
    official = sum(benchmark.clips.values())
    if parts["clips"][1] != official:
        detail += f"; a subset: the official lists have {official:,} clips"
    missing = tuple(name for f in findings for name in f.missing)[:NAMED]
    whole = all(f.found == f.expected for f in findings)
    return Finding(
        benchmark.name, "found" if whole else "incomplete", needed, detail, missing, origin
    )


def _unused(name: str, layout: Layout) -> Finding:
    """Name a source that params.yaml does not build from."""
    there = (layout.raw / known(name).folder).is_dir()
    state: State = "found" if there else "absent"
    return Finding(
        name, state, False, "params.yaml does not build from it", (), _origin(known(name))
    )


def check_table(findings: list[Finding]) -> Table:
    """Lay findings out for people: what is needed first, then the rest."""
    colours = {"found": "green", "incomplete": "yellow", "absent": "red"}
    needed = [f for f in findings if f.needed]
    short = sum(f.state != "found" for f in needed)
    verdict = f"{short} of {len(needed)} things that params.yaml needs are not whole"
    table = Table(
        title="what is there", title_style="", box=SIMPLE, caption=verdict if short else "all there"
    )
    for name in ("what", "needed", "state"):
        table.add_column(name)
    table.add_column("detail", overflow="fold")
    for finding in sorted(findings, key=lambda f: not f.needed):
        colour = colours[finding.state] if finding.needed or finding.state == "found" else "dim"
        lines = [finding.detail]
        if finding.missing:
            lines.append("missing: " + ", ".join(finding.missing) + " ...")
        if finding.state != "found" and finding.source:
            lines.append(finding.source)
        table.add_row(
            finding.name,
            "yes" if finding.needed else "",
            f"[{colour}]{finding.state}[/]",
            "\n".join(line for line in lines if line),
        )
    return table
