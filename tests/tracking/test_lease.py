"""Claims: one winner, no wait for the dead, no word from an owner that lost its run."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import RunTag, ViewType

from predictor.errors import LeaseLost
from predictor.schema import keys
from predictor.tracking import connect, experiment_id, tracked_run
from predictor.tracking import lease as module
from predictor.tracking.lease import ABANDONED, Lease, Refusal, abandoned, claim, reap
from predictor.tracking.owner import is_gone, this_process
from predictor.tracking.patience import PatientClient

TAGS = {keys.TAG_KIND: keys.KIND_FINETUNE, keys.TAG_SCHEMA: "1"}
_numbers = itertools.count()


@pytest.fixture
def client(store: str) -> Any:
    return PatientClient(MlflowClient(connect(store)))


@pytest.fixture
def experiment(client: Any) -> str:
    return experiment_id(client, f"lease {next(_numbers)}")


def _claim(client: Any, experiment: str, identity: str = "abc", **options: Any) -> Lease | Refusal:
    return claim(client, experiment, identity, run_name="r", tags=TAGS, **options)


def _held(client: Any, experiment: str, **options: Any) -> Lease:
    lease = _claim(client, experiment, **options)
    assert isinstance(lease, Lease)
    return lease


def _statuses(client: Any, experiment: str, view: int = ViewType.ACTIVE_ONLY) -> list[str]:
    return sorted(run.info.status for run in client.search_runs([experiment], run_view_type=view))


def _finish(client: Any, lease: Lease) -> None:
    client.set_tag(lease.run_id, keys.TAG_COMPLETE, "true")
    client.set_terminated(lease.run_id, "FINISHED")


def _stale(client: Any, run_id: str) -> None:
    """As an owner on another host that has been silent for too long."""
    client.log_batch(
        run_id, tags=[RunTag(keys.TAG_OWNER, "elsewhere/1/1.00"), RunTag(keys.TAG_LEASE_UNTIL, f"{time.time() - 1}")]
    )


def test_a_claim_is_a_running_run_that_a_second_claimant_respects(client: Any, experiment: str):
    lease = _held(client, experiment)
    assert _claim(client, experiment) == Refusal("busy", lease.run_id)
    assert isinstance(_claim(client, experiment, "other"), Lease)
    assert _statuses(client, experiment) == ["RUNNING", "RUNNING"]


def test_a_configuration_that_is_done_is_not_claimed(client: Any, experiment: str):
    lease = _held(client, experiment)
    _finish(client, lease)
    assert _claim(client, experiment) == Refusal("done", lease.run_id)
    assert _statuses(client, experiment, ViewType.ALL) == ["FINISHED"]


def test_a_run_that_failed_or_is_incomplete_leaves_the_configuration_open(client: Any, experiment: str):
    client.set_terminated(_held(client, experiment).run_id, "FAILED")
    client.set_terminated(_held(client, experiment).run_id, "FINISHED")  # without predictor.complete
    assert isinstance(_claim(client, experiment), Lease)


@pytest.mark.parametrize("fixture", ["store", "server_uri", "postgres_uri"])
def test_of_many_claimants_at_once_exactly_one_wins(fixture: str, request: pytest.FixtureRequest):
    uri = connect(request.getfixturevalue(fixture))
    name = f"race {next(_numbers)}"
    experiment = experiment_id(PatientClient(MlflowClient(uri)), name)
    for _ in range(3):
        outcomes: list[Lease | Refusal] = []
        start = threading.Barrier(4)
        identity = f"race-{next(_numbers)}"

        def run(start: threading.Barrier = start, identity: str = identity, outcomes: list = outcomes) -> None:
            client = PatientClient(MlflowClient(uri))
            start.wait()
            outcomes.append(_claim(client, experiment, identity))

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [outcome for outcome in outcomes if isinstance(outcome, Lease)]
        assert len(outcomes) == 4
        assert len(winners) == 1
        assert all(o.reason == "busy" for o in outcomes if isinstance(o, Refusal))
    assert _statuses(MlflowClient(uri), experiment) == ["RUNNING"] * 3


@pytest.mark.parametrize("other_first", [True, False])
def test_an_undecided_claim_is_waited_for_or_wins(client: Any, experiment: str, other_first: bool, monkeypatch):
    """The other's run is there but not held: with the smaller id it wins, else its withdrawal is awaited."""
    tags = {**TAGS, keys.TAG_CONFIG_HASH: "abc", keys.TAG_LEASE_STATE: "claimed", keys.TAG_OWNER: this_process()}
    other = str(client.create_run(experiment, tags=tags).info.run_id)
    real, waits = client.create_run, []

    class Created:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def create_run(self, *args: Any, **kwargs: Any) -> Any:
            while True:  # MLflow chooses ids at random
                run = real(*args, **kwargs)
                if (str(run.info.run_id) > other) == other_first:
                    return run
                client.delete_run(run.info.run_id)

    def pause(seconds: float) -> None:
        waits.append(seconds)
        client.delete_run(other)  # it gives way

    monkeypatch.setattr(module.time, "sleep", pause)
    outcome = _claim(Created(), experiment)
    if other_first:
        assert (outcome, waits) == (Refusal("busy", other), [])
    else:
        assert isinstance(outcome, Lease)
        assert len(waits) == 1


def test_the_dead_hold_nothing(client: Any, experiment: str):
    dead = _held(client, experiment)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    owner = this_process().split("/")[0] + f"/{gone.stdout.strip()}/1.00"
    client.set_tag(dead.run_id, keys.TAG_OWNER, owner)
    assert is_gone(owner) is True
    lease = _held(client, experiment)
    ended = client.get_run(dead.run_id)
    assert (ended.info.status, ended.data.tags[keys.TAG_FAILURE]) == ("KILLED", ABANDONED)
    assert lease.run_id != dead.run_id


def test_the_reaper_ends_what_was_abandoned_and_nothing_else(client: Any, experiment: str):
    alive, stale, done = (_held(client, experiment, identity=name) for name in "abc")
    _stale(client, stale.run_id)
    _finish(client, done)
    foreign = client.create_run(experiment)  # somebody's run without our tags
    assert [run.info.run_id for run in reap(client, experiment, "why")] == [stale.run_id]
    assert client.get_run(stale.run_id).data.tags[keys.TAG_FAILURE] == "why"
    assert client.get_run(foreign.info.run_id).info.status == client.get_run(alive.run_id).info.status == "RUNNING"
    assert reap(client, experiment) == []


def test_a_plain_run_that_was_killed_is_reaped_too(client: Any, experiment: str, store: str):
    name = client.get_experiment(experiment).name
    with tracked_run("meta", experiment=name, tracking_uri=store) as run:
        run.describe(tags={})
        assert client.get_run(run.run_id).data.tags[keys.TAG_OWNER] == this_process()
        assert reap(client, experiment) == []


def test_an_owner_on_another_host_lives_until_its_lease_ends(client: Any, experiment: str):
    lease = _held(client, experiment)
    client.set_tag(lease.run_id, keys.TAG_OWNER, "elsewhere/1/1.00")
    assert is_gone("elsewhere/1/1.00") is None
    assert not abandoned(client.get_run(lease.run_id))
    _stale(client, lease.run_id)
    assert abandoned(client.get_run(lease.run_id))


def test_an_owner_that_wakes_up_too_late_may_not_write(client: Any, experiment: str, store: str):
    lease = _held(client, experiment)
    with pytest.raises(LeaseLost, match="was ended by"), tracked_run(keys.KIND_FINETUNE, lease=lease) as run:
        _stale(client, lease.run_id)
        assert len(reap(client, experiment)) == 1
        winner = _held(client, experiment)
        run.finish(metrics={"score/exact_match": 0.9}, tags={keys.TAG_COMPLETE: "true"})
    late = client.get_run(lease.run_id)
    assert (late.info.status, late.data.metrics) == ("KILLED", {})
    assert keys.TAG_COMPLETE not in late.data.tags
    assert client.get_run(winner.run_id).info.status == "RUNNING"


def test_results_that_slip_in_after_the_look_are_taken_back(client: Any, experiment: str, monkeypatch):
    lease = _held(client, experiment)
    look = lease.require

    def reaped_right_after_the_look() -> None:
        look()
        _stale(client, lease.run_id)
        reap(client, experiment)

    monkeypatch.setattr(lease, "require", reaped_right_after_the_look)
    with tracked_run(keys.KIND_FINETUNE, lease=lease) as run:
        run.finish(tags={keys.TAG_COMPLETE: "true"})
    late = client.get_run(lease.run_id)
    assert late.info.status == "KILLED"
    assert keys.TAG_COMPLETE not in late.data.tags


def test_a_lease_that_is_open_is_renewed(client: Any, experiment: str):
    lease = _held(client, experiment, lease_s=2.0)
    before = float(client.get_run(lease.run_id).data.tags[keys.TAG_LEASE_UNTIL])
    with lease:
        time.sleep(1.8)
    assert float(client.get_run(lease.run_id).data.tags[keys.TAG_LEASE_UNTIL]) > before


def test_a_run_made_twice_by_a_repeated_call_is_ended(client: Any, experiment: str):
    """The store made the run, its answer was lost, and the call was repeated."""

    class Twice:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def create_run(self, *args: Any, **kwargs: Any) -> Any:
            client.create_run(*args, **kwargs)
            return client.create_run(*args, **kwargs)

    lease = _claim(Twice(), experiment)
    assert isinstance(lease, Lease)
    assert _statuses(client, experiment) == ["KILLED", "RUNNING"]


def test_a_leased_run_is_written_like_any_other(client: Any, experiment: str):
    lease = _held(client, experiment)
    with lease, tracked_run(keys.KIND_FINETUNE, lease=lease) as run:
        assert run.run_id == lease.run_id
        run.finish(metrics={"score/exact_match": 0.5}, tags={keys.TAG_COMPLETE: "true"})
    done = client.get_run(lease.run_id)
    own = {name: value for name, value in done.data.metrics.items() if not name.startswith("system/")}
    assert (done.info.status, own) == ("FINISHED", {"score/exact_match": 0.5})
