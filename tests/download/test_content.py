"""A download is accepted only if its range, version, length and content are the requested ones."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avsynth.download.content import check_content
from avsynth.download.items import Item
from avsynth.formats.waveform import encode_wav
from tests.download.test_http import download, hidden
from tests.helpers.local_host import Host

BIG = os.urandom(3 << 20)


def encode_image(image_format: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, image_format)
    return buffer.getvalue()


def make_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", os.urandom(1000))
    return buffer.getvalue()


COMPLETE = {
    "a.jpg": encode_image("JPEG"),
    "a.png": encode_image("PNG"),
    "a.json": json.dumps({"images": list(range(100))}).encode(),
    "bom.json": b"\xef\xbb\xbf [1]\n",
    "a.csv": b"\xef\xbb\xbfImageID,MaskPath\n1,2\n",
    "a.zip": make_archive(),
    "a.pth": make_archive(),
    "a.wav": encode_wav(np.zeros(1600, np.float32)),
    "a.bin": b"x",
}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_file_is_valid_and_a_web_page_is_not(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(COMPLETE[name])
    assert check_content(tmp_path / name, name) == ""
    for wrong in (b"", b"<!DOCTYPE html><html>", b"\n <?xml version='1.0'?><Error/>"):
        (tmp_path / name).write_bytes(wrong)
        assert check_content(tmp_path / name, name) or (name == "a.bin" and wrong)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.json", "a.zip", "a.pth", "a.wav"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_detected(tmp_path: Path, name: str, share: float) -> None:
    (tmp_path / name).write_bytes(COMPLETE[name][: int(len(COMPLETE[name]) * share)])
    assert check_content(tmp_path / name, name)


@pytest.mark.parametrize("content_type", ["text/html", "text/csv", "application/octet-stream"])
@pytest.mark.parametrize("name", ["list.csv", "list.json", "a.jpg", "a.zip", "a.wav"])
def test_a_web_page_instead_of_a_file_is_corrupt(
    host: Host, tmp_path: Path, name: str, content_type: str
) -> None:
    host.misbehave("/x", *[f"page={content_type}"] * 5)
    assert download(Item("x", f"{host.url}/x", name), tmp_path).status == "corrupt"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["rest=etag", "rest=total", "rest=less"])
def test_the_rest_of_another_version_is_not_appended(
    host: Host, tmp_path: Path, fault: str
) -> None:
    host.files["/big"] = BIG
    host.misbehave("/big", "cut=0.5", fault)
    outcome = download(Item("big", f"{host.url}/big", "big"), tmp_path)
    assert (outcome.status, outcome.attempts) == ("ok", 3)
    assert (tmp_path / "big").read_bytes() == BIG
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("size", [1000, 2 << 20])
def test_a_partial_response_that_was_not_requested_is_corrupt(
    host: Host, tmp_path: Path, size: int
) -> None:
    host.files["/big"] = BIG
    host.misbehave("/big", *[f"part={size}"] * 3)
    outcome = download(Item("big", f"{host.url}/big", "big"), tmp_path)
    assert outcome.status == "corrupt"
    assert not (tmp_path / "big").exists()


def test_a_body_without_a_length_is_accepted_only_if_its_format_marks_its_end(
    host: Host, tmp_path: Path
) -> None:
    for name in ("a.jpg", "a.csv", "a.zip", "a.bin"):
        body = COMPLETE[name] * (1 if name in ("a.jpg", "a.zip") else 50)
        host.files[f"/{name}"] = body
        host.misbehave(f"/{name}", *[f"old={len(body) // 2}"] * 3)
        outcome = download(Item(name, f"{host.url}/{name}", name), tmp_path)
        assert outcome.status in ("corrupt", "transient"), name
        assert not (tmp_path / name).exists()
    host.misbehave("/a.jpg", f"old={len(COMPLETE['a.jpg'])}")
    assert download(Item("j", f"{host.url}/a.jpg", "a.jpg"), tmp_path).status == "ok"
