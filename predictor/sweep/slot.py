"""One place for one fine-tune at a time on a machine of an engine: a warm process of its own, and who watches it."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from predictor import environment
from predictor.cache import cache_folder
from predictor.errors import PredictorError
from predictor.models.room import GPU_SHARERS, SHARE, main_memory
from predictor.sweep.executors.base import MakeWork
from predictor.sweep.executors.process import ProcessExecutor, cores
from predictor.sweep.job import Job, Outcome
from predictor.sweep.placement import Placement, settle
from predictor.trial.identity import code_revision

_LIBRARIES: Final = ("torch", "transformers", "peft", "trl", "datasets", "mlflow")
"""Another version of one of them may give another result for the same identity."""
_POLL_S: Final = 1.0


@dataclass(frozen=True)
class Bench:
    """What a slot needs to know: what is done, how, and with what."""

    make_work: MakeWork
    settings: Mapping[str, Any]
    threads: int
    imports: Sequence[str]
    placement: Placement
    host: str
    """Of the sweep itself."""
    versions: Mapping[str, str]
    """Of the sweep itself."""


def bench(
    make_work: MakeWork, settings: Mapping[str, Any], threads: int, imports: Sequence[str], placement: Placement
) -> Bench:
    """What slots of this very process's sweep need to know."""
    chosen = threads or max(1, int(placement.resources.cpus))
    return Bench(make_work, dict(settings), chosen, tuple(imports), placement, socket.gethostname(), versions())


def versions() -> dict[str, str]:
    """What results depend on beside the configuration: this package's code, Python and libraries."""
    found = {"finetune-predictor's code": code_revision(), "python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class Slot:
    """Does job after job in one warm process, which is replaced when it dies.

    The process is that of the executor `process`: a death by the job's own fault, and one from outside, are told apart
    here, where they can be.

    Raises:
        PredictorError: this machine has other versions, lacks a file of the plan, or does not reach the store.
    """

    def __init__(self, bench: Bench, fetch: Mapping[str, bytes] | None = None) -> None:
        environment.prepare()
        _same_versions(bench.versions)
        if bench.placement.local_store and socket.gethostname() != bench.host:
            raise PredictorError(
                f"the tracking store is a file on {bench.host}",
                where=socket.gethostname(),
                rule="workers on other machines need a store that answers on the network",
                fix="mlflow run . -e server starts one; MLFLOW_TRACKING_URI=http://HOST:PORT for the sweep "
                "(docs/server.md tells how other machines reach it)",
            )
        settle(bench.placement.freight, fetch, cache_folder() / "carried")
        self._executor = ProcessExecutor(
            bench.make_work, bench.settings, workers=1, threads=bench.threads, imports=bench.imports,
            environment=_shares(bench),
        )  # fmt: skip
        self._stopped = False

    def do(self, job: Job, halted: Callable[[], bool] = lambda: False) -> Outcome:
        """Do one job, and wait for it.

        Args:
            halted: asked every second; the job is interrupted when it says so.
        """
        self._executor.submit(job)
        while True:
            for outcome in self._executor.wait(_POLL_S):
                return outcome
            if halted():
                self.stop()
            if self._stopped:
                return Outcome(job, "killed", message="the sweep has ended")

    def stop(self) -> None:
        """Interrupt the job as by Ctrl-C, so that its run is marked KILLED; returns when the process has ended."""
        self._stopped = True
        self._executor.close()  # twice does no harm


def _same_versions(expected: Mapping[str, str]) -> None:
    own = versions()
    other = [name for name in expected if own.get(name) != expected[name]]
    if other:
        raise PredictorError(
            "; ".join(
                f"{name} is {own.get(name, 'absent')} here and {expected[name]} where the sweep runs" for name in other
            ),
            where=socket.gethostname(),
            rule="one result for one configuration: the same code and libraries on every machine",
            fix="install the same revision and requirements.lock there",
        )


def _shares(bench: Bench) -> dict[str, str]:
    """What of the machine's memory and GPU is this slot's, as its process reads it."""
    asked = bench.placement.resources
    share = asked.memory_gb * 1e9 or main_memory().bytes * min(1.0, max(asked.cpus, bench.threads) / cores())
    found = {SHARE: str(int(share))}
    return found | ({GPU_SHARERS: str(round(1 / asked.gpus))} if 0 < asked.gpus < 1 else {})


def host() -> str:
    """This machine and process, for messages."""
    return f"{socket.gethostname()}, process {os.getpid()}"
