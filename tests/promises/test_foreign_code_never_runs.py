"""Promise: foreign code never runs. Files of other people are data, regardless of their names."""

import ast
import asyncio
import io
import os
import wave
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from PIL import Image

import avsynth
from avsynth.benchmarks.frames import bilevel, read_image, read_mask
from avsynth.building.samples import SampleInputs, compose
from avsynth.commands.segment import _read as read_for_segment
from avsynth.core.records import Drop
from avsynth.formats.audio_file import Span, decode
from avsynth.formats.images import (
    MAX_PIXELS,
    ForeignFormatError,
    ImageError,
    decode_image,
    decode_mask,
    foreground,
    open_image,
)
from avsynth.inspection.fiftyone_app.server import Guard, Media
from avsynth.loading.decode import decode_image as load_image
from avsynth.loading.decode import decode_mask as load_mask
from avsynth.runtime.errors import DataError

SOURCES = sorted(
    {p for p in Path(avsynth.__file__).parent.rglob("*.py")}
    | {p for p in (Path(avsynth.__file__).parents[1] / "models").rglob("*.py")}
    | {p for p in (Path(avsynth.__file__).parents[1] / "pipelines").rglob("*.py")}
)
EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    b"%pipe%touch ran file\nshowpage\n%%EOF\n"
)


def image_bytes(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind, **options)
    return buffer.getvalue()


FOREIGN = {
    "eps": EPS,
    "eps behind a preview": b"\xc5\xd0\xd3\xc6" + (32).to_bytes(4, "little") + bytes(24) + EPS,
    **{kind.lower(): image_bytes(kind) for kind in ("GIF", "BMP", "TIFF", "PPM", "ICO", "TGA")},
}
READERS = {
    "open_image": lambda path: open_image(path).__enter__(),
    "decode_image": lambda path: decode_image(path.read_bytes()),
    "decode_mask": lambda path: decode_mask(path.read_bytes()),
    "loader's image": lambda path: load_image(path.read_bytes(), 8),
    "loader's mask": lambda path: load_mask(path.read_bytes(), (8, 8)),
    "benchmark's image": read_image,
    "benchmark's mask": lambda path: read_mask(foreground, path, (8, 8)),
    "benchmark's bilevel mask": lambda path: read_mask(bilevel, path, (8, 8)),
    "segment": read_for_segment,
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_no_reader_opens_an_image_of_another_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, suffix: str
):
    called: list[object] = []
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *a, **k: called.append(a) or 1 / 0)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(FOREIGN[kind])
    for read in READERS.values():
        with pytest.raises((DataError, ImageError)):
            read(path)
    assert called == []
    inputs = SampleInputs("dog-1", "dog", path, 8, 8, ("",), path, 0, True, ())
    dropped = compose(inputs)
    assert isinstance(dropped, Drop)
    assert dropped.reason in ("unsupported_image", "undecodable_image")


def test_other_formats_are_distinguished_from_damage():
    for kind in ("eps", "gif", "bmp", "tiff", "ppm"):
        with pytest.raises(ForeignFormatError), open_image(FOREIGN[kind]):
            pass
    for damaged in (b"", b"x", image_bytes("PNG")[:40]):
        with pytest.raises(ImageError), open_image(damaged) as image:
            image.load()
    assert decode_image(image_bytes("JPEG")).shape == decode_image(image_bytes("PNG")).shape


def test_an_image_larger_than_the_bound_is_refused_before_its_pixels_are_read():
    content = bytearray(image_bytes("PNG"))
    side = int(MAX_PIXELS**0.5) + 1
    content[16:24] = side.to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    for read in (decode_image, decode_mask, lambda data: load_mask(data, None)):
        with pytest.raises(DataError, match="above"):
            read(bytes(content))


@pytest.mark.parametrize("suffix", [".mp4", ".m4a", ".webm"])
@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile other.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n",
    ],
    ids=["concat", "hls"],
)
def test_a_playlist_with_the_name_of_an_audio_file_opens_no_other_file(
    tmp_path: Path, suffix: str, playlist: str
):
    with wave.open(str(tmp_path / "other.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.ones(32000, np.int16).tobytes())
    (tmp_path / f"a{suffix}").write_text(playlist)
    with pytest.raises(DataError):
        decode(tmp_path / f"a{suffix}", Span(0.0, 1.0, 16000))


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, node, ast.unparse(node.func)


def keyword(call: ast.Call, name: str) -> object:
    values = [k.value for k in call.keywords if k.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def test_every_reader_that_could_run_code_reads_data_only():
    """Check the calls in our sources: a new call of one of these must not be able to run code."""
    faults = []
    for path, call, name in calls():
        wrong = {
            "torch.load": keyword(call, "weights_only") is not True,
            "np.load": bool(keyword(call, "allow_pickle")),
            "Image.open": path.name != "images.py" or keyword(call, "mode") is not None,
            **dict.fromkeys(
                ("pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
                 "eval", "exec", "os.system", "os.popen", "joblib.load", "marshal.loads",
                 "shelve.open", "pd.read_pickle", "tarfile.TarFile.extractall"),
                True,
            ),
        }.get(name, name.endswith(".extractall") or keyword(call, "shell") is True)  # fmt: skip
        if wrong:
            faults.append(f"{path.name}:{call.lineno} {name}")
    assert faults == []


def request(
    guard: Guard, path: str, query: str = "", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str]]:
    """Send one request through the guard; return the status and the headers of the response."""
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    sent_headers = {"host": "127.0.0.1:5151", **(headers or {})}
    scope = {
        "type": "http", "path": path, "query_string": query.encode("latin-1"),
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in sent_headers.items() if v],
    }  # fmt: skip
    asyncio.run(guard(scope, lambda: None, send))
    received = {k.decode(): v.decode() for k, v in sent[0].get("headers", [])}
    return int(sent[0]["status"]), received


COOKIE = {"cookie": "a=b; avsynth-5151=secret"}


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    from avsynth.core.paths import Layout

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"query", scope["query_string"])]})  # fmt: skip

    images = tmp_path / "images"
    images.mkdir()
    (images / "a b.jpg").write_bytes(image_bytes("JPEG"))
    (images / "secret.json").write_text("{}")
    (images / "secret.jpg").write_text("root:x:0:0")
    (images / "link.jpg").symlink_to("/etc/passwd")
    media = Media(Layout(tmp_path), tmp_path / "cache" / "inspect", [images])
    return Guard(app, media, "secret", "avsynth-5151")


def test_the_app_responds_only_to_the_browser_with_its_token(guard: Guard):
    assert request(guard, "/datasets/x")[0] == 403
    status, received = request(guard, "/datasets/x", "token=secret&view=a+b")
    assert (status, received["location"]) == (303, "/datasets/x?view=a+b")
    assert received["set-cookie"].startswith("avsynth-5151=secret; HttpOnly; SameSite=Strict")
    assert request(guard, "/datasets/x", headers=COOKIE)[0] == 200
    assert request(guard, "/x", "token=secre")[0] == 403
    assert request(guard, "/x", headers={"cookie": "avsynth-5151=other"})[0] == 403
    assert request(guard, "//evil.org/x", "token=secret")[1]["location"] == "/evil.org/x"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.org"}, {"host": "127.0.0.1.evil.org:5151"}, {"host": ""}, {"host": "[::1"},
        {"origin": "http://evil.org"}, {"origin": "null"}, {"origin": "http://127.0.0.1:3000"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/media", "/graphql", "/operators/execute"])
def test_foreign_hosts_and_pages_are_refused(guard: Guard, headers: dict[str, str], path: str):
    assert request(guard, path, headers={**COOKIE, **headers})[0] == 403
    assert request(guard, path, "token=secret", headers)[0] == 403


@pytest.mark.parametrize("route", ["/media", "/media\n", "/media/", "//media"])
def test_the_app_returns_only_the_path_that_was_checked(guard: Guard, route: str, tmp_path: Path):
    images = tmp_path / "images"
    shown = f"{images}/a%20b.jpg"
    status, received = request(guard, route, f"filepath={shown}", COOKIE)
    assert (status, parse_qs(received["query"])) == (200, {"filepath": [f"{images}/a b.jpg"]})
    refused = [
        f"filepath={shown}&filepath=/etc/passwd", f"filepath=/etc/passwd&filepath={shown}",
        f"filepath={shown}&filepath=", "filepath=/etc/passwd", "", "filepath=", "filepath=a.jpg",
        f"filepath={images}/../images/a%20b.jpg", f"filepath={images}/a%00.jpg",
        *(f"filepath={images}/{name}" for name in ("secret.json", "secret.jpg", "link.jpg")),
        f"filepath={images}/{'x' * 5000}.jpg", f"FILEPATH={shown}", f"filepath={images}",
    ]  # fmt: skip
    for query in refused:
        assert request(guard, route, query, COOKIE)[0] == 404, query


def test_only_the_owner_can_read_the_databases_key(tmp_path: Path):
    pytest.importorskip("fiftyone")
    import pymongo

    from avsynth.inspection.fiftyone_app.database import URI_VARIABLE, database

    named = os.environ.pop(URI_VARIABLE, None)
    try:
        with database(tmp_path) as uri:
            assert (tmp_path / "key").stat().st_mode & 0o077 == 0
            with pymongo.MongoClient(uri) as ours:
                ours.test.things.insert_one({"a": 1})
            bare = f"mongodb://127.0.0.1:{pymongo.uri_parser.parse_uri(uri)['nodelist'][0][1]}"
            refused = pytest.raises(pymongo.errors.OperationFailure, match="not authorized")
            with pymongo.MongoClient(bare) as other, refused:
                other.test.things.find_one()
    finally:
        if named is not None:
            os.environ[URI_VARIABLE] = named
