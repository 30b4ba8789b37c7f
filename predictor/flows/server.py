"""The story of a tracking server: its database, MLflow over it, both until somebody says that it is enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.config import check, param

if TYPE_CHECKING:
    from predictor.server import Addresses


@dataclass(frozen=True)
class ServerConfig:
    """What is served, and where."""

    folder: str = param("server", "folder of database, artifacts, settings and logs; one that is there is gone on with")
    port: int = param(5000, "port on 127.0.0.1; 0 takes the one that it had before, or a free one", least=0, most=65535)
    workers: int = param(2, "processes that answer requests", least=1)
    auth: bool = param(False, "ask for user and password; MLFLOW_AUTH_ADMIN_PASSWORD holds that of user admin")
    tls_cert: str = param("", "file of a certificate (PEM), to serve https; empty serves http")
    tls_key: str = param("", "file of its private key (PEM, without passphrase)")


def server(config: ServerConfig, on_ready: Callable[[Addresses], None]) -> None:
    """Serve until SIGINT or SIGTERM; then both processes are ended in order.

    Args:
        on_ready: told once, when the server answers.

    Raises:
        ConfigError: a parameter is out of range, the folder or the port is in use, or something is not installed.
        TrackingError: the database or the MLflow server does not start, or ends by itself.
    """
    from predictor.server import Wanted, serving, watch

    check(config)
    folder = Path(config.folder).expanduser()
    wanted = Wanted(folder, config.port, config.workers, config.auth, config.tls_cert, config.tls_key)
    try:
        with serving(wanted) as running:
            on_ready(running.addresses)
            watch(running)
    except KeyboardInterrupt:  # how a server ends, and no fault
        return
