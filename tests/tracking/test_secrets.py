"""Passwords in the addresses of stores: in no message, tag, file, log line or argument of a process."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from predictor.errors import PredictorError, RegistryError, ResultsWait, TrackingError
from predictor.masking import cause, masked
from predictor.registry.faults import registry_faults
from predictor.schema import keys
from predictor.sweep.executors.base import failure
from predictor.sweep.executors.process import ProcessExecutor
from predictor.sweep.job import Job, Outcome
from predictor.tracking import connect, read_records, reader, spool, tracked_run
from predictor.tracking.last_word import speak_after_mlflow_run
from predictor.tracking.patience import PatientClient
from predictor.tracking.store import store_identity
from tests.tracking.conftest import POSTGRES_PASSWORD

SECRET = POSTGRES_PASSWORD
AWAY = f"http://user:{SECRET}@127.0.0.1:9"
ROOT = Path(__file__).resolve().parent.parent.parent
API = "api/2.0/mlflow/runs/search"


@pytest.fixture
def guarded(server_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A server whose address holds a password, in use."""
    uri = server_uri.replace("://", f"://user:{SECRET}@")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    return uri


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql://u:{SECRET}@h/d", "postgresql://u:***@h/d"),
        (f"postgresql+psycopg://u:{SECRET}@h:1/d?x=1", "postgresql+psycopg://u:***@h:1/d?x=1"),
        (f"(at https://u:{SECRET}@h/a, or http://u:{SECRET}@h)", "(at https://u:***@h/a, or http://u:***@h)"),
        (f"https://{SECRET}@h/a", "https://***@h/a"),
        (f"redis://:{SECRET}@h", "redis://:***@h"),
        (f"http://u:a/{SECRET}@b@h", "http://u:***@h"),
        (f"postgresql://h/d?user=u&password={SECRET}&port=1", "postgresql://h/d?user=u&password=***&port=1"),
        (f"mssql+pyodbc:///?odbc_connect=PWD%3D{SECRET}", "mssql+pyodbc:///?odbc_connect=***"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("http://127.0.0.1:5000/#/x and a: b@c.d", "http://127.0.0.1:5000/#/x and a: b@c.d"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
    ],
)
def test_a_password_is_masked_and_nothing_else(text: str, shown: str):
    assert masked(text) == shown
    assert masked(shown) == shown


def test_an_error_that_names_a_password_is_no_cause():
    quiet, loud = ValueError("no"), ValueError(AWAY)
    assert cause(quiet) is quiet
    assert cause(loud) is None
    quiet.__cause__ = loud
    assert cause(quiet) is None


def test_stores_are_told_apart_without_password():
    assert store_identity(f"http://u:{SECRET}@h:5/") == store_identity("http://h:5") == "http://h:5"
    assert store_identity(f"postgresql://u:{SECRET}@h/d?sslmode=require") == "postgresql://u@h/d?sslmode=require"
    assert SECRET not in store_identity(f"postgresql://h/d?password={SECRET}")
    assert store_identity("http://h/a") != store_identity("http://h/b")


class Broken:
    """A client of a store whose every call fails with a message that holds the whole address."""

    tracking_uri = AWAY

    def __init__(self, words: str) -> None:
        # Long enough that a message that is cut somewhere would be cut within the address.
        self.words = f"{'x' * 150} {AWAY}/{API} {words}"

    def get_run(self, run_id: str) -> None:
        raise MlflowException(self.words)


def _raise(error: Exception) -> None:
    raise error


def _unknown_run(uri: str, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with tracked_run("meta"):
        pass


def _stops(uri: str, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MlflowClient, "search_runs", lambda *_, **__: _raise(MlflowException(f"{AWAY}/{API} is gone")))
    read_records()


def _refuses_registry(uri: str, patch: pytest.MonkeyPatch) -> None:
    with registry_faults("loading"):
        raise MlflowException(f"{AWAY}/{API} failed")


def _unregistered(uri: str, patch: pytest.MonkeyPatch) -> None:
    import mlflow

    from predictor.registry.versions import versions

    mlflow.set_tracking_uri(uri)
    versions("nothing")


def _old_schema(uri: str, patch: pytest.MonkeyPatch) -> None:
    text = "Detected out-of-date database schema"
    patch.setattr(MlflowClient, "search_experiments", lambda *_, **__: _raise(MlflowException(text)))
    connect(uri)


FAULTS: dict[str, Callable[[str, pytest.MonkeyPatch], Any]] = {
    "nobody answers": lambda uri, patch: connect(AWAY),
    "a token as user": lambda uri, patch: connect(f"http://{SECRET}@127.0.0.1:9"),
    "no such kind": lambda uri, patch: connect(f"nope://u:{SECRET}@h/d"),
    "two drivers": lambda uri, patch: connect(f"postgresql+a+b://u:{SECRET}@h/d"),
    "an invalid address": lambda uri, patch: connect(f"http://u:a/{SECRET}@127.0.0.1:9"),
    "an @ in it": lambda uri, patch: connect(f"postgresql://u:a@{SECRET}@127.0.0.1:9/d"),
    "a space in it": lambda uri, patch: connect(f"postgresql://u:a {SECRET}@127.0.0.1:9/d"),
    "no address at all": lambda uri, patch: connect(f"u:{SECRET}@h/d"),
    "another schema": _old_schema,
    "an absence": lambda uri, patch: PatientClient(Broken("connection refused"), patience_s=0.0).get_run("1"),
    "a lasting fault": lambda uri, patch: PatientClient(Broken("no space left")).get_run("1"),
    "no such run": _unknown_run,
    "no such experiment": lambda uri, patch: read_records(["nowhere"]),
    "an end while reading": _stops,
    "the registry's fault": _refuses_registry,
    "no such model": _unregistered,
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_error_and_no_log_line_names_the_password(
    name: str, guarded: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd
):
    with caplog.at_level(logging.DEBUG), pytest.raises((TrackingError, RegistryError)) as caught:
        FAULTS[name](guarded, monkeypatch)
    error = caught.value
    texts = [str(error), error.one_line(), repr(error), *traceback.format_exception(error), caplog.text]
    texts += map(str, (error.what, error.where, error.rule, error.fix))
    assert SECRET not in "\n".join(texts)
    assert SECRET not in "".join(capfd.readouterr())


def test_a_password_that_would_be_cut_says_how_it_is_written():
    with pytest.raises(TrackingError, match="holds an '@' or a space") as caught:
        connect("postgresql://u:a@b@h/d")
    assert caught.value.where == "postgresql://***@h/d"
    assert "%40" in (caught.value.fix or "")


@pytest.mark.parametrize("uri", ["postgresql://u:a%40b@h/d?application_name=me@work", "sqlite:////home/a@b@c.db"])
def test_other_ats_are_none_of_the_password(uri: str, monkeypatch: pytest.MonkeyPatch):
    away = MlflowClient(AWAY)
    monkeypatch.setattr(away, "search_experiments", lambda *_, **__: [])
    monkeypatch.setattr("predictor.tracking.store.MlflowClient", lambda uri: away)
    assert connect(uri) == uri


def test_postgresql_refuses_and_answers_without_naming_the_password(
    postgres_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    import sqlalchemy

    uri = postgres_uri
    assert SECRET in uri
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(TrackingError, match="does not answer") as caught:
            connect(f"{uri}_not_there")
        with pytest.raises(ValueError), tracked_run(keys.KIND_FINETUNE, tracking_uri=uri, params={"hp/a": "1"}) as run:
            raise ValueError(f"cannot do it with {uri}")
        assert len(read_records(tracking_uri=uri)) == 1
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert run.client.get_run(run.run_id).data.tags[keys.TAG_FAILURE].startswith("ValueError: cannot do it with ")
    engine = sqlalchemy.create_engine(postgres_uri, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        for table in sqlalchemy.inspect(connection).get_table_names():
            assert SECRET not in str(connection.execute(sqlalchemy.text(f'SELECT * FROM "{table}"')).all()), table
    assert _files_with_secret(tmp_path) == []


def test_what_a_run_leaves_in_the_store_and_on_the_disk(
    guarded: str, server_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A run that fails, one whose results wait, and their delivery by somebody with another password."""
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(ValueError), tracked_run("meta", experiment="secrets") as failed:
            raise ValueError(f"API request to {guarded}/{API} failed")
        with (
            pytest.raises(ResultsWait),
            tracked_run("meta", experiment="secrets") as waiting,
            monkeypatch.context() as patch,
        ):
            (waiting.artifacts / "note.txt").write_text("kept")
            refuse = MlflowException(f"API request to {guarded}/{API} failed: no space left")
            patch.setattr(waiting.client._client, "log_batch", lambda *_, **__: _raise(refuse))
            waiting.finish(metrics={"a": 1.0})
        assert _files_with_secret(tmp_path) == []
        home = spool.folder() / waiting.run_id
        assert server_uri in (home / "results.json").read_text()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server_uri.replace("://", "://other:password@"))
        with tracked_run("meta", experiment="secrets"):
            pass
    client = MlflowClient(server_uri)
    assert client.get_run(waiting.run_id).info.status == "FINISHED"
    assert not home.exists()
    assert client.get_run(failed.run_id).data.tags[keys.TAG_FAILURE].count("***") == 1
    experiment = client.get_experiment_by_name("secrets").experiment_id
    assert SECRET not in str([run.to_dictionary() for run in client.search_runs([experiment])])
    assert SECRET not in caplog.text


def test_results_that_were_kept_under_the_whole_uri_are_still_delivered(guarded: str, tmp_path: Path):
    run_id = MlflowClient(guarded).create_run("0").info.run_id
    (tmp_path / "files").mkdir()
    home = spool.keep(guarded, run_id, [], {"a": "b"}, tmp_path / "files")
    file = home / "results.json"
    file.write_text(file.read_text().replace(f'"store": "{store_identity(guarded)}"', f'"tracking_uri": "{guarded}"'))
    assert spool.deliver(PatientClient(MlflowClient(guarded))) == [f"results of run {run_id} were delivered"]


def test_when_the_disk_is_full_too(guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cache").write_text("no folder can be made here")
    with (
        pytest.raises(TrackingError, match="nor could") as caught,
        tracked_run("meta") as run,
        monkeypatch.context() as patch,
    ):
        patch.setattr(run.client._client, "log_batch", lambda *_, **__: _raise(MlflowException(f"{AWAY} no")))
        run.finish(metrics={"a": 1.0})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_fallback_to_the_search_is_logged_without_it(
    guarded: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    from predictor.tracking import direct

    monkeypatch.setattr(reader.served, "keeps", lambda selection: False)
    monkeypatch.setattr(reader, "_is_database", lambda uri: True)
    monkeypatch.setattr(direct, "read", lambda *_: _raise(direct.Unreadable(f"{guarded} is none")))
    with caplog.at_level(logging.WARNING):
        read_records(["Default"])
    assert "***" in caplog.text
    assert SECRET not in caplog.text


def test_the_last_word_is_spoken_by_a_process_without_it_in_its_arguments(
    guarded: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    client = MlflowClient(guarded)
    run_id = client.create_run("0").info.run_id
    client.set_terminated(run_id, "KILLED")
    before = set(psutil.Process().children())
    speak_after_mlflow_run(guarded, run_id)
    (process,) = set(psutil.Process().children()) - before
    try:
        deadline = time.monotonic() + 30
        while not (arguments := process.cmdline()) and time.monotonic() < deadline:
            time.sleep(0.01)  # it has been forked and is not yet what it becomes
        assert run_id in arguments
        assert _arguments_with_secret() == []
        client.set_terminated(run_id, "FAILED")  # as `mlflow run` does
        deadline = time.monotonic() + 30
        while client.get_run(run_id).info.status != "KILLED" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.get_run(run_id).info.status == "KILLED"
    finally:
        process.kill()
        process.wait()


def _make_work(tracking_uri: str) -> Callable[[Job], Outcome]:
    def work(job: Job) -> Outcome:
        raise RuntimeError(f"{tracking_uri} in vain")

    return work


@pytest.fixture
def workers() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(_make_work, {"tracking_uri": AWAY}, workers=1, threads=1)
    yield executor
    executor.close()


def test_workers_of_a_sweep_get_the_address_by_a_pipe(workers: ProcessExecutor):
    from predictor.trial.config import FinetuneConfig

    workers.submit(Job(FinetuneConfig(), "a"))
    deadline = time.monotonic() + 60
    outcomes: list[Outcome] = []
    while not outcomes and time.monotonic() < deadline:
        outcomes += workers.wait(1.0)
        assert _arguments_with_secret() == []
    assert "in vain" in outcomes[0].message
    assert SECRET not in outcomes[0].message
    assert SECRET not in failure(outcomes[0].job, PredictorError(AWAY), 0.0).message


def test_an_unexpected_error_of_an_entry_point_is_printed_without_it():
    code = (
        "from entrypoints import _cli; from predictor.trial.config import FinetuneConfig; import os\n"
        "def flow(config, progress):\n"
        "    try: raise ValueError(os.environ['MLFLOW_TRACKING_URI'])\n"
        "    except ValueError as error: raise RuntimeError(f'failed: {error}') from error\n"
        "_cli.main(FinetuneConfig, flow, [])\n"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": AWAY}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "RuntimeError: failed: http://user:***@127.0.0.1:9" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def _files_with_secret(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]


def _arguments_with_secret() -> list[list[str]]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            arguments = process.cmdline()
            if any(SECRET in argument for argument in arguments):
                found.append(arguments)
    return found
