"""The folder of a server: who serves it, which ports it had, the passwords that it draws for itself."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from predictor.errors import ConfigError

_LOCK, _SETTINGS, _SECRETS = "lock", "server.json", "secrets.json"


class Home:
    """A folder that this process serves. Files that hold a password are closed to other users."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder, self._descriptor = folder, descriptor
        self.settings: dict[str, Any] = _read(folder / _SETTINGS)
        self._secrets: dict[str, str] = _read(folder / _SECRETS)

    def remember(self, **values: Any) -> None:
        """Keep settings for the next start."""
        self.settings.update(values)
        private_file(self.folder / _SETTINGS, json.dumps(self.settings, indent=1) + "\n")

    def say(self, text: str) -> None:
        """Keep a line that tells whoever else wants to serve the folder who does."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def secret(self, name: str) -> str:
        """A password of 128 random bits, drawn once and kept."""
        if name not in self._secrets:
            self._secrets[name] = secrets.token_hex(16)
            private_file(self.folder / _SECRETS, json.dumps(self._secrets, indent=1) + "\n")
        return self._secrets[name]


@contextmanager
def held(folder: Path) -> Iterator[Home]:
    """The folder, made when absent, served by this process alone until the end of the block.

    The kernel lets the folder go when the process ends, by SIGKILL too.

    Raises:
        ConfigError: another process serves it, or it cannot be made or written.
    """
    try:
        # Root's PostgreSQL runs as another user, who passes through; nobody else sees what is in it.
        folder.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the folder cannot be used ({error.strerror})",
            where=f"-P folder={folder}",
            rule="a folder that may be written",
            fix="give another -P folder",
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(descriptor, 1000, 0).decode(errors="replace").strip()
            raise ConfigError(
                f"the folder is being served already ({said or 'by a process that is starting'})",
                where=f"-P folder={folder}",
                rule="one server works on a folder",
                fix="use that server, end it, or give another -P folder",
            ) from None
        home = Home(folder, descriptor)
        home.say(f"process {os.getpid()}")
        yield home
    finally:
        os.close(descriptor)


def private_file(path: Path, text: str) -> None:
    """Write a file, whole or not at all, that only its owner may read."""
    aside = path.with_name(f"{path.name}.part")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    aside.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(
            "the file is damaged",
            where=str(path),
            rule="a JSON object, written by the server itself",
            fix="bring it back from a copy; without secrets.json the database cannot be opened",
        )
    return found
