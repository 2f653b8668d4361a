"""Members of local and remote archives, and the rejection of hostile archives."""

import asyncio
import io
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsynth.download.http import Web, WebSettings
from avsynth.download.http_responses import RefusalError
from avsynth.download.items import Item, Outcome
from avsynth.download.partial_file import CorruptError
from avsynth.download.zip_members import WebBlob, member_jobs
from avsynth.download.zip_ranges import (
    RANGE_BYTES,
    LocalBlob,
    Member,
    group_ranges,
    read_contents,
    unpack,
)
from tests.helpers.local_host import Host

PNG = b"\x89PNG\r\n\x1a\n"


def make_zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def download_members(blob_of: object, names: list[str], root: Path) -> dict[str, Outcome]:
    async def run() -> dict[str, Outcome]:
        async with Web(WebSettings(attempts=2, timeout_s=1.0, backoff_s=0.01)) as web:
            blob = blob_of if isinstance(blob_of, LocalBlob) else WebBlob(web, str(blob_of))
            items = [Item(n, "", n.rpartition("/")[2], member=n) for n in names]
            done = [await job() for job in await member_jobs(blob, items, root)]
            return {item.item_id: outcome for pairs in done for item, outcome in pairs}

    return asyncio.run(run())


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("far", [False, True])
def test_members_are_complete_from_local_and_remote_archives(
    host: Host, tmp_path: Path, method: int, far: bool
) -> None:
    contents = {f"masks/m{n}.png": PNG + os.urandom(300 + n) for n in range(50)}
    host.files["/a.zip"] = make_zip(contents, method)
    (tmp_path / "a.zip").write_bytes(host.files["/a.zip"])
    source = f"{host.url}/a.zip" if far else LocalBlob(tmp_path / "a.zip")
    names = [f"masks/m{n}.png" for n in range(0, 50, 3)]
    outcomes = download_members(source, [*names, "masks/none.png"], tmp_path / "out")
    assert outcomes.pop("masks/none.png") == Outcome("gone", "not in the archive")
    assert {o.status for o in outcomes.values()} == {"ok"}
    for name in names:
        assert (tmp_path / "out" / name.rpartition("/")[2]).read_bytes() == contents[name]


def test_only_the_required_bytes_are_transferred(host: Host, tmp_path: Path) -> None:
    filler = {f"z{n}": os.urandom(200_000) for n in range(40)}
    host.files["/a.zip"] = make_zip({**filler, "wanted.png": PNG + os.urandom(500)})
    assert len(host.files["/a.zip"]) > 8_000_000
    outcomes = download_members(f"{host.url}/a.zip", ["wanted.png"], tmp_path)
    assert outcomes["wanted.png"].status == "ok"
    assert host.bytes_sent < 300_000
    assert len(host.ranges) <= 3


def test_neighbouring_members_share_a_request(host: Host, tmp_path: Path) -> None:
    members = {f"m{n}": os.urandom(2000) for n in range(500)}
    host.files["/a.zip"] = make_zip(members)
    outcomes = download_members(f"{host.url}/a.zip", list(members), tmp_path)
    assert {o.status for o in outcomes.values()} == {"ok"}
    assert len(host.ranges) <= 4


def test_a_large_member_resumes_after_an_interruption(host: Host, tmp_path: Path) -> None:
    content = os.urandom(RANGE_BYTES * 5)
    host.files["/a.zip"] = make_zip({"lists/big.json": content})
    url = f"{host.url}/a.zip"
    first = download_members(url, ["lists/big.json"], tmp_path / "whole")
    asked = len(host.ranges)
    assert first["lists/big.json"].status == "ok"
    assert (tmp_path / "whole/big.json").read_bytes() == content
    host.misbehave("/a.zip", *["pass"] * (asked - 1), *["status=500"] * 10)
    root = tmp_path / "cut"
    assert download_members(url, ["lists/big.json"], root)["lists/big.json"].status == "transient"
    (kept,) = root.iterdir()
    assert kept.name.endswith(".packed")
    assert kept.stat().st_size >= 2 * RANGE_BYTES
    host.faults.clear()
    before = host.bytes_sent
    assert download_members(url, ["lists/big.json"], root)["lists/big.json"].status == "ok"
    assert host.bytes_sent - before < len(content) - RANGE_BYTES
    assert [p.name for p in root.iterdir()] == ["big.json"]
    assert (root / "big.json").read_bytes() == content


def test_a_host_without_range_requests_is_reported(host: Host, tmp_path: Path) -> None:
    host.files["/a.zip"] = make_zip({"m": b"x"})
    host.misbehave("/a.zip", *["norange"] * 9)
    outcomes = download_members(f"{host.url}/a.zip", ["m"], tmp_path)
    assert outcomes["m"].status == "corrupt"
    assert "fetch.have" in outcomes["m"].reason


def test_an_archive_that_changes_between_requests_is_refused(host: Host) -> None:
    host.files["/a.zip"] = make_zip({"m": b"x"})

    async def run() -> None:
        async with Web(WebSettings()) as web:
            blob = WebBlob(web, f"{host.url}/a.zip")
            await blob.size()
            host.files["/a.zip"] = make_zip({"m": b"y"})
            await blob.read(0, 10)

    with pytest.raises(RefusalError, match="changed while it was read"):
        asyncio.run(run())


def hostile_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("m")
        info.create_system = 3
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def hostile_bomb() -> bytes:
    return make_zip({"m": bytes(300 << 20)})


def hostile_lie() -> bytes:
    """Build an archive that declares a megabyte of zeros as ten bytes."""
    data = bytearray(make_zip({"m": bytes(1 << 20)}))
    real = struct.pack("<I", 1 << 20)
    return bytes(data.replace(real, struct.pack("<I", 10)))


def hostile_overlap() -> bytes:
    """Build an archive with two entries of the same bytes, as in overlapping zip bombs."""
    data = bytearray(make_zip({"m": os.urandom(100), "n": os.urandom(100)}))
    first, second = (i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02")
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def hostile_cipher() -> bytes:
    data = bytearray(make_zip({"m": b"secret"}))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (hostile_link(), "a link inside an archive"),
        (hostile_bomb(), "a member that grows"),
        (hostile_lie(), "more data than the archive announces"),
        (hostile_overlap(), "members that overlap"),
        (hostile_cipher(), "an encrypted member"),
        (make_zip({"m": b"x" * 99}, zipfile.ZIP_BZIP2), "compression method 12"),
        (b"<html>error</html>", "not a zip archive"),
        (b"", "not a zip archive"),
        (make_zip({"m": b"x" * 99})[:-30], "not a zip archive"),
    ],
    ids=["link", "bomb", "lie", "overlap", "cipher", "method", "html", "empty", "cut"],
)
def test_hostile_archives_write_nothing(tmp_path: Path, archive: bytes, reason: str) -> None:
    (tmp_path / "a.zip").write_bytes(archive)
    outcome = download_members(LocalBlob(tmp_path / "a.zip"), ["m"], tmp_path / "out")["m"]
    assert outcome.status == "corrupt"
    assert reason in outcome.reason
    assert not (tmp_path / "out").exists()


def test_a_member_name_never_becomes_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(make_zip({"../../evil.png": PNG + b"1"}))
    outcomes = download_members(LocalBlob(tmp_path / "a.zip"), ["../../evil.png"], tmp_path / "out")
    assert outcomes["../../evil.png"].status == "ok"
    assert (tmp_path / "out/evil.png").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "out"]


def test_a_damaged_member_is_corrupt_and_its_neighbours_are_not(tmp_path: Path) -> None:
    members = {name: os.urandom(400) for name in ("m", "n", "o")}
    data = bytearray(make_zip(members, zipfile.ZIP_STORED))
    data[data.index(members["n"]) + 7] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    outcomes = download_members(LocalBlob(tmp_path / "a.zip"), ["m", "n", "o"], tmp_path / "out")
    assert {name: o.status for name, o in outcomes.items()} == {
        "m": "ok",
        "n": "corrupt",
        "o": "ok",
    }


def test_a_long_central_directory_is_read_beyond_the_tail(tmp_path: Path) -> None:
    names = [f"{n:06d}-{'x' * 60}.png" for n in range(4000)]
    (tmp_path / "a.zip").write_bytes(make_zip(dict.fromkeys(names, b"1"), zipfile.ZIP_STORED))
    contents = asyncio.run(read_contents(LocalBlob(tmp_path / "a.zip")))
    assert sorted(contents) == sorted(names)


def test_a_file_name_finds_its_member_only_if_it_is_unique(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(make_zip({"a/m": b"1", "b/m": b"2", "c/n": b"3"}))
    contents = asyncio.run(read_contents(LocalBlob(tmp_path / "a.zip")))
    assert "m" not in contents
    assert contents["n"].name == "c/n"


@given(
    sizes=st.lists(st.integers(1, 3 << 20), min_size=1, max_size=60),
    wanted=st.sets(st.integers(0, 59), min_size=1),
)
@settings(max_examples=60, deadline=None, database=None)
def test_ranges_hold_every_member_once_and_stay_small(sizes: list[int], wanted: set[int]) -> None:
    contents, at = {}, 0
    for n, size in enumerate(sizes):
        contents[str(n)] = Member(str(n), at, at + size, size, size, 0, 0, "")
        at += size
    items = [Item(str(n), "", str(n), member=str(n)) for n in wanted if n < len(sizes)]
    seen = []
    for start, end, pairs in group_ranges(items, contents):
        assert all(start <= m.start and m.end <= end for _, m in pairs)
        assert end - start <= RANGE_BYTES
        seen += [item.item_id for item, _ in pairs]
    assert sorted(seen) == sorted(item.item_id for item in items)


@given(st.binary(max_size=3000), st.integers(0, 200), st.binary(min_size=1, max_size=4))
@settings(max_examples=150, deadline=None, database=None)
def test_a_damaged_range_is_refused_or_correct(content: bytes, at: int, noise: bytes) -> None:
    """Check that `unpack` returns the correct bytes or raises for damaged data."""
    engine = zlib.compressobj(wbits=-15)
    packed = engine.compress(content) + engine.flush()
    header = b"PK\x03\x04" + bytes(22) + struct.pack("<HH", 1, 0) + b"m"
    byte_range = bytearray(header + packed)
    byte_range[at : at + len(noise)] = noise
    crc = zlib.crc32(content)
    member = Member("m", 0, len(byte_range), len(packed), len(content), crc, 8, "")
    try:
        assert unpack(member, bytes(byte_range)) == content
    except CorruptError:
        assert bytes(byte_range) != header + packed
