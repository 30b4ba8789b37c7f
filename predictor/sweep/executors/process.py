"""Warm worker processes: each imports torch once and then does job after job."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

import psutil

from predictor.models.room import shares
from predictor.sweep.executors.base import EXECUTORS, MakeWork, failure
from predictor.sweep.job import Job, Outcome
from predictor.sweep.placement import HERE, Placement

_UNKNOWN: Final = 255
"""What multiprocessing gives for a worker whose server process has ended, and with it the knowledge of its end."""
_PATIENCE_S: Final = 60.0
"""Seconds that an interrupted worker has to mark its run KILLED."""


@dataclass
class _Worker:
    number: int
    process: Any
    pipe: Connection
    job: Job | None = None
    since: float = 0.0
    out_of_memory: int = 0


@EXECUTORS.register("process")
class ProcessExecutor:
    """`workers` processes that share the cores, the main memory and the GPUs evenly.

    A worker that dies gives its job an outcome and is replaced: `crashed` when it died by its own fault (a signal such
    as SIGSEGV, or SIGKILL while the kernel was out of memory), `killed` when somebody ended it from outside.

    On Linux the workers are forked from a server process that has made the imports once, so that a worker is replaced
    in a fraction of a second; it has never computed anything, so there are no threads to be torn. With GPUs each worker
    makes the imports itself: some of them look at the GPU, and CUDA refuses to work in what is forked afterwards.

    Args:
        make_work, settings: called in each worker before its first job.
        workers: processes, at least 1.
        threads: of torch in each worker, as OMP_NUM_THREADS; 0 divides the cores.
        imports: modules that the server process imports, in order.
        placement: the processes are on this machine; nothing of it is needed.
        environment: variables of the workers, in place of those that divide this machine evenly.
    """

    def __init__(
        self,
        make_work: MakeWork,
        settings: Mapping[str, Any],
        workers: int = 1,
        threads: int = 0,
        imports: Sequence[str] = (),
        placement: Placement = HERE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._make_work = make_work
        self._settings = dict(settings)
        self._threads = threads or max(1, cores() // workers)
        self._gpus = gpus()
        self._shares = shares(workers, len(self._gpus)) if environment is None else dict(environment)
        # A child forked from this very process would inherit its threads and connections in an unknown state.
        forks = "forkserver" in multiprocessing.get_all_start_methods() and not self._gpus
        method = "forkserver" if forks else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if imports and method == "forkserver":
            self._context.set_forkserver_preload(list(imports))
        self._workers = [self._start(number) for number in range(workers)]

    @property
    def free(self) -> int:
        """Workers without a job."""
        return sum(worker.job is None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Send the job to an idle worker; one that has died since its last job is replaced first."""
        worker = next(worker for worker in self._workers if worker.job is None)
        if not worker.process.is_alive():  # died between two jobs
            worker = self._replace(worker)
        worker.job, worker.since, worker.out_of_memory = job, time.perf_counter(), _out_of_memory_kills()
        with contextlib.suppress(OSError):  # if it has died since, `wait` sees that
            worker.pipe.send(job)

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Outcomes that have come; a worker that died leaves `killed` or `crashed`, and another takes its place."""
        busy = [worker for worker in self._workers if worker.job is not None]
        if not busy:
            time.sleep(timeout_s)
            return []
        ready = wait([thing for worker in busy for thing in (worker.pipe, worker.process.sentinel)], timeout_s)
        outcomes = []
        for worker in busy:
            if worker.pipe not in ready and worker.process.sentinel not in ready:
                continue
            try:
                outcomes.append(worker.pipe.recv() if worker.pipe.poll() else self._death(worker))
            except (EOFError, OSError):
                outcomes.append(self._death(worker))
            worker.job = None
            if not worker.process.is_alive():
                self._replace(worker)
        return outcomes

    def close(self) -> None:
        """Send SIGTERM to the busy workers, let the idle ones end, and kill those that take more than a minute."""
        for worker in self._workers:
            if worker.job is not None and worker.process.is_alive():
                os.kill(worker.process.pid, signal.SIGTERM)
            worker.pipe.close()  # an idle worker sees the end of its jobs
        for worker in self._workers:
            worker.process.join(_PATIENCE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _death(self, worker: _Worker) -> Outcome:
        worker.process.join(_PATIENCE_S)
        code = worker.process.exitcode
        assert worker.job is not None
        seconds = time.perf_counter() - worker.since
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        if name in ("SIGTERM", "SIGINT", "SIGHUP") or code in (0, 130, _UNKNOWN):
            return Outcome(worker.job, "killed", seconds=seconds, message=name)
        if name == "SIGKILL":
            if _out_of_memory_kills() > worker.out_of_memory:
                return Outcome(worker.job, "crashed", seconds=seconds, message="SIGKILL, out of memory")
            return Outcome(worker.job, "killed", seconds=seconds, message=name)
        return Outcome(worker.job, "crashed", seconds=seconds, message=name)

    def _replace(self, worker: _Worker) -> _Worker:
        worker.pipe.close()
        fresh = self._start(worker.number)
        self._workers[self._workers.index(worker)] = fresh
        return fresh

    def _start(self, number: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        environment = {name: str(self._threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        # Idle threads that spin would take the cores from the other workers.
        environment |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
        os.environ.update(environment)  # the server process reads them when it imports torch
        environment |= self._shares
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[number % len(self._gpus)]
        arguments = (theirs, environment, os.getpid(), self._make_work, self._settings)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            process = self._context.Process(target=_serve, args=arguments, name=f"sweep-worker-{number}", daemon=True)
            try:
                process.start()
                break
            except (
                OSError,
                EOFError,
            ):  # the server process was killed; multiprocessing starts another when it sees that
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        theirs.close()
        return _Worker(number, process, ours)


def _serve(
    pipe: Connection, environment: Mapping[str, str], sweep: int, make_work: MakeWork, settings: Mapping[str, Any]
) -> None:
    """A worker's life: jobs in, outcomes out, until the pipe closes or a signal comes."""
    os.environ.update(environment)  # before torch is imported
    os.environ.pop("MLFLOW_RUN_ID", None)  # that is the sweep's own run
    from predictor import environment as switches
    from predictor import interrupts

    switches.prepare()
    switches.quiet_libraries()
    interrupts.install()
    interrupts.end_with_parent(os.getppid())  # the server process, which ends with the sweep
    work = None
    try:
        if not psutil.pid_exists(sweep):
            return
        while True:
            job = pipe.recv()
            started = time.perf_counter()
            try:
                work = work or make_work(**settings)
                outcome = work(job)
            except (Exception, SystemExit) as error:
                outcome = failure(job, error, time.perf_counter() - started)
            pipe.send(outcome)
    except (EOFError, OSError, KeyboardInterrupt):
        sys.exit(0)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them; asked without loading torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines()))]


def _out_of_memory_kills() -> int:
    """How often the kernel has ended a process for want of memory since the boot; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
