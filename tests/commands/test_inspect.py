"""`avsynth inspect` as a process: it serves, stops cleanly, and leaves no process behind."""

import json
import signal

import pytest

from avsynth.formats.shards import ShardReader
from tests.helpers.inspections import Inspection, linked_project, remaining_processes

pytestmark = [pytest.mark.fiftyone, pytest.mark.slow, pytest.mark.xdist_group("fiftyone")]


@pytest.fixture
def project(built, tmp_path, monkeypatch):
    return linked_project(built, tmp_path, monkeypatch)


def test_an_inspection_serves_the_app_and_makes_files_on_request(project, tmp_path):
    inspection = Inspection(project.root, "--max", "5", "--brain")
    try:
        assert inspection.printed[0].endswith("leaky splits")
        assert inspection.url.startswith("http://127.0.0.1:")
        assert "/datasets/avs-synthetic?token=" in inspection.url
        assert inspection.url.endswith("&view=max-5")
        status, page = inspection.get("/datasets/avs-synthetic")
        assert status == 200
        assert b"<html" in page.lower()
        assert json.loads(inspection.get("/fiftyone")[1])["version"].startswith("1.22")
        reader = ShardReader(project.shards("avs-synthetic"))
        shard = reader.shards[0]
        folder = tmp_path / "cache" / "inspect" / shard.sha256[:16] / shard.keys[0]
        assert not folder.exists()
        for name in ("image.jpg", "mask.png", "spectrogram.png", "preview.mp4"):
            status, content = inspection.media(folder / name)
            assert (status, content) == (200, (folder / name).read_bytes())
        assert inspection.media("/etc/passwd")[0] == 404
        assert (
            inspection.media(folder / ".." / ".." / ".." / ".." / "project" / "params.yaml")[0]
            == 404
        )
        assert inspection.get("/media")[0] == 404
    finally:
        code, errors = inspection.stop()
    assert (code, errors) == (0, "")
    assert remaining_processes(project.root) == []


def test_two_inspections_run_at_once_and_one_is_killed(project):
    first = Inspection(project.root, "--max", "3")
    second = Inspection(project.root, "--category", "dog")
    try:
        assert first.url.split("/")[2] != second.url.split("/")[2]
        assert second.url.endswith("&view=category-dog")
        first.process.kill()
        first.process.communicate()
        assert second.get("/fiftyone")[0] == 200
        assert remaining_processes(project.root, 2.0) != []
    finally:
        code, errors = second.stop(signal.SIGTERM)
    assert (code, errors) == (0, "")
    assert remaining_processes(project.root) == []
