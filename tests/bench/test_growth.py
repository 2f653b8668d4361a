"""The growth bench: size of its worlds, memory of all processes, deterministic charts."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import growth
from bench.growth import Point


@pytest.mark.parametrize(("masks", "categories"), [(40, 4), (900, 8)])
def test_a_world_has_the_requested_masks_and_categories(
    toy_world: Path, tmp_path: Path, masks: int, categories: int
):
    growth.write_world(tmp_path / "p", toy_world, Point("masks", masks, categories))
    raw = tmp_path / "p" / "data" / "raw"
    content = json.loads((raw / "lvis" / "lvis_v1_train.json").read_text())
    assert len(content["annotations"]) == masks
    assert len({a["id"] for a in content["annotations"]}) == masks
    assert {a["category_id"] for a in content["annotations"]} == set(range(1, categories + 1))
    images = {image["id"] for image in content["images"]}
    assert images == {a["image_id"] for a in content["annotations"]}
    assert len(list((raw / "lvis" / "train2017").iterdir())) == len(images)
    clips = (raw / "vggsound" / "vggsound.csv").read_text().splitlines()
    assert len(clips) == categories * growth.CLIPS_PER_CATEGORY
    assert len(list((raw / "vggsound" / "audio").iterdir())) == len(clips)


def test_a_point_is_a_complete_build(toy_world: Path, tmp_path: Path):
    taken = growth.run(Point("masks", 60, 4), toy_world, tmp_path)
    assert 0 < taken["triplets"] <= 60
    assert taken["cpu_s"] > 0
    assert 50 < taken["peak_mb"] < 2000
    assert list(tmp_path.iterdir()) == [], "its world is deleted"


@contextmanager
def child(code: str) -> Iterator[None]:
    """Run a program until it prints a line, and keep it waiting until the end of the block."""
    code = f"import mmap, sys; {code}; print(len(kept), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        yield
        process.communicate(b"")


def test_memory_covers_all_processes_and_counts_shared_pages_once(tmp_path: Path):
    alone = growth.together_mb(os.getpid())
    assert alone > 20
    with child("kept = b'x' * 100_000_000"):
        assert 90 < growth.together_mb(os.getpid()) - alone < 140
    (tmp_path / "file").write_bytes(b"x" * 100_000_000)
    look = f"f = open({str(tmp_path / 'file')!r}, 'r+b'); kept = mmap.mmap(f.fileno(), 0)"
    look += "; sum(kept[::4096])"
    with child(look):
        once = growth.together_mb(os.getpid())
        with child(look):
            assert 0 < growth.together_mb(os.getpid()) - once < 40
    assert growth.together_mb(2**22 + 1) == 0.0, "a process that has ended uses none"


def test_rounds_become_medians_and_a_deterministic_chart(tmp_path: Path):
    points = [Point("masks", 10, 4), Point("masks", 20, 4), Point("workers", 10, 4, 2)]
    rounds = [
        {"cpu_s": c, "wall_s": w, "triplets": 10, "peak_mb": m}
        for c, w, m in [(1.0, 3.0, 100.0), (2.0, 5.0, 300.0), (6.0, 4.0, 200.0)]
    ]
    table = growth.summary(points, dict.fromkeys(points, rounds))
    assert table["ms"].tolist() == [200.0, 200.0, 400.0], "CPU time, for workers wall time"
    assert table["ms_lowest"].tolist() == [100.0, 100.0, 300.0]
    assert table["peak_mb"].tolist() == [200.0] * 3
    for name in ("a.svg", "b.svg"):
        growth.draw(table, tmp_path / name)
    drawn = (tmp_path / "a.svg").read_text()
    assert drawn == (tmp_path / "b.svg").read_text()
    assert drawn.count('id="axes_') >= 4


@pytest.mark.slow
def test_the_quick_run_prints_three_sizes_of_each(tmp_path: Path):
    command = [sys.executable, "-m", "bench.growth", "--quick", "--chart", str(tmp_path / "g.svg")]
    done = subprocess.run(
        command, cwd=growth.REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [line[0] for line in lines] == ["masks"] * 3 + ["categories"] * 3 + ["workers"] * 3
    assert all(float(line[3]) > 0 and float(line[6]) > 50 for line in lines)
    assert (tmp_path / "g.svg").read_text().startswith("<?xml")
