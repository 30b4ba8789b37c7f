"""What every executor offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from predictor.catalog import Catalog
from predictor.sweep.job import Job, Outcome

Work = Callable[[Job], Outcome]
"""Does one job in this process; what it raises is the job's fault, save for KeyboardInterrupt."""
MakeWork = Callable[..., Work]
"""Called once in each process with the settings: imports and clients are paid for once. An importable function."""


class Executor(Protocol):
    """Runs jobs somewhere. It keeps no record: what is done is what the tracking store says.

    A job that was submitted comes back from `wait` as exactly one outcome, also when its process dies.
    """

    @property
    def free(self) -> int:
        """Jobs that can be submitted now."""
        ...

    def submit(self, job: Job) -> None:
        """Start a job, when `free` is above 0."""
        ...

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Outcomes that have come; returns after `timeout_s` at the latest, or when the first has come."""
        ...

    def close(self) -> None:
        """End all processes; what is running is interrupted as by Ctrl-C."""
        ...


EXECUTORS: Final[Catalog[Callable[..., Executor]]] = Catalog("executor")
"""Name → maker: (make_work, settings of it, workers, threads, modules to import once, placement on other machines)."""


def failure(job: Job, error: BaseException, seconds: float) -> Outcome:
    """The outcome of a job that raised."""
    from predictor.errors import PredictorError
    from predictor.masking import masked

    text = error.one_line() if isinstance(error, PredictorError) else masked(f"{type(error).__name__}: {error}")
    return Outcome(job, "failed", seconds=seconds, message=text)
