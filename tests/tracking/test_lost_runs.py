"""Runs whose process was killed: ended by whoever uses the store next, and nobody else's with them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from predictor.schema import keys
from predictor.sweep.outlook import standings
from predictor.tracking import connect, owner, read_record, read_records, spool, tracked_run
from predictor.tracking.lease import ABANDONED, Lease, claim, end_lost, reap
from predictor.tracking.owner import end_of, is_gone, this_process

ROOT = Path(__file__).resolve().parent.parent.parent
_OURS = {keys.TAG_KIND: keys.KIND_FINETUNE, keys.TAG_SCHEMA: str(keys.SCHEMA_VERSION)}
_OWN_RUN = """
import sys, time
from predictor.tracking import tracked_run
with tracked_run("finetune", experiment="killed") as run:
    print(run.run_id, flush=True)
    time.sleep(600)
"""


def _killed(**environment: str) -> tuple[str, int]:
    """A run that a process has opened and not yet written on when SIGKILL came, and the process's id."""
    process = subprocess.Popen(
        [sys.executable, "-c", _OWN_RUN],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    assert MlflowClient().get_run(run_id).info.status == "RUNNING"
    process.send_signal(signal.SIGKILL)
    process.wait()
    return run_id, process.pid


def _next_run() -> None:
    with tracked_run("meta"):
        pass


@pytest.mark.parametrize(
    ("fixture", "use"), [("store", _next_run), ("server_uri", read_records), ("postgres_uri", read_records)]
)
def test_a_run_whose_process_was_killed_is_failed_by_the_next_use_of_the_store(
    fixture: str, use: Callable[[], Any], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", connect(request.getfixturevalue(fixture)))
    run_id, pid = _killed()
    use()
    record = read_record(run_id)
    owned = MlflowClient().get_run(run_id).data.tags[keys.TAG_OWNER]
    assert (record.status, record.kind, record.complete) == ("FAILED", keys.KIND_FINETUNE, False)
    assert record.failure is not None
    assert record.failure.startswith(f"{ABANDONED} | where: owner {owned}, looked for on 2")
    assert f": there is no process {pid} | rule: " in record.failure
    assert "fix: start it again" in record.failure


def test_the_run_of_mlflow_run_is_found_too(store: str):
    given = MlflowClient().create_run("0").info.run_id
    run_id, _ = _killed(MLFLOW_RUN_ID=given)
    assert run_id == given
    _next_run()
    assert read_record(given).status == "FAILED"


def test_a_killed_fine_tune_counts_as_abandoned_and_not_as_a_failure_of_its_configuration(client: MlflowClient):
    _run(client, {keys.TAG_OWNER: _dead(), keys.TAG_CONFIG_HASH: "abc"})
    standing = standings(read_records(), retry=False)["abc"]
    assert (standing.abandoned, standing.failures, standing.crashes) == (1, 0, 0)


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(connect(store))


def _run(client: Any, tags: dict[str, str]) -> str:
    return str(client.create_run("0", tags={**_OURS, **tags}).info.run_id)


def _status(client: Any, run_id: str) -> str:
    return str(client.get_run(run_id).info.status)


def _dead() -> str:
    """The owner tag of a process that has ended."""
    host = this_process().split("/")[0]
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{host}/{process.pid}/{time.time():.2f}"


def test_what_lives_or_cannot_be_known_is_left_alone(client: MlflowClient):
    alive = _run(client, {keys.TAG_OWNER: this_process()})
    elsewhere = _run(client, {keys.TAG_OWNER: "elsewhere/1/1.00"})
    foreign = client.create_run("0").info.run_id  # somebody's run without our tags
    ended = _run(client, {keys.TAG_OWNER: _dead()})
    client.set_terminated(ended, "KILLED")
    _next_run()
    assert [_status(client, run_id) for run_id in (alive, elsewhere, foreign, ended)] == ["RUNNING"] * 3 + ["KILLED"]


def test_a_claimed_run_is_left_to_its_sweep_until_its_lease_is_over(client: MlflowClient):
    lease = claim(client, "0", "abc", run_name="r", tags=_OURS)
    assert isinstance(lease, Lease)
    client.set_tag(lease.run_id, keys.TAG_OWNER, _dead())
    assert end_lost(client, ["0"]) == []
    client.set_tag(lease.run_id, keys.TAG_OWNER, "elsewhere/1/1.00")
    client.set_tag(lease.run_id, keys.TAG_LEASE_UNTIL, f"{time.time() - 1:.0f}")
    assert [run.info.run_id for run in end_lost(client, ["0"])] == [lease.run_id]
    record = read_record(lease.run_id)
    assert (record.status, record.failure) == ("KILLED", ABANDONED)


def test_a_sweep_ends_both_kinds_each_by_its_own_rule(client: MlflowClient):
    claimed = _run(client, {keys.TAG_OWNER: _dead(), keys.TAG_LEASE_STATE: "held"})
    plain = _run(client, {keys.TAG_OWNER: _dead()})
    assert {run.info.run_id for run in reap(client, "0", "crashed: SIGSEGV")} == {claimed, plain}
    assert (read_record(claimed).status, read_record(claimed).failure) == ("KILLED", "crashed: SIGSEGV")
    assert read_record(plain).status == "FAILED"
    assert (read_record(plain).failure or "").startswith(ABANDONED)


def test_a_run_that_ended_while_it_was_looked_for_keeps_its_end(client: MlflowClient):
    """It is found RUNNING, ends well, and its process ends: the process is gone then, and nothing is wrong."""
    run_id = _run(client, {keys.TAG_OWNER: _dead()})

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def search_runs(self, *args: Any, **kwargs: Any) -> Any:
            found = client.search_runs(*args, **kwargs)
            client.set_terminated(run_id, "FINISHED")
            return found

    assert end_lost(Late(), ["0"]) == []
    assert _status(client, run_id) == "FINISHED"
    assert keys.TAG_FAILURE not in client.get_run(run_id).data.tags


def test_results_that_wait_end_their_run_when_they_are_delivered(client: MlflowClient, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "files").mkdir()
    run_id = _run(client, {keys.TAG_OWNER: _dead()})
    spool.keep(connect(), run_id, [], {keys.TAG_COMPLETE: "true"}, tmp_path / "files")
    assert [record.status for record in read_records()] == ["RUNNING"]
    _next_run()
    assert [(record.status, record.complete, record.failure) for record in read_records()] == [("FINISHED", True, None)]


def test_only_running_runs_of_ours_are_looked_at(client: MlflowClient, monkeypatch: pytest.MonkeyPatch):
    for _ in range(5):
        client.set_terminated(_run(client, {keys.TAG_OWNER: _dead()}), "FINISHED")
    calls: list[str] = []
    for name in ("search_runs", "get_run"):
        original = getattr(MlflowClient, name)

        def counted(self: MlflowClient, *args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            found = _original(self, *args, **kwargs)
            calls.append(f"{_name} {len(found)}" if _name == "search_runs" else _name)
            return found

        monkeypatch.setattr(MlflowClient, name, counted)
    assert end_lost(client, ["0"]) == []
    assert calls == ["search_runs 0"]


def test_among_many_running_runs_of_others_ours_are_found(client: MlflowClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("predictor.tracking.lease._FEW", 2)
    lost = [_run(client, {keys.TAG_OWNER: _dead()}) for _ in range(2)]
    for _ in range(3):
        client.create_run("0")
    assert sorted(run.info.run_id for run in end_lost(client, ["0"])) == sorted(lost)


def test_a_store_that_cannot_be_written_is_read_all_the_same(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def refused(*_: Any, **__: Any) -> None:
        raise MlflowException("attempt to write a readonly database")

    _run(client, {keys.TAG_OWNER: _dead()})
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", refused)
        with caplog.at_level(logging.WARNING, "predictor.tracking"):
            assert [record.status for record in read_records()] == ["RUNNING"]
    assert caplog.messages == ["runs whose process has gone cannot be ended: attempt to write a readonly database"]
    assert [record.status for record in read_records()] == ["FAILED"]


def test_an_owner_that_ends_well_after_all_is_not_blamed(client: MlflowClient, monkeypatch: pytest.MonkeyPatch):
    """The clock was set while it worked, so that its process seemed to be another one."""
    with tracked_run("meta") as run:
        with monkeypatch.context() as patch:
            patch.setattr("predictor.tracking.lease.is_gone", lambda owner: True)
            assert len(end_lost(client, ["0"])) == 1
        assert _status(client, run.run_id) == "FAILED"
        run.finish(metrics={"a": 1.0})
    record = read_record(run.run_id)
    assert (record.status, record.failure) == ("FINISHED", None)
    assert keys.TAG_REAPED not in client.get_run(run.run_id).data.tags


def test_what_is_seen_of_an_owner():
    host, pid, started = this_process().rsplit("/", 2)
    assert (end_of(this_process()), is_gone(this_process())) == (None, False)
    reused = f"{host}/{pid}/{float(started) - 100:.2f}"
    assert (end_of(reused) or "").startswith(f"process {pid} is another one, started 2")
    assert is_gone(reused)
    before = f"{host}/{2**22 + 1}/{psutil.boot_time() - 100:.2f}"  # above Linux's largest number of a process
    assert (end_of(before) or "").startswith(f"there is no process {2**22 + 1}, the machine was started 2")
    assert (end_of("elsewhere/1/1.00"), is_gone("elsewhere/1/1.00"), is_gone("nonsense")) == (None, None, None)
    process = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 30
    zombie = f"{host}/{process.pid}/{psutil.Process(process.pid).create_time():.2f}"
    while end_of(zombie) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert end_of(zombie) == f"process {process.pid} has ended and waits for its parent"
    process.wait()


def test_a_process_that_is_hidden_or_in_another_container_is_not_gone(monkeypatch: pytest.MonkeyPatch):
    host, pid, started = this_process().rsplit("/", 2)

    def nobody(number: int) -> None:
        raise psutil.NoSuchProcess(number)

    def forbidden(*_: Any) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(psutil, "Process", nobody)
        patch.setattr(os, "kill", forbidden)
        assert is_gone(f"{host}/{pid}/{started}") is False
    with monkeypatch.context() as patch:
        patch.setattr(owner, "_FIRST_NAMESPACE", 1)  # this process is in a container, whose host bears the same name
        if sys.platform == "linux":
            assert is_gone(f"{host}/{pid}/1.00") is None
            assert is_gone(this_process()) is False
