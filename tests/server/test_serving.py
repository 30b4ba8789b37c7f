"""The entry point as a person starts it: with passwords and TLS, killed, started again, ended."""

from __future__ import annotations

import contextlib
import datetime
import importlib.util
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from predictor.errors import ConfigError, PredictorError
from predictor.server import Wanted, children, serving, web
from predictor.server.home import held
from predictor.server.web import Auth, Tls, Web, tls_of
from predictor.tracking import connect

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "correct-horse-5f1c"
_SECONDS = 300.0
needs_auth = pytest.mark.skipif(not importlib.util.find_spec("flask_wtf"), reason="Flask-WTF is missing: make venv")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate of this test's own for 127.0.0.1, signed by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("with blank")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    files = Tls(folder / "cert.pem", folder / "key.pem")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    return files


@pytest.fixture(autouse=True)
def _no_store_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", web.ADMIN, web.ADMIN_PASSWORD):
        monkeypatch.delenv(name, raising=False)


class Started:
    """The entry point in a process of its own."""

    def __init__(self, folder: Path, *flags: str, **environment: str) -> None:
        command = [sys.executable, "-m", "entrypoints.server", "--folder", str(folder), "--workers", "1", *flags]
        self.output = folder.with_suffix(".out")
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environment}, stdout=file, stderr=file, start_new_session=True
            )

    def text(self) -> str:
        return self.output.read_text()

    def ready(self) -> str:
        """The address that it prints."""
        _wait_for(lambda: "Ctrl-C ends it" in self.text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()
        return self.text().split("tracking server: ")[1].split()[0]

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def ends(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(_SECONDS)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.fixture
def start(installed: Path, folder: Path) -> Iterator[Callable[..., Started]]:
    all_started: list[Started] = []

    def begin(*flags: str, **environment: str) -> Started:
        all_started.append(Started(folder / "served", *flags, **environment))
        return all_started[-1]

    yield begin
    for each in all_started:
        if each.process.poll() is None:
            with contextlib.suppress(psutil.Error):
                each.family()
            each.ends(signal.SIGTERM)


@pytest.mark.long
@needs_auth
def test_with_passwords_and_tls_killed_and_started_again(
    start: Callable[..., Started], folder: Path, tls: Tls, monkeypatch: pytest.MonkeyPatch
):
    flags = ["--auth", "true", "--tls_cert", str(tls.certificate), "--tls_key", str(tls.key)]
    first = start(*flags, "--port", "0", MLFLOW_AUTH_ADMIN_PASSWORD=PASSWORD)
    uri = first.ready()
    port = int(uri.rsplit(":", 1)[1])
    assert uri.startswith("https://127.0.0.1:")
    assert f"MLFLOW_TRACKING_SERVER_CERT_PATH={tls.certificate}" in first.text()

    # Who has no password, or another one, or does not know the certificate, is turned away.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(PredictorError, match=r"certificate verify failed|SSLError"):
        connect(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    with pytest.raises(PredictorError, match=r"401|not authenticated"):
        connect(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-5f1c")
    with pytest.raises(PredictorError, match=r"401|not authenticated"):
        connect(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    connect(uri)
    monkeypatch.delenv("MLFLOW_TRACKING_INSECURE_TLS")
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tls.certificate))
    run_id = _write_a_run(uri, folder)

    # Passwords are in no output, log or argument, and files with one are closed to others.
    drawn = (folder / "served" / "database.uri").read_text().split(":")[2].split("@")[0]
    family = first.family()
    arguments = [" ".join(process.cmdline()) for process in family if process.is_running()]
    assert not [line for line in arguments if PASSWORD in line or drawn in line]
    for secret in (PASSWORD, drawn):
        holders = [file for file in (folder / "served").iterdir() if file.is_file() and secret in file.read_text()]
        assert {file.stat().st_mode & 0o077 for file in holders} <= {0}
        assert secret not in first.text()

    # Another start on the folder, on the port, or with another administrator's password.
    _refused(start(*flags, "--port", "0"), "error: the folder is being served already (process")
    with pytest.raises(ConfigError, match=f"port {port} is in use"), serving(Wanted(folder / "other", port)):
        pass
    monkeypatch.setenv(web.ADMIN_PASSWORD, "wrong-5f1c")
    auth = Auth("postgresql://nobody", "key")
    with pytest.raises(ConfigError, match="the password is not that of user 'admin' in this folder"):
        Web(folder / "served", "", port, tls=tls, auth=auth)._check_administrator()
    monkeypatch.setenv(web.ADMIN_PASSWORD, PASSWORD)
    Web(folder / "served", "", port, tls=tls, auth=auth)._check_administrator()
    monkeypatch.delenv(web.ADMIN_PASSWORD)

    # SIGKILL: nothing outlives it. Started again at once, without the password, it goes on with what is there.
    assert first.ends(signal.SIGKILL) == -signal.SIGKILL
    again = start(*flags, "--port", "0")
    assert again.ready() == uri
    assert not [process for process in family if _lives(process)]
    assert MlflowClient(uri).get_run(run_id).data.params == {"a": "1"}
    assert Path(MlflowClient(uri).download_artifacts(run_id, "note.txt")).read_text() == "kept"
    family = again.family()
    assert again.ends(signal.SIGINT) == 0
    assert again.text().endswith("the tracking server has ended\n")
    assert not [process for process in family if _lives(process)]
    _refused(start("--port", "0"), "error: the folder was served with passwords")


def _write_a_run(uri: str, folder: Path) -> str:
    client = MlflowClient(uri)
    run_id = client.create_run("0").info.run_id
    client.log_param(run_id, "a", "1")
    (folder / "note.txt").write_text("kept")
    client.log_artifact(run_id, str(folder / "note.txt"))
    return str(run_id)


def _refused(started: Started, words: str) -> None:
    assert started.process.wait(_SECONDS) == 1
    assert started.text().count("error:") == 1
    assert words in started.text()
    assert all(label in started.text() for label in ("where:", "rule:", "fix:"))
    assert "Traceback" not in started.text()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_database_that_ends_by_itself_ends_the_server_with_its_reason(start: Callable[..., Started]):
    started = start("--port", "0")
    uri = started.ready()
    assert MlflowClient(uri).search_experiments()
    family = started.family()
    [postmaster] = [process for process in family if Path(process.cmdline()[0]).name == "postgres"]
    postmaster.kill()
    assert started.process.wait(_SECONDS) == 1
    assert "error: PostgreSQL has ended by SIGKILL" in started.text()
    assert "start the server again" in started.text()
    assert not [process for process in family if _lives(process)]


def test_faults_that_are_told_before_anything_starts(folder: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        _cannot(Wanted(folder, port), f"port {port} is in use", "-P port=0")
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        _cannot(Wanted(folder, auth=True), "Flask-WTF is not installed", "make venv")
    monkeypatch.setattr("predictor.server.both.require_auth_package", lambda: None)
    _cannot(Wanted(folder, auth=True), "the administrator has no password", "read -rs MLFLOW_AUTH_ADMIN_PASSWORD")
    with held(folder) as home:
        home.remember(auth=True)
    _cannot(Wanted(folder), "the folder was served with passwords", "-P auth=true")
    assert not (folder / "postgres").exists()


def _cannot(wanted: Wanted, words: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught, serving(wanted):
        pass
    assert fix in (caught.value.fix or "")


def test_files_of_tls(tls: Tls, tmp_path: Path):
    assert tls_of("", "") is None
    assert tls_of(str(tls.certificate), str(tls.key)) == tls
    for pair in [(str(tls.certificate), ""), ("", str(tls.key)), (str(tls.key), str(tls.certificate)), ("x", "y")]:
        with pytest.raises(ConfigError, match="https cannot be served") as caught:
            tls_of(*pair)
        assert (caught.value.fix or "").startswith("openssl req")


def test_the_server_gets_no_store_of_ours_and_no_secret_as_argument(tmp_path: Path):
    made = Web(tmp_path, "postgresql://u:5f1c@h/d", 1, auth=Auth("postgresql://u:5f1c@h/auth", "5f1c-key"))
    given = {"MLFLOW_TRACKING_URI": "http://a", "MLFLOW_RUN_ID": "b", "MLFLOW_EXPERIMENT_ID": "c", "HOME": "/h"}
    environment = made._environment(given)
    assert environment.items() >= {"HOME": "/h", "MLFLOW_BACKEND_STORE_URI": "postgresql://u:5f1c@h/d"}.items()
    assert not {"MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"} & set(environment)
    assert "5f1c" not in " ".join(made._command())
    assert (tmp_path / "auth.ini").stat().st_mode & 0o077 == 0


def test_a_free_port(monkeypatch: pytest.MonkeyPatch):
    free = children.free_port()
    assert children.free_port(free) == free
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free))
        taken.listen()
        assert children.free_port(free) != free


@pytest.mark.usefixtures("installed")
def test_wrong_credentials_of_a_client_are_no_absence():
    """A store that refuses a password is not waited for."""
    from predictor.tracking.patience import passes

    assert not passes(
        MlflowException("API request failed with error code 401 != 200. Response body: not authenticated")
    )
