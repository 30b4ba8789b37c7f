"""What is waited for, what is not, and what is kept when waiting was in vain."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS

from predictor import interrupts
from predictor.errors import ResultsWait, TrackingError
from predictor.schema import keys
from predictor.tracking import connect, spool, tracked_run
from predictor.tracking.patience import PatientClient, passes
from predictor.tracking.store import prepare_for_many


class Shaky:
    """A client whose calls fail so many times."""

    tracking_uri = "http://store"

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def get_run(self, run_id: str) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return f"run {run_id}"


GONE = MlflowException("API request failed: Max retries exceeded: Connection refused")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "spool"


def test_a_store_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []
    monkeypatch.setattr("predictor.tracking.patience.time.sleep", pauses.append)
    told: list[str] = []
    shaky = Shaky(9, GONE)
    assert PatientClient(shaky, on_wait=told.append).get_run("1") == "run 1"
    assert (shaky.calls, len(told)) == (10, 1)
    assert max(pauses) <= 15.0
    assert sum(pauses[-3:]) > sum(pauses[:3])


def test_patience_has_an_end():
    with pytest.raises(TrackingError, match=r"stayed away for 0 s .*Connection refused") as caught:
        PatientClient(Shaky(10**6, GONE), patience_s=0.2).get_run("1")
    assert caught.value.where == "http://store, get_run"
    assert "PREDICTOR_STORE_PATIENCE" in str(caught.value)


def test_a_fault_that_would_stay_is_raised_at_once():
    shaky = Shaky(1, MlflowException("Run '1' not found"))
    with pytest.raises(MlflowException, match="not found"):
        PatientClient(shaky).get_run("1")
    shaky = Shaky(1, ValueError("timeout"))  # not a store's fault
    with pytest.raises(ValueError, match="timeout"):
        PatientClient(shaky).get_run("1")
    assert shaky.calls == 1


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("attempt to write a readonly database", "not writable"),
        ("database or disk is full", "the disk of the store is full"),
        ("[Errno 28] No space left on device", "the disk is full"),
        ("unable to open database file", "the store's folder is gone"),
    ],
)
def test_a_fault_of_the_disk_says_what_to_do(text: str, fix: str):
    with pytest.raises(TrackingError, match="the tracking store refuses get_run") as caught:
        PatientClient(Shaky(1, MlflowException(text))).get_run("1")
    assert fix in (caught.value.fix or "")


def test_a_locked_database_is_waited_for(store: str, tmp_path: Path):
    client = PatientClient(MlflowClient(connect(f"{store}?timeout=0.1")), patience_s=20)
    run_id = client.create_run("0").info.run_id
    lock = sqlite3.connect(tmp_path / "mlflow.db", check_same_thread=False, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(1.0, lambda: lock.execute("ROLLBACK"))
    timer.start()
    started = time.monotonic()
    client.set_tag(run_id, "a", "b")
    assert time.monotonic() - started > 0.5
    timer.join()
    lock.close()
    assert client.get_run(run_id).data.tags["a"] == "b"


def test_a_read_only_store_ends_a_run_before_it_starts(store: str, tmp_path: Path):
    if os.geteuid() == 0:
        uri = f"sqlite:///file:{tmp_path}/mlflow.db?mode=ro&uri=true"  # root may write whatever the mode says
    else:
        (tmp_path / "mlflow.db").chmod(0o444)
        uri = store
    with pytest.raises(TrackingError, match="refuses create_run") as caught, tracked_run("meta", tracking_uri=uri):
        raise AssertionError("never reached")
    assert "not writable" in (caught.value.fix or "")


def _away(client: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def gone(*args: Any, **kwargs: Any) -> None:
        raise GONE

    monkeypatch.setattr(client._client, name, gone)
    monkeypatch.setattr(client, "_patience_s", 0.1)


def test_results_that_the_store_cannot_take_wait_and_are_delivered(store: str, cache: Path, monkeypatch):
    with (
        pytest.raises(ResultsWait, match="the results are kept") as caught,
        tracked_run(keys.KIND_FINETUNE, params={"hp/lora_r": "8"}) as run,
        monkeypatch.context() as patch,
    ):
        (run.artifacts / "adapter.txt").write_text("weights")
        run.curve(1, {"train/loss": 2.0})
        _away(run.client, patch, "log_batch")
        run.finish(metrics={"score/exact_match": 0.5, "probe/nothing": float("nan")}, tags={keys.TAG_COMPLETE: "true"})
    assert caught.value.where == str(cache / run.run_id)
    client = MlflowClient(store)
    waiting = client.get_run(run.run_id)
    assert waiting.info.status == "FAILED"
    assert "the results are kept" in waiting.data.tags[keys.TAG_FAILURE]
    with tracked_run("meta"):  # any later run brings what waits
        pass
    found = client.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert keys.TAG_FAILURE not in found.data.tags
    assert found.data.metrics["score/exact_match"] == 0.5
    assert found.data.metrics["train/loss"] == 2.0
    assert found.data.tags[keys.TAG_COMPLETE] == "true"
    assert found.data.tags[keys.TAG_KIND] == keys.KIND_FINETUNE
    assert [file.path for file in client.list_artifacts(run.run_id)] == ["adapter.txt"]
    assert list(cache.iterdir()) == []


def test_results_for_another_store_stay(store: str, cache: Path, tmp_path: Path):
    (tmp_path / "files").mkdir()
    home = spool.keep("http://elsewhere", "abc", [], {}, tmp_path / "files")
    assert spool.deliver(PatientClient(MlflowClient(connect(store)))) == []
    assert (home / "results.json").exists()


def test_results_of_an_unknown_run_stay_and_are_named(store: str, cache: Path, tmp_path: Path):
    (tmp_path / "files").mkdir()
    spool.keep(store, "0" * 32, [], {}, tmp_path / "files")
    (line,) = spool.deliver(PatientClient(MlflowClient(connect(store))))
    assert "the store does not know the run" in line


def test_half_written_results_are_not_delivered(store: str, cache: Path):
    (cache / "abc.part").mkdir(parents=True)
    (cache / "abc.part" / "results.json").write_text(json.dumps({"tracking_uri": store}))
    assert spool.deliver(PatientClient(MlflowClient(connect(store)))) == []


def test_results_of_a_configuration_that_was_trained_again_are_dropped(store: str, cache: Path, tmp_path: Path):
    client = MlflowClient(connect(store))
    tags = {keys.TAG_CONFIG_HASH: "abc", keys.TAG_LEASE_STATE: "held"}
    late, done = client.create_run("0", tags=tags), client.create_run("0", tags={**tags, keys.TAG_COMPLETE: "true"})
    client.set_terminated(done.info.run_id, "FINISHED")
    (tmp_path / "files").mkdir()
    spool.keep(store, late.info.run_id, [], {keys.TAG_COMPLETE: "true"}, tmp_path / "files")
    (line,) = spool.deliver(PatientClient(client))
    assert "trained again" in line
    assert keys.TAG_COMPLETE not in client.get_run(late.info.run_id).data.tags
    assert list(cache.iterdir()) == []


def test_when_the_disk_is_full_too_the_error_says_both(store: str, cache: Path, monkeypatch):
    cache.parent.mkdir()
    cache.write_text("no folder can be made here")
    with (
        pytest.raises(TrackingError, match="nor could the results be kept on disk"),
        tracked_run("meta") as run,
        monkeypatch.context() as patch,
    ):
        _away(run.client, patch, "log_batch")
        run.finish(metrics={"a": 1.0})


def test_a_store_that_is_away_does_not_hold_up_the_training(store: str, monkeypatch):
    monkeypatch.setattr("predictor.tracking.run._LIVE_SECONDS", 0.0)
    with tracked_run("meta") as run:
        with monkeypatch.context() as patch:
            _away(run._hasty, patch, "log_batch")
            started = time.monotonic()
            run.curve(1, {"train/loss": 2.0})
            assert time.monotonic() - started < 1.0
        run.finish()
    (point,) = MlflowClient(store).get_metric_history(run.run_id, "train/loss")
    assert (point.step, point.value) == (1, 2.0)


def test_runs_that_name_a_dataset_at_the_same_instant_both_succeed(store: str):
    from mlflow.entities import Dataset, DatasetInput

    inputs = [DatasetInput(Dataset("eval", "digest", "local", "{}"), [])]
    client = PatientClient(MlflowClient(connect(store)))
    failures: list[Exception] = []
    for number in range(5):
        start = threading.Barrier(4)
        inputs[0].dataset._digest = f"digest {number}"

        def name_it(start: threading.Barrier = start) -> None:
            run_id = client.create_run("0").info.run_id
            start.wait()
            try:
                client.log_inputs(run_id, inputs)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=name_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_only_known_faults_pass():
    assert passes(GONE)
    assert passes(MlflowException("(sqlite3.OperationalError) database is locked"))
    assert not passes(MlflowException("INVALID_PARAMETER_VALUE"))
    twice = "duplicate key value violates unique constraint"
    assert passes(MlflowException(f'{twice} "datasets_pk"'))
    assert not passes(MlflowException(f'{twice} "experiments_name_key"', RESOURCE_ALREADY_EXISTS))


def test_an_sqlite_store_on_a_local_disk_gets_a_write_ahead_log(store: str, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("predictor.tracking.store._is_remote", lambda file: True)
    assert not prepare_for_many(store)
    monkeypatch.setattr("predictor.tracking.store._is_remote", lambda file: False)
    assert prepare_for_many(store)
    assert sqlite3.connect(tmp_path / "mlflow.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert not prepare_for_many("http://127.0.0.1:1")
    assert not prepare_for_many(f"sqlite:///{tmp_path}/absent.db")
    assert not (tmp_path / "absent.db").exists()


class Signalled:
    """A client whose call is hit by SIGTERM before it ends."""

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri, self.ended = tracking_uri, False

    def _hit(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        self.ended = True

    log_batch = log_artifacts = _hit


@pytest.mark.parametrize(
    ("uri", "name", "ends"),
    [
        ("sqlite:///store.db", "log_batch", True),
        ("sqlite:///store.db", "log_artifacts", False),
        ("http://127.0.0.1:1", "log_batch", False),
    ],
)
def test_a_signal_waits_for_the_end_of_a_transaction(uri: str, name: str, ends: bool):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    client = Signalled(uri)
    interrupts.install()
    try:
        with pytest.raises(interrupts.Interrupted, match="SIGTERM"):
            getattr(PatientClient(client), name)()
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    assert client.ended is ends
