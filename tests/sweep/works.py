"""Work for executors that needs no training: what a job does is told by its dataset's name."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

from predictor.sweep import Job, Outcome
from predictor.trial.config import finetune_config


def job(name: str) -> Job:
    return Job(finetune_config(dataset=name), identity=name)


def make_work(greeting: str) -> Callable[[Job], Outcome]:
    def work(job: Job) -> Outcome:
        name = job.config.data.dataset
        if name == "raise":
            raise ValueError("no good")
        if name == "exit":
            sys.exit(3)
        if name.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(30)
        if name == "share":
            return Outcome(job, "finished", run_id=os.environ.get("PREDICTOR_MEMORY_SHARE", "none"), score=0.5)
        if name == "slow":
            time.sleep(30)
        return Outcome(job, "finished", run_id=f"{greeting} {os.getpid()}", score=0.5)

    return work
