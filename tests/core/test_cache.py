import os
from pathlib import Path

import pytest

from avsynth.core.cache import cache_root, cached_folder
from avsynth.runtime.options import Runtime


def test_a_folder_is_made_once(tmp_path: Path):
    runtime, made = Runtime(cache_dir=tmp_path), []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "x").write_text("content")

    first = cached_folder(runtime, "kind", "key", make)
    assert cached_folder(runtime, "kind", "key", make) == first
    assert len(made) == 1
    assert (first / "x").read_text() == "content"


def test_a_folder_that_could_not_be_made_is_not_there(tmp_path: Path):
    def make(folder: Path) -> None:
        (folder / "half").write_text("h")
        raise RuntimeError("broke")

    with pytest.raises(RuntimeError, match="broke"):
        cached_folder(Runtime(cache_dir=tmp_path), "kind", "key", make)
    assert list((tmp_path / "kind").iterdir()) == []


def test_two_that_make_the_same_folder_at_once_both_succeed(tmp_path: Path):
    runtime = Runtime(cache_dir=tmp_path)

    def make(folder: Path) -> None:
        if not (tmp_path / "kind" / "key").exists():
            # The other one is quicker.
            cached_folder(Runtime(cache_dir=tmp_path / "other"), "kind", "key", lambda f: None)
            (tmp_path / "other" / "kind" / "key").rename(tmp_path / "kind" / "key")
            (tmp_path / "kind" / "key" / "theirs").touch()
        (folder / "ours").touch()

    folder = cached_folder(runtime, "kind", "key", make)
    assert [p.name for p in folder.iterdir()] == ["theirs"]


def test_where_the_cache_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("AVSYNTH_CACHE", raising=False)
    assert cache_root(Runtime()) == tmp_path / "avsynth"
    monkeypatch.setenv("AVSYNTH_CACHE", "/named")
    assert cache_root(Runtime()) == Path("/named")
    assert cache_root(Runtime(cache_dir=tmp_path)) == tmp_path


def test_a_user_without_an_account_has_a_cache(monkeypatch: pytest.MonkeyPatch):
    for name in ("HOME", "XDG_CACHE_HOME", "AVSYNTH_CACHE"):
        monkeypatch.delenv(name, raising=False)

    def no_entry(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", no_entry)
    assert cache_root(Runtime()).name == f"avsynth-cache-{os.getuid()}"
