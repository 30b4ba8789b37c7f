"""Tracking stores behind a server and in PostgreSQL, each started once for a whole test session."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

_SECONDS = 120.0
"""How long a server may take to answer; a busy machine is slow."""
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server_uri(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server over a SQLite store. All tests share it: use an experiment of your own."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "mlflow.db")
    uri = f"http://127.0.0.1:{_free_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
    command += ["--port", uri.rsplit(":", 1)[1], "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    log = folder / "log"
    with log.open("wb") as output:
        # A session of its own: the server starts workers, and all of them have to go at the end.
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait(lambda: _healthy(uri), process, log)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """The address of a PostgreSQL server with a migrated, empty store in the database `empty`; no database named."""
    binaries = _postgres_binaries()
    # PostgreSQL refuses to run as root, and pytest's own folders are closed to any other user.
    user = {"user": "postgres", "group": "postgres", "extra_groups": ()} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="predictor-postgres-"))
    process = None
    try:
        if user:
            shutil.chown(folder, "postgres", "postgres")
        data, port, log = folder / "data", _free_port(), folder / "log"
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, cwd=folder, stdout=subprocess.DEVNULL, **user)
        server = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
        server += ["-c", "unix_socket_directories=", "-c", "fsync=off"]
        with log.open("wb") as output:
            process = subprocess.Popen(server, cwd=folder, stdout=output, stderr=output, **user)
        uri = f"postgresql://postgres@127.0.0.1:{port}"
        _wait(lambda: _executes(f"{uri}/postgres", "SELECT 1"), process, log)
        _executes(f"{uri}/postgres", "CREATE DATABASE empty")
        _migrate(f"{uri}/empty")
        yield uri
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # a fast shutdown: open connections are cut
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_uri(_postgres: str) -> str:
    """The URI of an empty tracking store of this test alone in PostgreSQL; a skip where PostgreSQL is not installed."""
    name = f"store_{next(_numbers)}"
    assert _executes(f"{_postgres}/postgres", f"CREATE DATABASE {name} TEMPLATE empty")
    return f"{_postgres}/{name}"


def _postgres_binaries() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in reversed(folders):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            if os.geteuid() == 0:
                import pwd

                if "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
                    pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            return folder
    pytest.skip("PostgreSQL's initdb and postgres are not installed")


def _migrate(uri: str) -> None:
    """Make the store's tables as MLflow makes them, and leave no connection behind that would block a copy."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    engine = create_sqlalchemy_engine(uri)
    _initialize_tables(engine)
    engine.dispose()
    store = SqlAlchemyStore(uri, "mlruns")  # makes the experiment Default
    store.engine.dispose()


def _executes(uri: str, statement: str) -> bool:
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.pool.NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(statement))
    except sqlalchemy.exc.OperationalError:
        return False
    return True


def _healthy(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait(ready, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the server does not answer:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
