"""Checkpoints on disk: written aside, sealed by a manifest of digests, renamed into place; read whole or not at all.

A checkpoint is a folder `step-00000050` with a few files and `manifest.json`. What the files mean is
:mod:`predictor.finetune.snapshot`'s business; here they are bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from predictor.errors import TrainingError

MANIFEST = "manifest.json"
SCHEMA = 1
"""Changes when the files of a checkpoint change their meaning; a checkpoint of another schema is refused."""

_SEALED = re.compile(r"step-(\d{8})")
_ASIDE = ("writing-", "removing-")
_REFUSED = "refused-"
_LOCK = "lock"


@dataclass(frozen=True)
class Checkpoints:
    """Where a fine-tune keeps its checkpoints, and how often it writes one.

    Attributes:
        folder: of this fine-tune alone; made when it is not there.
        identity: a digest of everything that determines the result; a checkpoint of another identity is refused.
        every_steps: optimizer steps between checkpoints; 0 leaves it to `every_seconds`.
        every_seconds: seconds of training after which the next step ends with a checkpoint; 0 leaves it to
            `every_steps`. The end of the training is a checkpoint in any case, unless both are 0.
        keep: how many stay; of several, the oldest are removed.
        note: told in one line when a checkpoint is refused or gone on from.
    """

    folder: Path
    identity: str
    every_steps: int = 0
    every_seconds: float = 0.0
    keep: int = 2
    note: Callable[[str], None] = lambda text: None

    def discard(self) -> None:
        """Remove the folder and what is in it, and the folder around it if nothing else is there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()


@dataclass(frozen=True)
class Stored:
    """A checkpoint whose every byte was compared with its manifest: the optimizer step and the files by name."""

    step: int
    files: Mapping[str, bytes]


class _Refused(Exception):
    """Why a checkpoint is not gone on from, and the rule that it breaks."""

    def __init__(self, what: str, rule: str) -> None:
        super().__init__(what)
        self.what = what
        self.rule = rule


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

        Raises:
            TrainingError: another process trains the same fine-tune now, or the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._folder.parent)
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
            yield

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
        refusals: list[tuple[Path, _Refused]] = []
        found = None
        for step, folder in self._sealed():
            try:
                found = self._read(step, folder)
                break
            except _Refused as refused:
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

    def write(self, step: int, files: Mapping[str, bytes]) -> None:
        """Put a checkpoint in place whole, or not at all, and remove the oldest beyond `keep`.

        Raises:
            TrainingError: it cannot be written, as on a full disk. Those written before stay whole.
        """
        aside = self._folder / f"writing-{step:08d}"
        target = self._folder / f"step-{step:08d}"
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            for name, content in files.items():
                _write_file(aside / name, content)
            _write_file(aside / MANIFEST, _manifest(step, self.claims, files))
            _sync_folder(aside)
            self._remove(target)
            aside.rename(target)
            _sync_folder(self._folder)
            for _, old in self._sealed()[self.settings.keep :]:
                self._remove(old)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            size = sum(len(content) for content in files.values()) / 1e6
            older = next((f"; it goes on from step {s}" for s, _ in self._sealed() if s != step), "")
            raise TrainingError(
                f"the checkpoint of step {step} ({size:.3g} MB) cannot be written: {error.strerror or error}",
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

    def _read(self, step: int, folder: Path) -> Stored:
        try:
            return Stored(step, self._checked(step, folder))
        except OSError as error:
            raise _Refused(f"it cannot be read: {error.strerror or error}", "every file can be read") from error

    def _checked(self, step: int, folder: Path) -> dict[str, bytes]:
        if not folder.is_dir():
            raise _Refused("it is not a folder", "a checkpoint is a folder")
        present = {entry.name: entry for entry in folder.iterdir()}
        for name, entry in present.items():
            if entry.is_symlink() or not entry.is_file():
                raise _Refused(f"{name} is not a plain file", "a checkpoint holds plain files only")
        if MANIFEST not in present:
            raise _Refused(f"{MANIFEST} is missing", "a checkpoint is sealed by its manifest")
        manifest = _open_manifest(present.pop(MANIFEST).read_bytes())
        if manifest["schema"] != SCHEMA:
            raise _Refused(
                f"it was written under checkpoint schema {manifest['schema']}", f"this version reads schema {SCHEMA}"
            )
        for claim in sorted({*self.claims, *manifest["claims"]}):
            theirs, ours = manifest["claims"].get(claim), self.claims.get(claim)
            if theirs != ours:
                raise _Refused(
                    f"its {claim} is {theirs}, not {ours}", "a checkpoint is gone on from by the very same fine-tune"
                )
        if manifest["step"] != step:
            raise _Refused(f"its manifest says step {manifest['step']}", "folder and manifest name the same step")
        wanted = manifest["files"]
        for name in sorted({*wanted, *present}):
            if name not in present:
                raise _Refused(f"{name} is missing", "every file of the manifest is there")
            if name not in wanted:
                raise _Refused(f"{name} is not in the manifest", "no file but those of the manifest is there")
        return {name: _same_bytes(present[name], wanted[name]) for name in wanted}


def _manifest(step: int, claims: Mapping[str, str], files: Mapping[str, bytes]) -> bytes:
    entries = {name: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for name, c in files.items()}
    return _sealed_text({"schema": SCHEMA, "step": step, "claims": dict(claims), "files": entries})


def _sealed_text(body: Mapping[str, Any]) -> bytes:
    """JSON in one form only, with a digest of itself: a reader that writes it again gets the same bytes or refuses."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**body, "digest": digest}, sort_keys=True, indent=1) + "\n").encode()


def _open_manifest(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
        body.pop("digest")
        whole = _sealed_text(body) == content
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise _Refused(f"{MANIFEST} is damaged", "the manifest has the digest that it names")
    return dict(body)


def _same_bytes(file: Path, entry: Mapping[str, Any]) -> bytes:
    size = file.stat().st_size
    if size != entry["bytes"]:
        raise _Refused(f"{file.name} has {size} bytes, not {entry['bytes']}", "every file has the size of the manifest")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _Refused(f"{file.name} has other bytes", "every file has the SHA-256 digest of the manifest")
    return content


def _write_file(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a loss of power, not only the files' content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
