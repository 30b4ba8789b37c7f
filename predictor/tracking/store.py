"""Which MLflow tracking store is in use, and whether it answers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from predictor.errors import TrackingError
from predictor.masking import cause, masked

DEFAULT_URI = "sqlite:///mlflow.db"


def connect(uri: str | None = None) -> str:
    """Point MLflow at the tracking store and make sure that it answers.

    Args:
        uri: a database, a server, or None for `MLFLOW_TRACKING_URI` and, without that, `sqlite:///mlflow.db`.

    Returns:
        The URI in use.

    Raises:
        TrackingError: the store cannot be reached, or was made by another version of MLflow.
    """
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if "://" not in chosen or chosen.startswith("file:"):
        shown = "***" if "@" in chosen else chosen  # not written as a URI, so that nobody can tell what is the password
        raise TrackingError(
            f"'{shown}' is a file store, which MLflow no longer supports",
            where="tracking URI",
            rule="sqlite:///FILE.db, postgresql://…, or http(s)://HOST:PORT",
            fix=f"set MLFLOW_TRACKING_URI={DEFAULT_URI}",
        )
    _check_password(chosen)
    try:
        # One try of ten seconds: MLflow's own seven retries would keep a mistyped address waiting for minutes.
        with _environment(MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_HTTP_REQUEST_TIMEOUT="10"):
            mlflow.set_tracking_uri(chosen)
            MlflowClient(chosen).search_experiments(max_results=1)
    except Exception as error:  # SQLAlchemy, requests and MLflow each have their own family
        raise _unreachable(chosen, error) from cause(error)
    return chosen


def is_local_store(uri: str) -> bool:
    """Whether a store is a file, which processes on other machines cannot use.

    On a network disk they could open it, but SQLite's locks do not hold there.
    """
    return "://" not in uri or uri.startswith(("sqlite", "file:"))


def store_identity(uri: str) -> str:
    """The name of a store, without a password: a database's URI, a file's absolute path, a server's address."""
    import sqlalchemy

    url = sqlalchemy.make_url(uri)
    kind = url.get_backend_name()
    if kind == "sqlite" and url.database:
        return f"sqlite:{Path(url.database).resolve()}"
    user = None if kind in ("http", "https") else url.username
    bare = sqlalchemy.URL.create(kind, user, None, url.host, url.port, url.database, url.query)
    return masked(bare.render_as_string()).rstrip("/")


def _check_password(uri: str) -> None:
    """Refuse a password that the drivers would cut at another place than the masks: its rest would be a host's name."""
    scheme, _, rest = uri.partition("://")
    before = rest.partition("?")[0]
    user, _, host = (before if "@" in before else rest).rpartition("@")
    if re.match(r"[^\s:/@]*:", user) and re.search(r"[@\s]", user):
        raise TrackingError(
            "the password in the tracking URI holds an '@' or a space",
            where=f"{scheme}://***@{host}",
            rule="special characters of a password are written in percent code",
            fix="write @ as %40, a space as %20, / as %2F, % as %25",
        )


def _unreachable(uri: str, error: Exception) -> TrackingError:
    text = str(error)
    if "schema" in text.lower() and "database" in text.lower():
        return TrackingError(
            "the tracking database was made by another version of MLflow",
            where=uri,
            rule=f"its tables must be those of mlflow {mlflow.__version__}",
            fix=f"back the database up, then run: mlflow db upgrade {uri}",
        )
    reason = f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
    return TrackingError(
        f"the tracking store does not answer ({reason})",
        where=uri,
        rule="the store must be reachable before a run starts, so that no result is lost",
        fix="check MLFLOW_TRACKING_URI, that the server runs, and that a database file's folder exists and is writable",
    )


def prepare_for_many(uri: str) -> bool:
    """Let readers and one writer work on an SQLite store at once (write-ahead log), where that is safe.

    It is not on a network file system, whose locks SQLite cannot trust, and needless with any other store.

    Returns:
        Whether the store has a write-ahead log now.
    """
    import sqlite3

    from sqlalchemy.engine import make_url

    if not uri.startswith("sqlite:"):
        return False
    file = make_url(uri).database
    if not file or file.startswith("file:") or not os.path.exists(file) or _is_remote(file):
        return False
    connection = sqlite3.connect(file, timeout=30.0)
    try:
        return bool(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal")
    except sqlite3.OperationalError:  # somebody is writing: the store works without it, only with more waiting
        return False
    finally:
        connection.close()


def _is_remote(file: str) -> bool:
    """Whether the file lies on a network file system, as far as psutil can tell."""
    import psutil

    places = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    folder = os.path.realpath(file)
    while folder not in places and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    kind = places.get(folder, "")
    return kind.startswith(("nfs", "cifs", "smb", "fuse", "9p", "lustre", "ceph", "gpfs", "beegfs", "afs"))


def experiment_id(client: Any, name: str | None = None) -> str:
    """The id of an experiment by name, made when absent; the one of `mlflow run` or 'Default' when no name is given."""
    if name is None:
        given = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if given:
            return given
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException as error:
        found = client.get_experiment_by_name(name)  # another process may have made it in between
        if found is None:
            raise TrackingError(f"experiment '{name}' cannot be made: {error.message}") from error
        return str(found.experiment_id)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
