"""Whole under its name or not there: errors, full disks, and processes that write the same name at once."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import stat
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from predictor import files
from predictor.cache import cache_folder
from predictor.files import folder_beside, is_aside, to_disk, whole_file, whole_folder

SPAWN = multiprocessing.get_context("spawn")


class Killed(BaseException):
    """What no code expects."""


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("value", [None, ""])
def test_the_cache_is_in_the_home_folder_unless_the_environment_says_otherwise(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PREDICTOR_CACHE", raising=False)
    if value is not None:
        monkeypatch.setenv("PREDICTOR_CACHE", value)
    assert cache_folder() == tmp_path / ".cache" / "finetune-predictor"
    monkeypatch.setenv("PREDICTOR_CACHE", "elsewhere")
    assert cache_folder() == Path("elsewhere")
    assert names(tmp_path) == []


def test_a_file_stands_under_its_name_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    with whole_file(path, encoding="utf-8", newline="\n") as file:
        file.write("ä\n")
        file.flush()
        assert not path.exists()
        [aside] = path.parent.iterdir()
        assert is_aside(aside)
        assert not is_aside(path)
    assert path.read_bytes() == "ä\n".encode()
    with whole_file(path, "wb") as file:
        file.write(b"\x00")
        assert path.read_bytes() != b"\x00"
    assert path.read_bytes() == b"\x00"
    assert names(path.parent) == ["file.txt"]


def test_a_file_and_a_folder_have_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    (tmp_path / "plain_folder").mkdir()
    with whole_file(tmp_path / "file"), whole_folder(tmp_path / "folder"):
        pass
    for name, plain in (("file", "plain"), ("folder", "plain_folder")):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == stat.S_IMODE((tmp_path / plain).stat().st_mode)


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, Killed])
def test_a_fault_in_the_middle_leaves_what_was_there(tmp_path: Path, fault: type[BaseException]) -> None:
    (tmp_path / "file").write_text("before")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("before")
    with pytest.raises(fault), whole_file(tmp_path / "file") as file:
        file.write("half")
        raise fault
    for replace in (False, True):
        with pytest.raises(fault), whole_folder(tmp_path / "folder", replace=replace) as folder:
            (folder / "half").write_text("half")
            raise fault
    assert (tmp_path / "file").read_text() == "before"
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == ["kept"]


def test_a_full_disk_while_writing_leaves_nothing(tmp_path: Path) -> None:
    """`/dev/full` refuses every write, but only when the buffer is emptied: here when the file is closed."""
    for durable in (False, True):
        with pytest.raises(OSError, match="No space left") as caught:
            _write_to_a_full_disk(tmp_path / "file", durable)
        assert caught.value.errno == errno.ENOSPC
        assert names(tmp_path) == []


def _write_to_a_full_disk(path: Path, durable: bool) -> None:
    with whole_file(path, "w", durable=durable) as file:
        descriptor = os.open("/dev/full", os.O_WRONLY)
        os.dup2(descriptor, file.fileno())
        os.close(descriptor)
        file.write("short enough for the buffer")


@pytest.mark.parametrize("step", ["fsync", "replace", "rename"])
def test_a_disk_that_is_full_at_the_end_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (tmp_path / "file").write_text("before")
    monkeypatch.setattr(os, step, full)
    if step != "rename":
        with pytest.raises(OSError, match="No space left"), whole_file(tmp_path / "file", durable=True) as file:
            file.write("new")
    if step != "replace":
        with pytest.raises(OSError, match="No space left"), whole_folder(tmp_path / "new", durable=True) as folder:
            (folder / "a").write_text("new")
    assert (tmp_path / "file").read_text() == "before"
    assert names(tmp_path) == ["file"]


def test_what_must_last_is_synced_before_it_is_renamed_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("fsync", "replace", "rename"):
        original = getattr(os, name)

        def noted(*arguments: object, name: str = name, original: object = original) -> None:
            inode = os.fstat(arguments[0]).st_ino if name == "fsync" else None
            done.append(f"fsync {inode}" if inode else name)
            original(*arguments)

        monkeypatch.setattr(os, name, noted)
    with whole_file(tmp_path / "file") as file:
        file.write("x")
    with whole_folder(tmp_path / "folder"):
        pass
    assert done == ["replace", "rename"]

    done.clear()
    parent = f"fsync {tmp_path.stat().st_ino}"
    with whole_file(tmp_path / "lasting", durable=True) as file:
        file.write("x")
    assert done == [f"fsync {(tmp_path / 'lasting').stat().st_ino}", "replace", parent]

    done.clear()
    with whole_folder(tmp_path / "lasting_folder", durable=True) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "a").write_text("x")
        (folder / "b").write_text("x")
    lasting = tmp_path / "lasting_folder"
    inside = {f"fsync {path.stat().st_ino}" for path in (lasting, *lasting.rglob("*"))}
    assert set(done[:-2]) == inside
    assert done[-2:] == ["rename", parent]

    done.clear()
    with (tmp_path / "open").open("w") as file:
        file.write("x")
        to_disk(file)
        assert (tmp_path / "open").read_text() == "x"
    assert done == [f"fsync {(tmp_path / 'open').stat().st_ino}"]


def test_a_folder_that_appeared_meanwhile_stays_and_ours_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a" / "model"
    with whole_folder(path) as ours:
        (ours / "weights").write_text("ours")
        with whole_folder(path) as theirs:
            (theirs / "weights").write_text("theirs")
        assert (path / "weights").read_text() == "theirs"
    assert (path / "weights").read_text() == "theirs"
    assert names(path.parent) == ["model"]


def test_an_empty_folder_is_filled_and_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with whole_folder(tmp_path / "model") as ours:
        (ours / "weights").write_text("ours")
    assert names(tmp_path / "model") == ["weights"]
    (tmp_path / "file").write_text("in the way")
    for replace in (False, True):
        with pytest.raises(NotADirectoryError), whole_folder(tmp_path / "file", replace=replace) as ours:
            (ours / "weights").write_text("ours")
        with pytest.raises(OSError), whole_folder(tmp_path / "file" / "below", replace=replace):
            pass
    with pytest.raises(IsADirectoryError), whole_file(tmp_path / "model") as file:
        file.write("over a folder")
    assert names(tmp_path) == ["file", "model"]


def test_a_folder_replaces_another_when_asked(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with whole_folder(tmp_path / "model", replace=True) as ours:
            (ours / content).write_text(content)
    assert names(tmp_path / "model") == ["second"]
    assert names(tmp_path) == ["model"]


def test_a_folder_that_another_process_takes_away_at_the_same_instant_is_replaced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("old")
    rename = os.rename

    def late(source: Path, target: Path) -> None:
        if source == tmp_path / "model":
            shutil.rmtree(source)
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    with whole_folder(tmp_path / "model", replace=True) as ours:
        (ours / "new").write_text("new")
    assert names(tmp_path / "model") == ["new"]


def test_a_folder_beside_is_on_the_same_disk_and_gone_at_the_end(tmp_path: Path) -> None:
    with folder_beside(tmp_path / "a" / "out") as folder:
        assert (folder.parent, names(folder)) == (tmp_path / "a", [])
        (folder / "x").write_text("x")
        os.replace(folder / "x", tmp_path / "a" / "x")
        (folder / "y").write_text("y")
    assert names(tmp_path / "a") == ["x"]


def _write_file(path: Path, barrier: Barrier, letter: str) -> None:
    for _ in range(20):
        with whole_file(path) as file:
            file.write(letter * 25_000)
            barrier.wait(10)  # both are in the middle
            file.write(letter * 25_000)


def _write_folder(path: Path, barrier: Barrier, letter: str, replace: bool) -> None:
    for number in range(20):
        with whole_folder(path.with_name(f"{path.name}-{number}"), replace=replace) as folder:
            for part in range(20):
                (folder / f"part-{part}").write_text(letter * 10_000)
            barrier.wait(10)  # both have all their files


def _race(work: object, *arguments: object) -> None:
    barrier = SPAWN.Barrier(2)
    path, *rest = arguments
    both = [SPAWN.Process(target=work, args=(path, barrier, letter, *rest)) for letter in "ab"]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]


def test_two_processes_that_write_a_file_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    _race(_write_file, tmp_path / "file")
    assert (tmp_path / "file").read_text() in ("a" * 50_000, "b" * 50_000)
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("replace", [False, True])
def test_two_processes_that_write_a_folder_at_once_leave_one_whole_folder(tmp_path: Path, replace: bool) -> None:
    _race(_write_folder, tmp_path / "model", replace)
    assert names(tmp_path) == sorted(f"model-{number}" for number in range(20))
    for folder in tmp_path.iterdir():
        assert len(names(folder)) == 20
        [content] = {path.read_text() for path in folder.iterdir()}
        assert content in ("a" * 10_000, "b" * 10_000)


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    def left(name: str, *, days: float) -> Path:
        folder = tmp_path / f".{name}.0123456{len(list(tmp_path.iterdir()))}.part"
        folder.mkdir()
        (folder / "weights").write_text("half")
        for path in (folder / "weights", folder):
            os.utime(path, (0, time.time() - days * 24 * 3600))
        return folder

    old, young, busy, others = left("a", days=1.1), left("a", days=0.9), left("a", days=1.1), left("b", days=1.1)
    (busy / "weights").write_text("more")  # still being written, as the folder's own time does not show
    file = tmp_path / ".a.abcdef01.part"
    file.write_text("half")
    os.utime(file, (0, 0))
    with whole_file(tmp_path / "a"):
        assert [path.exists() for path in (old, young, busy, others, file)] == [False, True, True, True, False]


def test_no_other_module_writes_aside_on_its_own() -> None:
    root = Path(files.__file__).parent
    # A checkpoint holds digests of its files and is put in place by its own rules; prepared files move one by one; a
    # PostgreSQL cluster is made by another program, as another user.
    own = {root / "files.py", root / "finetune" / "checkpoints.py", root / "data" / "preparing.py"}
    own |= {root / "server" / "postgres.py"}
    for file in set(root.rglob("*.py")) - own:
        text = file.read_text(encoding="utf-8")
        for word in ("os.replace", "os.rename", ".rename(", "mkstemp", "mkdtemp", '".part"', '".partial"'):
            assert word not in text, f"{file.relative_to(root)}: {word}"


def test_no_other_module_knows_where_the_cache_is() -> None:
    root = Path(files.__file__).parent
    for file in set(root.rglob("*.py")) - {root / "cache.py"}:
        text = file.read_text(encoding="utf-8")
        assert 'environ.get("PREDICTOR_CACHE")' not in text, file.relative_to(root)
        assert "Path.home()" not in text, file.relative_to(root)
