"""Files and folders that stand under their name only when they are whole.

Each is written aside, under a hidden name beside its own, and renamed at the end, which a file system does wholly or
not at all. After an error, an interrupt or a full disk nothing has changed under the name, and what was written aside
is removed. A process that is killed leaves it behind: whoever writes the same name a day later removes it.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

_SUFFIX: Final = ".part"
_TOKEN: Final = 8
"""Hexadecimal digits that tell writers of the same name apart: processes, threads, and machines on a shared disk."""
_ABANDONED_S: Final = 24 * 3600.0
"""What was written aside and has not changed for so long belongs to a process that is gone."""


@contextlib.contextmanager
def whole_file(path: Path, mode: str = "w", *, durable: bool = False, **options: Any) -> Iterator[IO[Any]]:
    """A file to write to, which becomes `path` at the end, in place of what stood there; folders above it are made.

    Of several writers at once each writes its own file, and the last one to end stays.

    Args:
        mode: `w` or `wb`.
        durable: when this returns, the file also outlasts a loss of power.
        options: as of `open`: encoding, newline, errors, buffering.

    Raises:
        OSError: the file cannot be written, or the disk is full; nothing has changed under `path`.
    """
    aside = _aside(path)
    try:
        with open(aside, mode.replace("w", "x"), **options) as file:
            yield file
            if durable:
                to_disk(file)
        os.replace(aside, path)
        if durable:
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path, *, replace: bool = False, durable: bool = False) -> Iterator[Path]:
    """An empty folder to fill, which becomes `path` at the end; folders above it are made.

    When another process has put a folder there meanwhile, that one stays and ours is dropped: two that make the same
    thing at once end with one result. Who need not make it twice looks first whether `path` is there.

    Args:
        replace: put ours in place of a folder that is there. Its readers may for an instant find none, and a process
            that is killed in that instant leaves none.
        durable: when this returns, the folder and all in it also outlast a loss of power.

    Raises:
        OSError: the folder cannot be written, the disk is full, or a file stands under `path`.
    """
    with folder_beside(path) as aside:
        yield aside
        if durable:
            for inner, _, names in os.walk(aside):
                for name in names:
                    sync(Path(inner, name))
                sync(Path(inner))
        _put(aside, path, replace)
        if durable:
            sync(path.parent)


@contextlib.contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """An empty folder on the disk of `path`, from which files can be renamed into `path`; it is removed at the end."""
    aside = _aside(path)
    try:
        aside.mkdir()
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def is_aside(path: Path) -> bool:
    """Whether this is what a process is writing, or was writing when it was killed, and not a result."""
    return path.name.endswith(_SUFFIX)


def to_disk(file: IO[Any]) -> None:
    """Hand over what was written to an open file, down to the disk itself."""
    file.flush()
    os.fsync(file.fileno())


def _aside(path: Path) -> Path:
    """A name beside `path` that nobody else uses; those that were left behind are removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'?' * _TOKEN}{_SUFFIX}"):
        with contextlib.suppress(OSError):  # another process may be removing it too
            if time.time() - _last_change(left) > _ABANDONED_S:
                _remove(left)
    return path.with_name(f".{path.name}.{secrets.token_hex(_TOKEN // 2)}{_SUFFIX}")


def _last_change(path: Path) -> float:
    """Unix time of the latest change of a file, or of anything in a folder."""
    return max(each.lstat().st_mtime for each in (path, *path.rglob("*")))


def _put(folder: Path, path: Path, replace: bool) -> None:
    """Rename the folder to `path`, unless another folder stands there and may stay."""
    while True:
        try:
            os.rename(folder, path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if not replace:
            return
        old = _aside(path)
        with contextlib.suppress(FileNotFoundError):  # another process has just taken it away
            os.rename(path, old)
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make a file's content last through a loss of power; of a folder, the names in it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
