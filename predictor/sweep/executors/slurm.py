"""Warm workers as jobs of Slurm, through submitit; they and the sweep share a folder and the tracking store."""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from predictor.errors import ConfigError, PredictorError, in_one_line
from predictor.sweep.executors.base import EXECUTORS, MakeWork
from predictor.sweep.job import Job, Outcome
from predictor.sweep.mailbox import Mailbox
from predictor.sweep.placement import HERE, Placement
from predictor.sweep.slot import Bench, Slot, bench, host

_CLUSTERS: Final = {"": "slurm", "slurm": "slurm", "local": "local"}
_FRUITLESS: Final = 3
"""Jobs of Slurm in a row that end before a worker has come up in them."""
_NOTICE_S: Final = 120
"""Seconds before its time is over, or its machine is taken, at which a job is told so."""
_STOP_S: Final = 60.0
_POLL_S: Final = 0.1
_SILENCE_S: Final = 60.0
"""Seconds without a sign of a worker after which it is lost."""
_STATE_S: Final = 2.0
"""Seconds between two looks at the states of the jobs; submitit asks Slurm itself more rarely."""


@dataclass
class _Desk:
    """A mailbox, and the job of Slurm whose worker reads it."""

    box: Mailbox
    slurm: Any = None
    job: Job | None = None
    number: int = 0
    since: float = 0.0
    fruitless: int = 0


@EXECUTORS.register("slurm")
class SlurmExecutor:
    """`workers` jobs of Slurm, each of which does fine-tune after fine-tune in a warm process.

    A job that is preempted, or whose time is over, interrupts its fine-tune, is queued again and goes on; the fine-tune
    goes on from its checkpoint, here or in another job. A job that ends for another reason leaves `killed` and is
    followed by a new one. When the sweep itself is killed, its jobs end after what they are at; a sweep that is started
    again has new ones.

    Args:
        make_work, settings: called in each worker before its first fine-tune.
        workers: jobs of Slurm.
        threads: of torch in each worker; 0 takes the cores that a worker asks for.
        imports: modules that each worker's process imports once.
        placement: `address` is `slurm` (also when empty), or `local`, where submitit starts the jobs as processes of
            this machine; `folder` is one that all machines see.

    Raises:
        ConfigError: submitit or Slurm is not installed, or the address is neither. PredictorError: Slurm refuses the
            jobs.
    """

    def __init__(
        self,
        make_work: MakeWork,
        settings: Mapping[str, Any],
        workers: int = 1,
        threads: int = 0,
        imports: Sequence[str] = (),
        placement: Placement = HERE,
    ) -> None:
        submitit = _library()
        cluster = _cluster(placement.address)
        self._folder = Path(placement.folder or "slurm").absolute() / time.strftime(
            f"%Y%m%d-%H%M%S-{uuid.uuid4().hex[:6]}"
        )
        self._folder.mkdir(parents=True, mode=0o700)  # the store's address may hold a password
        self._engine = submitit.AutoExecutor(folder=self._folder / "logs", cluster=cluster)
        self._engine.update_parameters(**_parameters(placement))
        self._bench = bench(make_work, settings, threads, imports, placement)
        self._accounts = cluster != "slurm" or _keeps_accounts()
        self._looked = 0.0
        self._desks = [_Desk(Mailbox(self._folder / f"worker-{number}")) for number in range(workers)]
        for desk in self._desks:
            desk.box.open()
        try:
            with self._engine.batch():
                jobs = [self._engine.submit(Clerk(self._bench, desk.box)) for desk in self._desks]
        except Exception as error:
            raise _refused(error) from error
        for desk, job in zip(self._desks, jobs, strict=True):
            desk.slurm = job

    @property
    def free(self) -> int:
        """Workers that are up and have no fine-tune."""
        return sum(desk.job is None and desk.box.ready for desk in self._desks)

    def submit(self, job: Job) -> None:
        """Put the fine-tune into the box of an idle worker."""
        desk = next(desk for desk in self._desks if desk.job is None and desk.box.ready)
        desk.job, desk.since, desk.number, desk.fruitless = job, time.perf_counter(), desk.number + 1, 0
        desk.box.send(desk.number, job)

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Outcomes that have come, and `killed` for the fine-tune of each job of Slurm that ended.

        Raises:
            PredictorError: no worker can do the work, or jobs of Slurm end one after another before they can.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            outcomes = [outcome for desk in self._desks if (outcome := self._take(desk))]
            self._look()
            if outcomes or time.monotonic() >= deadline:
                return outcomes
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))

    def close(self) -> None:
        """End the workers: their fine-tunes are interrupted as by Ctrl-C and marked KILLED. The logs stay."""
        self._desks[0].box.end()
        deadline = time.monotonic() + _STOP_S
        for desk in self._desks:
            while desk.slurm is not None and not self._over(desk) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            if desk.slurm is not None and not self._over(desk):
                with contextlib.suppress(Exception):
                    desk.slurm.cancel(check=False)
            desk.box.remove()

    def _take(self, desk: _Desk) -> Outcome | None:
        if desk.job is None or (outcome := desk.box.outcome(desk.number, desk.job)) is None:
            return None
        desk.job = None
        return outcome

    def _over(self, desk: _Desk) -> bool:
        """Whether the job of Slurm has ended; without accounts, of one that was killed only its silence tells."""
        return bool(desk.slurm.done() if self._accounts else desk.slurm.paths.result_pickle.exists())

    def _look(self) -> None:
        """Sign that the sweep lives; where a job of Slurm has ended, tell its fine-tune's end and queue another job."""
        self._desks[0].box.sign()
        if time.monotonic() - self._looked < _STATE_S:
            return
        self._looked = time.monotonic()
        for desk in self._desks:
            fault = desk.box.fault()
            if fault is not None:
                raise fault
            silent = desk.box.silence_s() > _SILENCE_S
            if not silent and not self._over(desk):
                continue
            if silent:
                with contextlib.suppress(Exception):
                    desk.slurm.cancel(check=False)
            if desk.job is not None and desk.box.outcome(desk.number, desk.job) is None:
                lost = Outcome(desk.job, "killed", seconds=time.perf_counter() - desk.since, message=_state(desk.slurm))
                desk.box.answer(desk.number, lost)
            if not desk.box.ready:
                desk.fruitless += 1
            if desk.fruitless >= _FRUITLESS:
                raise PredictorError(
                    f"{_FRUITLESS} jobs of Slurm ended before a worker had come up ({_state(desk.slurm)})",
                    where=str(desk.slurm.paths.stderr),
                    rule="a job starts Python in this very environment, at the same path on every machine",
                    fix="the log says why",
                )
            desk.box.not_ready()
            try:
                desk.slurm = self._engine.submit(Clerk(self._bench, desk.box))
            except Exception as error:
                raise _refused(error) from error


@dataclass
class Clerk:
    """What a job of Slurm runs: it serves one mailbox until the sweep ends."""

    bench: Bench
    box: Mailbox
    slot: Slot | None = field(default=None, repr=False)
    at: tuple[int, Job] | None = None

    def __call__(self) -> None:
        """Do what comes, one after another."""
        try:
            self.slot = Slot(self.bench)
        except PredictorError as error:
            self.box.come_up(error)
            return
        except Exception as error:
            self.box.come_up(PredictorError(f"a worker cannot be made: {in_one_line(error)}", where=host()))
            return
        self.box.come_up(None)
        try:
            while (given := self.box.next_job()) is not None:
                self.at = given
                outcome = self.slot.do(given[1], self.box.ended)
                self.box.answer(given[0], outcome)
                self.at = None
        finally:
            self.slot.stop()

    def checkpoint(self) -> Any:
        """Called by submitit when the machine is taken or the time is over: stop, and be queued again."""
        from submitit.helpers import DelayedSubmission

        self.box.not_ready()
        if self.slot is not None:
            self.slot.stop()
        if self.at is not None:
            self.box.answer(self.at[0], Outcome(self.at[1], "killed", message="preempted"))
        return DelayedSubmission(Clerk(self.bench, self.box))


def _library() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise ConfigError(
            "submitit is not installed",
            where="-P executor=slurm",
            rule="it comes with the extra 'slurm'",
            fix="pip install '.[slurm]'",
        ) from error
    logging.getLogger("submitit").setLevel(logging.ERROR)  # it tells of every look at a job
    return submitit


def _cluster(address: str) -> str:
    if address not in _CLUSTERS:
        raise ConfigError(
            f"address '{address}' is none of Slurm's", where="-P address", rule="slurm (also empty), or local"
        )
    if _CLUSTERS[address] == "slurm" and shutil.which("sbatch") is None:
        raise ConfigError(
            "Slurm is not installed here",
            where="-P executor=slurm",
            rule="the sweep starts its jobs by sbatch",
            fix="start the sweep on a login node, or -P address=local for processes of this machine",
        )
    return _CLUSTERS[address]


def _keeps_accounts() -> bool:
    """Whether Slurm can be asked for jobs that have ended."""
    asked = subprocess.run(["sacct", "--noheader", "--format=JobID"], capture_output=True, check=False)
    return asked.returncode == 0


def _parameters(placement: Placement) -> dict[str, Any]:
    asked = placement.resources
    found: dict[str, Any] = {
        "name": "finetune-sweep",
        "timeout_min": asked.minutes,
        "cpus_per_task": max(1, round(asked.cpus)),
        "slurm_signal_delay_s": _NOTICE_S,
        "slurm_additional_parameters": dict(asked.options),
    }
    if asked.gpus:
        found["gpus_per_node"] = max(1, round(asked.gpus))
    if asked.memory_gb:
        found["mem_gb"] = asked.memory_gb
    if asked.partition:
        found["slurm_partition"] = asked.partition
    return found


def _refused(error: Exception) -> PredictorError:
    return PredictorError(
        f"Slurm takes no job: {in_one_line(error)}",
        where="sbatch",
        rule="resources of the plan that a partition of this cluster has",
        fix="sinfo lists partitions and what they have",
    )


def _state(job: Any) -> str:
    with contextlib.suppress(Exception):
        return f"job {job.job_id} is {job.state}"
    return "its job has ended"  # Slurm without accounts does not say how
