"""Workers as jobs of Slurm: preempted, cancelled, out of reach; on submitit's local engine."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from predictor.errors import ConfigError, PredictorError
from predictor.sweep import Job, Outcome
from predictor.sweep.executors import slurm
from predictor.sweep.executors.slurm import SlurmExecutor
from predictor.sweep.mailbox import Mailbox
from predictor.sweep.placement import Freight, Placement
from predictor.trial.config import finetune_config
from tests.sweep.works import job, make_work

pytest.importorskip("submitit", reason="the extra 'slurm' is not installed")

HELLO = {"greeting": "hello"}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., SlurmExecutor]]:
    executors: list[SlurmExecutor] = []

    def make(**more: object) -> SlurmExecutor:
        placement = Placement(address="local", folder=str(tmp_path / "shared"), **more)
        executors.append(SlurmExecutor(make_work, HELLO, workers=1, threads=1, placement=placement))
        return executors[-1]

    yield make
    for executor in executors:
        executor.close()


def _next(executor: SlurmExecutor, seconds: float = 60) -> Outcome:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for outcome in executor.wait(0.2):
            return outcome
    raise AssertionError("no outcome")


def _do(executor: SlurmExecutor, name: str) -> Outcome:
    deadline = time.monotonic() + 60
    while not executor.free:
        assert not executor.wait(0.1)
        assert time.monotonic() < deadline
    executor.submit(job(name))
    return _next(executor)


def _preempt(slurm_job: object) -> None:
    """What Slurm does before it takes a machine; the local engine's own signal ends its controller instead."""
    [task] = psutil.Process(slurm_job._process.pid).children()
    task.send_signal(signal.SIGUSR2)


def test_a_preempted_job_gives_its_fine_tune_back_and_is_queued_again(made: Callable[..., SlurmExecutor]):
    executor = made()
    first = _do(executor, "a").run_id
    executor.submit(job("slow"))
    time.sleep(0.5)
    [desk] = executor._desks
    before = desk.slurm
    _preempt(desk.slurm)
    outcome = _next(executor)
    assert (outcome.status, outcome.message) == ("killed", "preempted")
    again = _do(executor, "b")
    assert again.status == "finished"
    assert again.run_id != first
    assert desk.slurm is before, "the same job of Slurm, queued again"


def test_a_cancelled_job_leaves_killed_and_another_takes_its_place(made: Callable[..., SlurmExecutor]):
    executor = made()
    _do(executor, "a")
    executor.submit(job("slow"))
    time.sleep(0.5)
    [desk] = executor._desks
    before = desk.slurm
    desk.slurm._process.kill()
    assert _next(executor).status == "killed"
    assert _do(executor, "b").status == "finished"
    assert desk.slurm is not before


def test_jobs_that_end_before_a_worker_comes_up_are_given_up(
    made: Callable[..., SlurmExecutor], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(slurm, "_STATE_S", 0.1)
    monkeypatch.setattr(slurm, "Clerk", _Dead)
    executor = made()
    with pytest.raises(PredictorError, match="3 jobs of Slurm ended before a worker had come up"):
        _next(executor)


class _Dead:
    def __init__(self, *_: object) -> None:
        pass

    def __call__(self) -> None:
        os._exit(3)


def test_a_worker_that_cannot_work_says_why(made: Callable[..., SlurmExecutor]):
    executor = made(freight=Freight({}, ("/absent/rows.json",)))
    with pytest.raises(PredictorError, match="this machine lacks a file of the plan") as error:
        _next(executor)
    assert error.value.where == "/absent/rows.json"
    assert error.value.fix is not None


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="Slurm is not installed here"):
        SlurmExecutor(make_work, HELLO, placement=Placement(folder=str(tmp_path)))
    with pytest.raises(ConfigError, match="address 'auto' is none of Slurm's"):
        SlurmExecutor(make_work, HELLO, placement=Placement(address="auto", folder=str(tmp_path)))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match="submitit is not installed"):
        SlurmExecutor(make_work, HELLO, placement=Placement(folder=str(tmp_path)))


def test_jobs_and_outcomes_go_through_the_box_unchanged(tmp_path: Path):
    box = Mailbox(tmp_path / "worker-0")
    box.open()
    config = finetune_config(dataset="rows.json", learning_rate=3e-4, epochs=2, task="qa", method="full", seed=7)
    sent = Job(config, identity="1234", title="a title")
    box.send(1, sent)
    assert box.outcome(1, sent) is None
    assert box.next_job() == (1, sent)
    told = Outcome(sent, "finished", "run", 0.25, 3.0, 0.5, "all well")
    box.answer(1, told)
    assert box.outcome(1, sent) == told
    box.end()
    assert box.next_job() is None


def test_a_worker_of_a_sweep_that_is_silent_ends(tmp_path: Path):
    box = Mailbox(tmp_path / "worker-0")
    box.open()
    os.utime(tmp_path / Mailbox.SWEEP, (0, 0))
    assert box.next_job() is None
    assert not box.ended()
