"""A PostgreSQL cluster in a folder, on the loopback interface alone: made, started, found after a crash, stopped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from predictor.errors import ConfigError, TrackingError
from predictor.server import children

USER = "predictor"
"""The database's own superuser."""
_SYSTEM_USER = "postgres"
"""Whom the processes run as when root starts them: PostgreSQL refuses root."""
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
_LEFT_S = 30.0
"""Seconds that processes of a server that was killed may take to end."""
_FAST = (signal.SIGINT, 60.0)  # open connections are cut and everything is written
_IMMEDIATE = (signal.SIGQUIT, 10.0)  # nothing is written: the next start recovers from the log
_NOT_INSTALLED = "install it (apt-get install postgresql, dnf install postgresql-server, brew install postgresql)"


def find_binaries(major: str | None = None) -> Path:
    """The folder of `initdb` and `postgres`: that on PATH, else the newest one that a package installed.

    Args:
        major: a major version, such as `15`, that it has to be; None takes any.

    Raises:
        ConfigError: PostgreSQL is not installed, or not in this version.
    """
    found = [folder for folder in _folders() if (folder / "initdb").exists() and (folder / "postgres").exists()]
    if not found:
        raise ConfigError(
            "PostgreSQL is not installed",
            where=f"PATH and {', '.join(_PLACES)}",
            rule="its programs initdb and postgres keep the runs",
            fix=_NOT_INSTALLED,
        )
    if major is None:
        return found[0]
    versions = {version_of(folder): folder for folder in reversed(found)}
    if major not in versions:
        raise ConfigError(
            f"the database was made by PostgreSQL {major}, and {', '.join(sorted(versions))} is installed",
            where=f"PATH and {', '.join(_PLACES)}",
            rule="a major version reads only databases of its own",
            fix=f"install PostgreSQL {major}, move the database with pg_upgrade, or give another -P folder",
        )
    return versions[major]


def _folders() -> list[Path]:
    on_path = shutil.which("postgres") or shutil.which("initdb")
    installed = [folder for place in _PLACES for folder in Path("/").glob(place.lstrip("/"))]
    installed.sort(key=lambda folder: [int(digits) for digits in re.findall(r"\d+", str(folder))], reverse=True)
    return ([Path(on_path).resolve().parent] if on_path else []) + installed


@cache
def version_of(binaries: Path) -> str:
    """The major version, such as `15`."""
    said = subprocess.run([str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    return (re.search(r"\) (\d+)", said) or ["", "?"])[1]


def account() -> dict[str, Any]:
    """Whom PostgreSQL's processes run as, as arguments of :class:`subprocess.Popen`; empty for this process's own user.

    Raises:
        ConfigError: this is root, and there is nobody else that it could be.
    """
    if os.geteuid() != 0:
        return {}
    import pwd

    try:
        pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        raise ConfigError(
            f"there is no user '{_SYSTEM_USER}'",
            where="root",
            rule=f"PostgreSQL refuses to run as root; started by root it runs as '{_SYSTEM_USER}'",
            fix=f"useradd --system {_SYSTEM_USER}, or start the server as another user than root",
        ) from None
    return {"user": _SYSTEM_USER, "group": _SYSTEM_USER, "extra_groups": ()}


class Cluster:
    """A cluster that holds the databases of one folder.

    Args:
        folder: it lies in `postgres` there, its log in `postgres.log`.
        port: of the loopback interface, to listen on.
        password: of the user :data:`USER`; the one with which the cluster was made.
        durable: whether what was committed outlasts a loss of power. Tests do without.
    """

    def __init__(self, folder: Path, port: int, password: str, *, durable: bool = True) -> None:
        self.folder, self.port = folder, port
        self.data, self.log = folder / "postgres", folder / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._password, self._durable = password, durable

    def uri(self, database: str) -> str:
        """The address of a database, with its password."""
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster if there is none, start it, and return when it answers.

        Raises:
            ConfigError: PostgreSQL is not installed, not in the cluster's version, or cannot enter the folder.
            TrackingError: it does not start; another one runs in the folder; the password is not that of the cluster.
        """
        version = self.data / "PG_VERSION"
        as_user = account()
        if as_user:
            self._check_reachable(as_user)
        binaries = find_binaries(version.read_text().strip() if version.exists() else None)
        if not version.exists():
            self._make(binaries, as_user)
        self._clear_after_crash()
        command = [str(binaries / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories="]
        settings += [] if self._durable else ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        command += [word for setting in settings for word in ("-c", setting)]
        # SIGTERM would wait for every connection to be closed by its client.
        self.process = children.start(command, self.log, stop=signal.SIGINT, account=as_user)
        children.wait_until(self._answers, self.process, "PostgreSQL", self.log, "look into its log")

    def stop(self) -> None:
        """End it in order; what takes longer than a minute is cut off, and recovered by the next start."""
        children.end(self.process, _FAST, _IMMEDIATE)
        self.process = None

    def create(self, database: str) -> bool:
        """Make a database, unless it is there. Whether it was made."""
        import psycopg

        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
            if known is None:
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
        return known is None

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.uri("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise TrackingError(
                    "the database refuses the password that is kept for it",
                    where=str(self.folder),
                    rule="the password was drawn when the database was made",
                    fix="bring the folder's own secrets.json back, or give another -P folder",
                ) from None
            return False
        return True

    def _check_reachable(self, as_user: dict[str, Any]) -> None:
        done = subprocess.run(["test", "-x", str(self.folder)], cwd="/", **as_user)
        if done.returncode:
            raise ConfigError(
                f"user '{_SYSTEM_USER}' cannot enter the folder",
                where=str(self.folder),
                rule=f"PostgreSQL refuses to run as root; started by root it runs as '{_SYSTEM_USER}'",
                fix="give a -P folder that everybody may pass into, or start the server as another user than root",
            )

    def _make(self, binaries: Path, as_user: dict[str, Any]) -> None:
        """Make an empty cluster; one that is not whole never stands under its name."""
        aside, password = self.folder / "postgres.part", self.folder / "password.part"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        try:
            password.touch(mode=0o600)
            password.write_text(self._password)
            for each in (aside, password) if as_user else ():
                shutil.chown(each, as_user["user"], as_user["group"])
            command = [str(binaries / "initdb"), "-D", str(aside), "-U", USER, f"--pwfile={password}"]
            command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            command += [] if self._durable else ["--no-sync"]
            self.process = children.start(command, self.log, account=as_user)
            if self.process.wait():
                raise children.ended(self.process, "initdb", self.log, "look into its log")
            aside.rename(self.data)
        finally:
            children.end(self.process, (signal.SIGTERM, 10.0))
            password.unlink(missing_ok=True)
            shutil.rmtree(aside, ignore_errors=True)

    def _clear_after_crash(self) -> None:
        """Make sure that nobody works on the data, and that nothing says so.

        Called while this process holds the folder: who worked on it before has been killed, and the kernel has told its
        PostgreSQL to end, which takes a moment.
        """
        note = self.data / "postmaster.pid"
        deadline = time.monotonic() + _LEFT_S
        while living := _living_in(self.data):
            if time.monotonic() > deadline:
                raise TrackingError(
                    f"PostgreSQL runs on the folder already (process {living[0]})",
                    where=str(self.data),
                    rule="one server works on a folder",
                    fix=f"end it: pg_ctl -D {self.data} stop -m fast",
                )
            time.sleep(0.2)
        # PostgreSQL passes over the note of a process that is gone, unless its number belongs to somebody else by now.
        if note.exists() and psutil.pid_exists(int((note.read_text().split() or ["0"])[0])):
            note.unlink()


def _living_in(data: Path) -> list[int]:
    """Ids of the processes that work in a cluster: PostgreSQL's working folder is the cluster's."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name().startswith("postgres") and Path(process.cwd()) == data:
                found.append(process.pid)
        except (psutil.Error, OSError):  # it has just ended, or is somebody else's
            continue
    return found
