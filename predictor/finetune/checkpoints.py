"""Checkpoints on disk: written aside, sealed by a manifest of digests, renamed into place; read whole or not at all.

A checkpoint is a folder `step-00000050` with a few files and `manifest.json`. What the files mean is
:mod:`predictor.finetune.snapshot`'s business; here they are bytes, and never all in memory at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from predictor.errors import TrainingError
from predictor.files import sync
from predictor.finetune.sealing import Refused, check, seal

_SEALED = re.compile(r"step-(\d{8})")
_SCRATCH = "scratch"
_ASIDE = ("writing-", "removing-", _SCRATCH)
_REFUSED = "refused-"
_LOCK = "lock"


@dataclass(frozen=True)
class Checkpoints:
    """Where a fine-tune keeps its checkpoints, and how often it writes one.

    Attributes:
        folder: of this fine-tune alone; made when it is not there.
        identity: a digest of everything that determines the result; a checkpoint of another identity is refused.
        every_steps: optimizer steps between checkpoints, of which the end of the training is one in any case; 0 writes
            none, and goes on from one that is there.
        keep: how many stay; of several, the oldest are removed.
        note: told in one line when a checkpoint is refused or gone on from.
    """

    folder: Path
    identity: str
    every_steps: int = 0
    keep: int = 2
    note: Callable[[str], None] = lambda text: None

    def discard(self) -> None:
        """Remove the folder and what is in it, and the folder around it if nothing else is there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()


@dataclass(frozen=True)
class Stored:
    """A checkpoint whose every byte was compared with its manifest: the optimizer step, and the folder of its files."""

    step: int
    folder: Path


class Content(Protocol):
    """What a checkpoint is made of."""

    @property
    def size(self) -> int:
        """Of the files to be, in bytes; told when there is no room for them."""
        ...

    def write(self, folder: Path) -> None:
        """Write the files into an empty folder, or raise OSError. They need not be synced."""
        ...


class CheckpointFolder:
    """Reads and writes the checkpoints of one fine-tune.

    Args:
        claims: what must be equal, text by text, for a checkpoint to be gone on from; `identity` is one of them.
    """

    def __init__(self, settings: Checkpoints, claims: Mapping[str, str]) -> None:
        self.settings = settings
        self.claims = dict(claims)
        self._folder = settings.folder

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out, and sweep up what a killed one left half-written.

        What is in :attr:`scratch` is gone afterwards.

        Raises:
            TrainingError: another process trains the same fine-tune now, or the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            sync(self._folder.parent)
            lock = (self._folder / _LOCK).open("ab")
        except OSError as error:
            raise TrainingError(
                f"checkpoints cannot be written: {error.strerror or error}",
                where=str(self._folder),
                rule="the folder for checkpoints can be made and written to",
                fix="set -P checkpoint_dir to another folder, or -P checkpoint_steps=0 to do without",
            ) from error
        with lock:
            self._lock(lock)
            for entry in self._folder.iterdir():
                if entry.name.startswith(_ASIDE):
                    shutil.rmtree(entry, ignore_errors=True)
            try:
                yield
            finally:
                shutil.rmtree(self.scratch, ignore_errors=True)

    @property
    def scratch(self) -> Path:
        """A folder, made by who needs it, for files that are of no use after a break."""
        return self._folder / _SCRATCH

    def _lock(self, lock: BinaryIO) -> None:
        try:
            # The kernel lets go of it when the process ends, in whatever way.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingError(
                "another process is training this very fine-tune",
                where=str(self._folder),
                rule="one process writes the checkpoints of a fine-tune",
                fix="wait for it, or end it and start again; or set -P checkpoint_dir to another folder",
            ) from error
        except OSError:
            pass  # a file system without locks: the renames still keep each checkpoint whole

    def newest(self) -> Stored | None:
        """The newest checkpoint that is whole and of this fine-tune; None means a start from the beginning.

        Each newer one is refused in a note and renamed to `refused-…`, so that it is not met again.
        """
        refusals: list[tuple[Path, Refused]] = []
        found = None
        for step, folder in self._sealed():
            try:
                check(folder, step, self.claims)
                found = Stored(step, folder)
                break
            except Refused as refused:
                refusals.append((folder, refused))
        instead = f"the fine-tune goes on from step {found.step}" if found else "the fine-tune starts from step 0"
        for folder, why in refusals:
            self.settings.note(
                TrainingError(
                    f"checkpoint {folder.name} is refused: {why.what}",
                    where=str(folder),
                    rule=why.rule,
                    fix=f"nothing to do: {instead}; the folder is kept as {_REFUSED}{folder.name}",
                ).one_line()
            )
            with contextlib.suppress(OSError):
                target = folder.with_name(_REFUSED + folder.name)
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)
        if found and not refusals:
            self.settings.note(f"a checkpoint is there: {instead}")
        return found

    def write(self, step: int, content: Content) -> None:
        """Put a checkpoint in place whole, or not at all, and remove the oldest beyond `keep`.

        Raises:
            TrainingError: it cannot be written, as on a full disk. Those written before stay whole.
        """
        aside = self._folder / f"writing-{step:08d}"
        target = self._folder / f"step-{step:08d}"
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            content.write(aside)
            seal(aside, step, self.claims)
            self._remove(target)
            aside.rename(target)
            sync(self._folder)
            for _, old in self._sealed()[self.settings.keep :]:
                self._remove(old)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            size = f"{content.size / 1e6:.3g} MB"
            older = next((f"; it goes on from step {s}" for s, _ in self._sealed() if s != step), "")
            raise TrainingError(
                f"the checkpoint of step {step} ({size}) cannot be written: {error.strerror or error}",
                where=str(self._folder),
                rule="the disk holds one checkpoint more than are kept",
                fix=f"make room and start again with the same parameters{older}; or set -P checkpoint_steps=0",
            ) from error

    def _sealed(self) -> list[tuple[int, Path]]:
        """Step and folder of each checkpoint, newest first."""
        entries = list(self._folder.iterdir()) if self._folder.is_dir() else []
        found = [(match, entry) for entry in entries if (match := _SEALED.fullmatch(entry.name))]
        return sorted(((int(match[1]), entry) for match, entry in found), reverse=True)

    def _remove(self, folder: Path) -> None:
        """Renamed first, so that a process killed here leaves no checkpoint with half its files."""
        if not folder.exists():
            return
        gone = folder.with_name("removing-" + folder.name)
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
