"""Benchmark of building, compared with the official tools: ``python -m bench.build``.

Memory and long times are measured in separate processes, ours and the peer's alternately. Short
times are measured alternately in one process. Time is CPU time. A ratio is peer / ours in the same
round; the table shows its median and range. ``--quick`` runs everything with small sizes and gives
no verdicts. The full size needs 8 GB of memory and 10 GB of disk.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rows import Row, record

GROWTH = 3


def measure(task: str, *arguments: str | Path) -> dict[str, Any]:
    """Run one task of `bench.build_tasks` in a separate process."""
    command = [sys.executable, "-m", "bench.build_tasks", task, *map(str, arguments)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    shown = ", ".join(f"{k} {v:.4g}" for k, v in result.items() if isinstance(v, float))
    print(f"  {task}: {shown}", file=sys.stderr, flush=True)
    return result


def annotation_rows(folder: Path, scale: float, rounds: int) -> list[Row]:
    """Measure reading, indexing, opening the index, and growth."""
    file, index = folder / "lvis_v1_train.json", folder / "index"
    print(measure("generate", file, str(scale))["text"], file=sys.stderr)
    taken: list[dict[str, dict[str, Any]]] = []
    for _ in range(rounds):
        ours = measure("index", file, index)
        wanted = json.dumps(ours["categories"])
        taken.append(
            {
                "index": ours,
                "columns": measure("columns", file),
                "reopen": measure("reopen", index, wanted, str(scale)),
                "peer": measure("peer", file, wanted, str(scale)),
            }
        )
    file.unlink()

    def row(what: str, task: str, of: str, must: float, stretch: float | None) -> Row:
        return Row("build", what, _ratios(taken, task, of), must, stretch)

    rows = [
        row("annotations -> columns, CPU", "columns", "cpu_s", 8, 12),
        row("annotations -> columns, peak memory", "columns", "peak_mb", 30, 45),
        row("annotations -> index with polygons, CPU", "index", "cpu_s", 5, 8),
        row("annotations -> index, peak memory", "index", "peak_mb", 25, None),
        Row(
            "build",
            "open again, 46 categories, 60 k masks",
            [t["peer"]["through_s"] / t["reopen"]["cpu_s"] for t in taken],
            100,
            250,
        ),
        Row(
            "build",
            "the same, polygons parsed to numbers",
            [t["peer"]["through_s"] / t["reopen"]["parsed_s"] for t in taken],
            None,
            None,
        ),
    ]
    return rows + growth_rows(folder, scale, [t["index"] for t in taken])


def growth_rows(folder: Path, scale: float, once: list[dict[str, Any]]) -> list[Row]:
    """Measure the index of a file ``GROWTH`` times as large, relative to the smaller file."""
    file = folder / "grown.json"
    print(measure("generate", file, str(GROWTH * scale))["text"], file=sys.stderr)
    grown = [measure("index", file, folder / "index") for _ in once]
    file.unlink()
    cpu = [g["cpu_s"] / GROWTH / o["cpu_s"] for g, o in zip(grown, once, strict=True)]
    peak = [g["peak_mb"] / o["peak_mb"] for g, o in zip(grown, once, strict=True)]
    return [
        Row("build", f"cost per mask at {GROWTH}x the masks", cpu, 1.1, None, most=True),
        Row("build", f"peak memory at {GROWTH}x the masks", peak, 1.5, None, most=True),
    ]


def _ratios(taken: list[dict[str, dict[str, Any]]], name: str, what: str) -> list[float]:
    peer = {"cpu_s": "load_s", "peak_mb": "load_mb"}[what]
    return [t["peer"][peer] / t[name][what] for t in taken]


def sample_rows(folder: Path, count: int, rounds: int) -> list[Row]:
    """Measure the work per mask and per sample."""
    png = measure("png", str(count), str(rounds))
    whole = measure("samples", folder, str(count), str(rounds))
    return [
        Row("build", "polygon -> PNG, pixel-equal", png["ratios"], 10, 16),
        Row("build", "whole sample -> tar, JPEG passed through", whole["ratios"], 5, 7.5),
    ]


def table(rows: list[Row], judged: bool) -> str:
    """Format the rows as text."""
    head = f"{'what':<42}{'median':>9}{'range':>19}{'must':>8}{'stretch':>9}"
    lines = [head + ("  verdict" if judged else "")]
    for row in rows:
        bounds = f"{min(row.ratios):.2f} .. {max(row.ratios):.2f}"
        must = f"{'<=' if row.most else '>='}{row.must:g}" if row.must else "-"
        stretch = "-" if row.stretch is None else f">={row.stretch:g}"
        line = (
            f"{row.what:<42}{statistics.median(row.ratios):>9.2f}{bounds:>19}{must:>8}{stretch:>9}"
        )
        lines.append(line + (f"  {row.verdict() or '-'}" if judged else ""))
    return "\n".join(lines)


def main() -> int:
    """Run all measurements, print the table, return 1 if a row fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="1 is LVIS v1 train (default)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one small round, no verdict")
    parser.add_argument(
        "--folder", type=Path, help="folder for generated files (default: a temporary one)"
    )
    given = parser.parse_args()
    scale, rounds, count = (0.01, 1, 60) if given.quick else (given.scale, given.rounds, 600)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=given.folder))
    try:
        rows = sample_rows(folder, count, max(rounds, 3)) + annotation_rows(folder, scale, rounds)
    finally:
        shutil.rmtree(folder)
    for row in rows:
        record(row)
    judged = not given.quick and scale == 1
    print(table(rows, judged))
    return int(judged and any(row.verdict() == "FAIL" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
