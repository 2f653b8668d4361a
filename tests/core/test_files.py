"""Files and folders appear whole or not at all; a lock has one holder."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from avsynth.core.files import atomic_file, atomic_folder, file_lock, make_folder, write_json
from avsynth.runtime.errors import DataError, SpaceError


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path):
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_writers_of_one_file_at_the_same_time_do_not_disturb_each_other(tmp_path: Path):
    path, together = tmp_path / "a", threading.Barrier(4)

    def write(text: str) -> None:
        with atomic_file(path, concurrent=True) as temporary:
            temporary.write_text(text)
            together.wait()

    threads = [threading.Thread(target=write, args=(str(n) * 1000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in {str(n) * 1000 for n in range(4)}
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_sorted_keys_and_ends_with_a_newline(tmp_path: Path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [2]})
    text = (tmp_path / "a.json").read_text()
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("}\n")
    assert json.loads(text) == {"a": [2], "b": 1}


def make(folder: Path, existing: str, name: str) -> None:
    with atomic_folder(folder, existing) as made:  # type: ignore[arg-type]
        (made / name).touch()


def test_a_folder_is_refused_replaced_or_kept(tmp_path: Path):
    folder = tmp_path / "a"
    make(folder, "refuse", "one")
    with pytest.raises(DataError, match="something in it"):
        make(folder, "refuse", "two")
    make(folder, "keep", "three")
    assert os.listdir(folder) == ["one"]  # noqa: PTH208 - names are enough
    make(folder, "replace", "four")
    assert os.listdir(folder) == ["four"]  # noqa: PTH208
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("existing", ["refuse", "replace", "keep"])
def test_a_folder_that_fails_is_not_there(tmp_path: Path, existing: str):
    with (
        pytest.raises(RuntimeError, match="broke"),
        atomic_folder(tmp_path / "a", existing) as made,  # type: ignore[arg-type]
    ):
        (made / "half").touch()
        raise RuntimeError("broke")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_explained(tmp_path: Path):
    with pytest.raises(SpaceError, match="Free some space"), atomic_folder(tmp_path / "a") as made:
        (made / "full").symlink_to("/dev/full")
        (made / "full").write_text("x" * 10_000)


def test_one_exclusive_holder_or_many_shared_ones(tmp_path: Path):
    lock = tmp_path / "new" / "lock"
    with file_lock(lock):
        assert lock.read_text() == str(os.getpid())
        for shared in (False, True):
            with pytest.raises(BlockingIOError), file_lock(lock, shared=shared, wait=False):
                pass
    with (
        file_lock(lock, shared=True, wait=False),
        file_lock(lock, shared=True, wait=False),
        pytest.raises(BlockingIOError),
        file_lock(lock, wait=False),
    ):
        pass
    with file_lock(lock, wait=False):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path):
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from avsynth.core.files import file_lock\n"
        "with file_lock(Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), file_lock(tmp_path / "lock", wait=False):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    with file_lock(tmp_path / "lock", wait=False):
        pass


def test_a_folder_that_cannot_be_made_is_a_space_error(tmp_path: Path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "inside", Path("/proc/none/inside")):
        with pytest.raises(SpaceError, match="a writable folder"):
            make_folder(folder)
