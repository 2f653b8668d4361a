"""Agreement of docs/benchmarks.md with the code."""

import re
from pathlib import Path

from avsynth.benchmarks import BENCHMARKS
from avsynth.metrics.frames import PROTOCOLS
from avsynth.metrics.measures import MEASURES

TEXT = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def table_under(heading):
    section = TEXT.split(heading, 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_lists_every_benchmark_with_its_official_numbers():
    rows = {row[0].strip("`"): row for row in table_under("## The benchmarks")}
    assert set(rows) == set(BENCHMARKS)
    for name, benchmark in BENCHMARKS.items():
        shown = [int(n.replace(",", "")) for n in re.findall(r"[\d,]+", rows[name][2])]
        assert shown == list(benchmark.clips.values()), name


def test_the_page_lists_every_protocol_with_its_iou_threshold():
    rows = {row[0].strip("`"): row[1] for row in table_under("### Protocols")}
    assert rows == {name: f"sigmoid > {p.iou_threshold}" for name, p in PROTOCOLS.items()}


def test_the_page_lists_every_measure():
    named = [n for row in table_under("### Measures") for n in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(MEASURES)
