import hashlib
from pathlib import Path

import pytest

from avsynth.runtime.errors import DataError
from avsynth.toy import WRITERS, ToySummary, write_toy_world
from avsynth.toy.images import draw_image
from avsynth.toy.plan import Plan
from tests.conftest import TOY_SCALE as SMALL


def tree(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_two_workers_write_the_same_bytes(world: Path, tmp_path: Path) -> None:
    write_toy_world(tmp_path / "again", scale=SMALL, workers=2)
    expected = tree(world)
    assert len(expected) > 1000
    assert tree(tmp_path / "again") == expected


def test_another_seed_draws_another_image() -> None:
    name = "coco/000000000017.jpg"
    assert draw_image(0, name).jpeg == draw_image(0, name).jpeg
    assert draw_image(0, name).jpeg != draw_image(1, name).jpeg


def test_every_folder_is_written(world: Path, summary: ToySummary) -> None:
    assert sorted(p.name for p in world.iterdir()) == sorted([*WRITERS, "toy.json"])
    assert set(summary.counts) == set(WRITERS)
    assert all(count > 0 for part in summary.counts.values() for count in part.values())


def test_scale_changes_the_counts() -> None:
    assert [Plan(0, scale).count(100, 5) for scale in (0.01, 0.1, 1, 10)] == [5, 10, 100, 1000]


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_out_of_range_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(DataError, match="above 0"):
        write_toy_world(tmp_path / "world", scale=scale)
    assert not (tmp_path / "world").exists()


def test_a_foreign_folder_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "lvis").mkdir()
    (tmp_path / "lvis" / "mine.json").write_text("{}")
    with pytest.raises(DataError, match="no toy world wrote"):
        write_toy_world(tmp_path, scale=SMALL)
    assert tree(tmp_path) == {"lvis/mine.json": hashlib.sha256(b"{}").hexdigest()}


def test_an_interrupted_world_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: WRITERS[name] for name in ("audioset", "sounds")}
    monkeypatch.setattr("avsynth.toy.WRITERS", {**kept, "avss": _stop})
    with pytest.raises(KeyboardInterrupt):
        write_toy_world(tmp_path, scale=SMALL)
    assert '"finished": false' in (tmp_path / "toy.json").read_text()
    assert not (tmp_path / "avss").exists()
    (tmp_path / "avss.tmp").mkdir()  # as kill -9 leaves it
    monkeypatch.setattr("avsynth.toy.WRITERS", kept)
    summary = write_toy_world(tmp_path, scale=SMALL)
    assert '"finished": true' in (tmp_path / "toy.json").read_text()
    assert set(summary.counts) == set(kept)


def _stop(folder: Path, plan: Plan) -> dict[str, int]:
    (folder / "half").write_text("written")
    raise KeyboardInterrupt


def test_a_complete_world_is_kept_and_another_seed_rebuilds_it(tmp_path: Path):
    write_toy_world(tmp_path, scale=0.02)
    probe = tmp_path / "lvis" / "lvis_v1_val.json"
    first = probe.stat().st_mtime_ns
    assert write_toy_world(tmp_path, scale=0.02).counts
    assert probe.stat().st_mtime_ns == first
    write_toy_world(tmp_path, scale=0.02, seed=1)
    assert probe.stat().st_mtime_ns != first
