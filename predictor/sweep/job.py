"""One fine-tune of a sweep on its way to a worker, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from predictor.trial.config import FinetuneConfig


@dataclass(frozen=True)
class Job:
    """A fine-tune that a worker is to do.

    Attributes:
        config: the fine-tune. identity: the hash of everything that determines its result.
        title: what the UI calls its run; empty for the usual.
    """

    config: FinetuneConfig
    identity: str
    title: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        status: `finished`; `done` before by somebody; `busy` with somebody else; `failed`; `crashed` with its process
            (`message` names the signal); `killed` from outside.
        score: the headline score, when finished or done.
        seconds: that the worker spent on it.
        preparation_s: of these, before the fine-tune's own work began: claim and look-up.
    """

    job: Job
    status: str
    run_id: str = ""
    score: float = float("nan")
    seconds: float = 0.0
    preparation_s: float = 0.0
    message: str = ""
