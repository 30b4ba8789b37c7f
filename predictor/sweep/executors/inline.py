"""One job after another in the sweep's own process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from predictor.sweep.executors.base import EXECUTORS, MakeWork, failure
from predictor.sweep.job import Job, Outcome
from predictor.sweep.placement import HERE, Placement


@EXECUTORS.register("inline")
class InlineExecutor:
    """Does a job when its outcome is waited for. `workers` is 1 whatever is asked; `threads` stay the process's own."""

    def __init__(
        self,
        make_work: MakeWork,
        settings: Mapping[str, Any],
        workers: int = 1,
        threads: int = 0,
        imports: Sequence[str] = (),
        placement: Placement = HERE,
    ) -> None:
        self._work = make_work(**settings)
        self._waiting: Job | None = None

    @property
    def free(self) -> int:
        """1, or 0 while a job waits for its outcome to be asked for."""
        return 0 if self._waiting else 1

    def submit(self, job: Job) -> None:
        """Keep the job; it begins in `wait`."""
        self._waiting = job

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Do the job, however long it takes; without one, sleep for `timeout_s`."""
        if self._waiting is None:
            time.sleep(timeout_s)
            return []
        job, self._waiting = self._waiting, None
        started = time.perf_counter()
        try:
            return [self._work(job)]
        except Exception as error:
            return [failure(job, error, time.perf_counter() - started)]
        except SystemExit as error:  # a library that ends the process would end the sweep
            return [failure(job, error, time.perf_counter() - started)]

    def close(self) -> None:
        """Nothing runs outside `wait` that could be ended."""
