"""Database and MLflow server together: started in order, watched, ended in order."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from predictor.errors import ConfigError
from predictor.server import children
from predictor.server.home import Home, held, private_file
from predictor.server.postgres import Cluster
from predictor.server.web import Auth, Tls, Web, require_auth_package, require_free, require_password, tls_of

_DATABASE, _AUTH_DATABASE = "mlflow", "auth"
_LOOK_S = 0.5
_AGAIN = "start the server again: it goes on with what is there"


@dataclass(frozen=True)
class Wanted:
    """What is to be served.

    Attributes:
        port: of the loopback interface; 0 takes the one that it had before, or a free one.
        workers: processes that answer.
        auth: whether clients are asked for user and password.
        certificate, key: files of TLS; empty for none.
        durable: whether what was committed outlasts a loss of power.
    """

    folder: Path
    port: int = 5000
    workers: int = 2
    auth: bool = False
    certificate: str = ""
    key: str = ""
    durable: bool = True


@dataclass(frozen=True)
class Addresses:
    """Where a server is found.

    Attributes:
        uri: for `MLFLOW_TRACKING_URI`.
        database: file that holds the database's address with its password.
        certificate: for `MLFLOW_TRACKING_SERVER_CERT_PATH`; None without TLS.
    """

    uri: str
    database: Path
    certificate: Path | None


@dataclass(frozen=True)
class Serving:
    """A server that answers."""

    addresses: Addresses
    cluster: Cluster
    web: Web


@contextmanager
def serving(wanted: Wanted) -> Iterator[Serving]:
    """A server over a folder until the end of the block, however that ends.

    Raises:
        ConfigError: the folder is served already or cannot be used; the port is in use; PostgreSQL is not installed, or
            not in the folder's version; Flask-WTF or a password is missing; the files of TLS are none.
        TrackingError: the database or the MLflow server does not start.
    """
    folder = wanted.folder.resolve()
    tls = tls_of(wanted.certificate, wanted.key)
    with held(folder) as home:
        _check(home, wanted)
        port = wanted.port or children.free_port(home.settings.get("port", 0))
        cluster = Cluster(
            folder,
            children.free_port(home.settings.get("database_port", 0)),
            home.secret("database"),
            durable=wanted.durable,
        )
        try:
            cluster.start()
            home.remember(port=port, database_port=cluster.port)
            web = _web(home, cluster, port, wanted, tls)
            try:
                web.start()
                home.remember(auth=wanted.auth)
                home.say(f"process {os.getpid()}, {web.uri}")
                database = folder / "database.uri"
                private_file(database, cluster.uri(_DATABASE) + "\n")
                yield Serving(Addresses(web.uri, database, tls.certificate if tls else None), cluster, web)
            finally:
                web.stop()
        finally:
            cluster.stop()


def watch(running: Serving) -> None:
    """Wait for ever.

    Raises:
        TrackingError: the database or the MLflow server has ended by itself.
    """
    parts = (("the MLflow server", running.web), ("PostgreSQL", running.cluster))
    while True:
        for name, part in parts:
            if part.process is not None and part.process.poll() is not None:
                raise children.ended(part.process, name, part.log, _AGAIN)
        time.sleep(_LOOK_S)


def _check(home: Home, wanted: Wanted) -> None:
    """What can be said before anything is started."""
    if home.settings.get("auth") and not wanted.auth:
        raise ConfigError(
            "the folder was served with passwords",
            where=f"-P folder={wanted.folder} -P auth=false",
            rule="what is behind passwords stays there",
            fix=f"-P auth=true, or take the entry auth out of {wanted.folder}/server.json",
        )
    if wanted.auth:
        require_auth_package()
        require_password(first=not home.settings.get("auth"))
    if wanted.port:
        require_free(wanted.port)


def _web(home: Home, cluster: Cluster, port: int, wanted: Wanted, tls: Tls | None) -> Web:
    cluster.create(_DATABASE)
    auth = None
    if wanted.auth:
        cluster.create(_AUTH_DATABASE)
        auth = Auth(cluster.uri(_AUTH_DATABASE), home.secret("flask"))
    return Web(home.folder, cluster.uri(_DATABASE), port, workers=wanted.workers, tls=tls, auth=auth)
