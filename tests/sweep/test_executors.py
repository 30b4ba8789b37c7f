"""The contract of every executor, and what a process adds to it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from predictor.sweep import EXECUTORS, Executor, Outcome
from predictor.sweep.executors.process import ProcessExecutor, gpus
from predictor.sweep.placement import Placement
from tests.sweep.works import job, make_work

ENGINES = {"ray": "ray", "slurm": "submitit"}
"""Executor → the package that it needs, an extra."""


def _make(name: str, folder: Path) -> Executor:
    if name in ENGINES:
        pytest.importorskip(ENGINES[name], reason=f"the extra '{name}' is not installed")
    placement = Placement(address="local", folder=str(folder))
    return EXECUTORS.get(name)(make_work, {"greeting": "hello"}, workers=1, threads=1, placement=placement)


@pytest.fixture(params=EXECUTORS.names(), scope="module")
def executor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    made = _make(request.param, tmp_path_factory.mktemp(request.param))
    yield made
    made.close()


@pytest.fixture
def processes() -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(make_work, {"greeting": "hello"}, workers=2, threads=1)
    yield made
    made.close()


def _do(executor: Executor, name: str) -> Outcome:
    deadline = time.monotonic() + 60
    while not executor.free:  # on other machines workers come up when there is room for them
        assert not executor.wait(0.1)
        assert time.monotonic() < deadline
    executor.submit(job(name))
    while time.monotonic() < deadline:
        for outcome in executor.wait(0.1):
            return outcome
    raise AssertionError("no outcome")


def test_a_job_comes_back_as_one_outcome_and_the_same_process_does_the_next(executor: Executor):
    first, second = _do(executor, "a"), _do(executor, "b")
    assert (first.status, first.job.config.data.dataset, second.job.config.data.dataset) == ("finished", "a", "b")
    assert first.run_id == second.run_id
    assert executor.wait(0.01) == []


def test_a_job_that_raises_or_exits_has_failed_and_the_executor_goes_on(executor: Executor):
    raised, left = _do(executor, "raise"), _do(executor, "exit")
    assert (raised.status, raised.message) == ("failed", "ValueError: no good")
    assert (left.status, left.message) == ("failed", "SystemExit: 3")
    assert _do(executor, "a").status == "finished"


def test_a_submitted_job_takes_its_place(executor: Executor):
    assert _do(executor, "b").status == "finished"
    assert executor.free == 1
    executor.submit(job("a"))
    assert executor.free == 0
    while not executor.wait(0.1):
        pass
    assert executor.free == 1


@pytest.mark.parametrize(("name", "status"), [("SIGSEGV", "crashed"), ("SIGKILL", "killed")])
def test_a_process_that_dies_under_a_job_is_told_and_replaced_wherever_it_is(
    executor: Executor, name: str, status: str
):
    if type(executor).__name__ == "InlineExecutor":
        pytest.skip("the process is the test's own")
    assert _do(executor, name).status == status
    assert _do(executor, "a").status == "finished"


@pytest.mark.parametrize("name", [name for name in EXECUTORS.names() if name != "inline"])
def test_closing_ends_what_runs_wherever_it_is(name: str, tmp_path: Path):
    executor = _make(name, tmp_path)
    pid = int(_do(executor, "a").run_id.split()[1])
    executor.submit(job("slow"))
    time.sleep(0.5)
    executor.close()
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("SIGSEGV", "crashed"),
        ("SIGABRT", "crashed"),
        ("SIGKILL", "killed"),
        ("SIGTERM", "killed"),
        ("SIGINT", "killed"),
    ],
)
def test_a_worker_that_dies_is_replaced_and_its_death_is_told(processes: ProcessExecutor, name: str, status: str):
    outcome = _do(processes, name)
    assert outcome.status == status
    assert status == "killed" or outcome.message == name
    assert _do(processes, "a").status == "finished"


def test_a_worker_that_dies_between_two_jobs_is_replaced(processes: ProcessExecutor):
    pids = {int(_do(processes, "a").run_id.split()[1])}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    assert _do(processes, "b").status == "finished"


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked from a server process on Linux only")
def test_the_server_process_may_be_killed_too(processes: ProcessExecutor):
    worker = int(_do(processes, "a").run_id.split()[1])
    server = psutil.Process(worker).ppid()
    assert server != os.getpid()
    processes.submit(job("slow"))
    time.sleep(0.3)
    os.kill(server, signal.SIGKILL)
    deadline = time.monotonic() + 60
    outcomes: list[Outcome] = []
    while not outcomes and time.monotonic() < deadline:
        outcomes += processes.wait(0.1)
    assert [(outcome.status, outcome.job.config.data.dataset) for outcome in outcomes] == [("killed", "slow")]
    assert _do(processes, "b").status == "finished"


def test_two_workers_work_at_once(processes: ProcessExecutor):
    processes.submit(job("slow"))
    assert processes.free == 1
    assert _do(processes, "a").status == "finished"


def test_each_worker_is_told_its_share_of_the_memory(processes: ProcessExecutor):
    told = int(_do(processes, "share").run_id or "0")
    assert 0 < told <= psutil.virtual_memory().total // 2
    assert "PREDICTOR_MEMORY_SHARE" not in os.environ  # the sweep's own process keeps all


def test_closing_ends_a_running_job(processes: ProcessExecutor):
    processes.submit(job("slow"))
    started = time.monotonic()
    time.sleep(0.5)
    processes.close()
    assert time.monotonic() - started < 20


def test_workers_with_a_gpu_are_not_forked(monkeypatch: pytest.MonkeyPatch):
    # CUDA refuses to work in a process that was forked after a look at the GPU, and imports look at it.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    executor = ProcessExecutor(make_work, {"greeting": "hello"}, workers=1, threads=1, imports=["json"])
    try:
        worker = psutil.Process(int((_do(executor, "a").run_id or "").split()[-1]))
        assert worker.ppid() == os.getpid()
    finally:
        executor.close()


def test_gpus_are_those_that_may_be_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, 3")
    assert gpus() == ["1", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == []
