"""The MLflow server over a database, on the loopback interface alone, with or without passwords and TLS."""

from __future__ import annotations

import base64
import importlib.util
import os
import shlex
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from predictor.errors import ConfigError
from predictor.server import children
from predictor.server.home import private_file

ADMIN, ADMIN_PASSWORD = "MLFLOW_AUTH_ADMIN_USERNAME", "MLFLOW_AUTH_ADMIN_PASSWORD"
_SECRET_KEY = "MLFLOW_FLASK_SERVER_SECRET_KEY"
_FOREIGN = ("MLFLOW_TRACKING_", "MLFLOW_EXPERIMENT_", "MLFLOW_REGISTRY_", "_MLFLOW_SERVER_")
"""Beginnings of variables that speak of a store in use, which is not the one that is served."""
_FIX = "look into its log"
_GRACE_S = 5
"""Seconds that a request in progress is given when the server ends."""
_AUTH = """\
[mlflow]
default_permission = READ
database_uri = {uri}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
# Without it every request hashes a password for a tenth of a second. A changed one counts after so many seconds.
auth_cache_ttl_seconds = 60
"""


@dataclass(frozen=True)
class Tls:
    """Files in PEM format."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Auth:
    """What MLflow's basic-auth app needs.

    Attributes:
        database: address of a database of its own, with its password.
        secret_key: signs its forms; the same in all processes and after a restart.
    """

    database: str
    secret_key: str


class Web:
    """An MLflow server; its log is `mlflow.log` in the folder, its artifacts are in `artifacts` there.

    Args:
        database: address of the tracking database, with its password.
        port: of the loopback interface.
        workers: processes that answer.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        port: int,
        *,
        workers: int = 2,
        tls: Tls | None = None,
        auth: Auth | None = None,
    ) -> None:
        self.folder, self.port, self.log = folder, port, folder / "mlflow.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._database, self._workers, self._tls, self._auth = database, workers, tls, auth

    @property
    def uri(self) -> str:
        """The tracking URI."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it answers.

        Raises:
            ConfigError: the port is in use, a package is missing, or the administrator's password is not theirs.
            TrackingError: it does not start.
        """
        require_free(self.port)
        if self._auth:
            require_auth_package()
        self.process = children.start(self._command(), self.log, env=self._environment(os.environ))
        children.wait_until(lambda: self._status("/health") == 200, self.process, "the MLflow server", self.log, _FIX)
        self._check_administrator()

    def stop(self) -> None:
        """End it: requests in progress first, then all of its processes."""
        children.end(self.process, (signal.SIGTERM, 3.0 * _GRACE_S))
        self.process = None

    def _command(self) -> list[str]:
        # Its arguments are there for everybody to read: passwords are in its environment alone.
        options = ["--timeout-graceful-shutdown", str(_GRACE_S), "--no-access-log"]
        if self._tls:
            options += ["--ssl-certfile", str(self._tls.certificate), "--ssl-keyfile", str(self._tls.key)]
        # -P: what lies in the folder is not to be imported.
        command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", str(self._workers), "--uvicorn-opts", shlex.join(options)]
        command += ["--serve-artifacts", "--artifacts-destination", str(self.folder / "artifacts")]
        return command + (["--app-name", "basic-auth"] if self._auth else [])

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        kept = {
            name: value for name, value in given.items() if not name.startswith(_FOREIGN) and name != "MLFLOW_RUN_ID"
        }
        kept |= {
            "MLFLOW_BACKEND_STORE_URI": self._database,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # jobs of MLflow's own, by further processes; none is used
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
        }
        if self._auth:
            settings = self.folder / "auth.ini"
            private_file(settings, _AUTH.format(uri=self._auth.database))
            kept["MLFLOW_AUTH_CONFIG_PATH"] = str(settings)
            kept[_SECRET_KEY] = kept.get(_SECRET_KEY) or self._auth.secret_key
            kept[ADMIN] = administrator(given)
        else:
            kept.pop(ADMIN_PASSWORD, None)
        return kept

    def _check_administrator(self) -> None:
        """MLflow reads the administrator's password once: another one given later would be no password at all."""
        password = os.environ.get(ADMIN_PASSWORD)
        if not self._auth or not password:
            return
        pair = base64.b64encode(f"{administrator(os.environ)}:{password}".encode()).decode()
        if self._status("/api/2.0/mlflow/experiments/search?max_results=1", {"Authorization": f"Basic {pair}"}) == 401:
            raise ConfigError(
                f"the password is not that of user '{administrator(os.environ)}' in this folder",
                where=ADMIN_PASSWORD,
                rule="the first start with auth=true makes the administrator; later ones change no password",
                fix=f"give the first one, or none: unset {ADMIN_PASSWORD}",
            )

    def _status(self, path: str, headers: Mapping[str, str] | None = None) -> int:
        """The status with which it answers; 0 for no answer."""
        context = None
        if self._tls:
            # It is the child of this process on this machine, under a name that its certificate need not have.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        request = urllib.request.Request(self.uri + path, headers=dict(headers or {}))
        try:
            with urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            ).open(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


def administrator(environment: Mapping[str, str]) -> str:
    """The name of the first administrator."""
    return environment.get(ADMIN) or "admin"


def require_free(port: int) -> None:
    """Make sure that a port can be listened on.

    Raises:
        ConfigError: it cannot.
    """
    if not children.is_free(port):
        raise ConfigError(
            f"port {port} is in use",
            where=f"-P port={port}",
            rule="a free port of 127.0.0.1 on which this user may listen",
            fix="give another one, or -P port=0, which takes one that is free",
        )


def require_auth_package() -> None:
    """Make sure that MLflow's basic-auth app can be imported.

    Raises:
        ConfigError: it cannot.
    """
    if importlib.util.find_spec("flask_wtf") is None:
        raise ConfigError(
            "the package Flask-WTF is not installed",
            where="-P auth=true",
            rule="MLflow's basic-auth app needs it",
            fix="make venv, or pip install Flask-WTF",
        )


def require_password(first: bool) -> None:
    """Make sure that the administrator gets a password.

    Args:
        first: whether there is no administrator yet.

    Raises:
        ConfigError: there is none in the environment.
    """
    if first and not os.environ.get(ADMIN_PASSWORD):
        raise ConfigError(
            "the administrator has no password",
            where=ADMIN_PASSWORD,
            rule=f"the first start with auth=true makes the user {ADMIN} (admin) with the password {ADMIN_PASSWORD}",
            fix=f"read -rs {ADMIN_PASSWORD} && export {ADMIN_PASSWORD}, and start again",
        )


def tls_of(certificate: str, key: str) -> Tls | None:
    """The files of TLS, None when none are named.

    Raises:
        ConfigError: one of the two is missing, or they do not belong together.
    """
    if not certificate and not key:
        return None
    found = Tls(Path(certificate).resolve(), Path(key).resolve())
    try:
        if not certificate or not key:
            raise OSError("only one of the two is named")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(found.certificate, found.key)
    except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError
        raise ConfigError(
            f"https cannot be served ({error})",
            where=f"-P tls_cert={certificate} -P tls_key={key}",
            rule="a certificate and its private key without a passphrase, two files in PEM format",
            fix="openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=localhost "
            "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem",
        ) from None
    return found
