"""Tracking stores behind a server and in PostgreSQL, each started once for a whole test session."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from predictor.errors import ConfigError
from predictor.server.children import free_port, wait_until
from predictor.server.postgres import Cluster, account, find_binaries
from tests.conftest import open_folder

POSTGRES_PASSWORD = "hunter2-5f1c"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server_uri(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server over a SQLite store. All tests share it: use an experiment of your own."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "mlflow.db")
    uri = f"http://127.0.0.1:{free_port()}"
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
        wait_until(lambda: _healthy(uri), process, "the MLflow server", log, "look into its log")
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
    """The address of a PostgreSQL server, up to a database's name; `empty` is a migrated, empty store."""
    try:
        find_binaries()
        account()
    except ConfigError as error:
        pytest.skip(str(error))
    folder = open_folder()
    cluster = Cluster(folder, free_port(), POSTGRES_PASSWORD, durable=False)
    try:
        cluster.start()
        cluster.create("empty")
        _migrate(cluster.uri("empty"))
        yield cluster.uri("")
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_uri(_postgres: str) -> str:
    """The URI of an empty tracking store of this test alone in PostgreSQL; a skip where PostgreSQL is not installed."""
    name = f"store_{next(_numbers)}"
    _execute(f"{_postgres}postgres", f"CREATE DATABASE {name} TEMPLATE empty")
    return f"{_postgres}{name}"


def _migrate(uri: str) -> None:
    """Make the store's tables as MLflow makes them, and leave no connection behind that would block a copy."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    engine = create_sqlalchemy_engine(uri)
    _initialize_tables(engine)
    engine.dispose()
    store = SqlAlchemyStore(uri, "mlruns")  # makes the experiment Default
    store.engine.dispose()


def _execute(uri: str, statement: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(statement))


def _healthy(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
