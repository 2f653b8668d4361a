"""A download counts only when it is what was asked for: range, version, length and kind."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avsynth.download.content import content_fault
from avsynth.download.items import Item
from avsynth.formats.waveform import encode_wav
from tests.download.test_http import bring, hidden
from tests.helpers.local_host import Host

BIG = os.urandom(3 << 20)


def image(kind: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", os.urandom(1000))
    return buffer.getvalue()


WHOLE = {
    "a.jpg": image("JPEG"),
    "a.png": image("PNG"),
    "a.json": json.dumps({"images": list(range(100))}).encode(),
    "bom.json": b"\xef\xbb\xbf [1]\n",
    "a.csv": b"\xef\xbb\xbfImageID,MaskPath\n1,2\n",
    "a.zip": archive(),
    "a.pth": archive(),
    "a.wav": encode_wav(np.zeros(1600, np.float32)),
    "a.bin": b"x",
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_has_no_fault_and_a_web_page_has_one(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(WHOLE[name])
    assert content_fault(tmp_path / name, name) == ""
    for wrong in (b"", b"<!DOCTYPE html><html>", b"\n <?xml version='1.0'?><Error/>"):
        (tmp_path / name).write_bytes(wrong)
        assert content_fault(tmp_path / name, name) or (name == "a.bin" and wrong)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.json", "a.zip", "a.pth", "a.wav"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_file_is_found(tmp_path: Path, name: str, share: float):
    (tmp_path / name).write_bytes(WHOLE[name][: int(len(WHOLE[name]) * share)])
    assert content_fault(tmp_path / name, name)


@pytest.mark.parametrize("kind", ["text/html", "text/csv", "application/octet-stream"])
@pytest.mark.parametrize("name", ["list.csv", "list.json", "a.jpg", "a.zip", "a.wav"])
def test_a_web_page_in_place_of_a_file_is_corrupt(host: Host, tmp_path: Path, name: str, kind: str):
    host.misbehave("/x", *[f"page={kind}"] * 5)
    assert bring(Item("x", f"{host.url}/x", name), tmp_path).status == "corrupt"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["rest=etag", "rest=total", "rest=less"])
def test_the_rest_of_another_file_is_not_put_behind_the_first_part(
    host: Host, tmp_path: Path, fault: str
):
    host.files["/big"] = BIG
    host.misbehave("/big", "cut=0.5", fault)
    outcome = bring(Item("big", f"{host.url}/big", "big"), tmp_path)
    assert (outcome.status, outcome.attempts) == ("ok", 3)
    assert (tmp_path / "big").read_bytes() == BIG
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("size", [1000, 2 << 20])
def test_a_part_that_was_not_asked_for_is_no_file(host: Host, tmp_path: Path, size: int):
    host.files["/big"] = BIG
    host.misbehave("/big", *[f"part={size}"] * 3)
    outcome = bring(Item("big", f"{host.url}/big", "big"), tmp_path)
    assert outcome.status == "corrupt"
    assert not (tmp_path / "big").exists()


def test_a_body_without_a_length_is_believed_only_where_its_end_shows(host: Host, tmp_path: Path):
    for name in ("a.jpg", "a.csv", "a.zip", "a.bin"):
        body = WHOLE[name] * (1 if name in ("a.jpg", "a.zip") else 50)
        host.files[f"/{name}"] = body
        host.misbehave(f"/{name}", *[f"old={len(body) // 2}"] * 3)
        outcome = bring(Item(name, f"{host.url}/{name}", name), tmp_path)
        assert outcome.status in ("corrupt", "transient"), name
        assert not (tmp_path / name).exists()
    host.misbehave("/a.jpg", f"old={len(WHOLE['a.jpg'])}")
    assert bring(Item("j", f"{host.url}/a.jpg", "a.jpg"), tmp_path).status == "ok"
