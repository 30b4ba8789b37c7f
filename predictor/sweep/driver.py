"""The loop of a sweep: points from the sampler, jobs to the executor, outcomes back."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from predictor.sweep.executors import Executor
from predictor.sweep.job import Job, Outcome
from predictor.sweep.plan import Plan
from predictor.sweep.samplers import Point, Sampler
from predictor.trial.config import FinetuneConfig

CRASHES: Final = 2
"""A configuration that ended its process so often is set aside."""
_KILLS: Final = 50
"""And one whose process was ended from outside so often: whoever does that means it."""
_POLL_S: Final = 1.0
_BUSY_S: Final = 5.0
"""Pause before asking again for a configuration that somebody else holds."""


@dataclass
class Standing:
    """What the store says of one configuration before the sweep starts.

    Attributes:
        done: a complete run exists; `score` is its headline score.
        failures, crashes: runs that ended so. abandoned: some owner of it vanished, nobody knows why.
        reason: the last failure's.
    """

    done: bool = False
    score: float = math.nan
    failures: int = 0
    crashes: int = 0
    abandoned: int = 0
    reason: str = ""


@dataclass
class Tally:
    """How a sweep stands."""

    total: int | None = None
    finished: int = 0
    done_before: int = 0
    failed: int = 0
    seconds: float = 0.0
    preparation_s: float = 0.0
    best: Outcome | None = None
    set_aside: dict[str, str] = field(default_factory=dict)
    """Reason by identity."""

    @property
    def settled(self) -> int:
        """Configurations with which nothing more is to be done: finished, done before, set aside."""
        return self.finished + self.done_before + len(self.set_aside)


OnOutcome = Callable[[Outcome, Tally], None]


def drive(
    plan: Plan,
    sampler: Sampler,
    executor: Executor,
    standing: Mapping[str, Standing],
    identify: Callable[[FinetuneConfig], str],
    *,
    retries: int,
    most: int | None = None,
    sign: float = 1.0,
    on_outcome: OnOutcome = lambda outcome, tally: None,
    on_death: Callable[[Outcome], None] = lambda outcome: None,
) -> Tally:
    """Carry the plan out. Ends when every configuration is done, here or elsewhere, or set aside.

    Args:
        standing: by identity; configurations that are not in it are new.
        identify: the identity of a configuration.
        retries: further attempts for a configuration that failed.
        most: configurations to consider, done ones included.
        sign: −1 where a lower score is better.
        on_outcome: called for each outcome that settles a configuration, and for each failure.
        on_death: called when the process of a job has died, before the job is tried again.
    """
    return _Drive(plan, sampler, executor, standing, identify, retries, most, sign, on_outcome, on_death).run()


class _Drive:
    def __init__(
        self,
        plan: Plan,
        sampler: Sampler,
        executor: Executor,
        standing: Mapping[str, Standing],
        identify: Callable[[FinetuneConfig], str],
        retries: int,
        most: int | None,
        sign: float,
        on_outcome: OnOutcome,
        on_death: Callable[[Outcome], None],
    ) -> None:
        self.plan, self.sampler, self.executor = plan, sampler, executor
        self.standing = {key: Standing(**vars(value)) for key, value in standing.items()}
        self.identify, self.retries, self.most, self.on_outcome = identify, retries, most, on_outcome
        self.sign, self.on_death = sign, on_death
        self.tally = Tally()
        if sampler.total is not None:
            total = sampler.total * len(plan.seeds)
            self.tally.total = total if most is None else min(total, most)
        self.fresh: deque[Job] = deque()
        self.again: deque[Job] = deque()
        self.busy: deque[tuple[float, Job]] = deque()
        self.kills: dict[str, int] = {}
        self.flying = 0
        self.considered = 0
        self.known: set[str] = set()
        self.scores: dict[int, list[float]] = {}
        self.points: dict[str, tuple[int, Point]] = {}
        self.exhausted = False

    def run(self) -> Tally:
        while True:
            while self.executor.free and (job := self._next()) is not None:
                self.executor.submit(job)
                self.flying += 1
            if not self.flying and not self.busy and not self.again and self.exhausted:
                self.tally.total = self.tally.settled
                return self.tally
            for outcome in self.executor.wait(_POLL_S):
                self.flying -= 1
                self._take(outcome)

    def _next(self) -> Job | None:
        while not self.fresh and not self.exhausted:
            self._ask()
        if self.fresh:
            return self.fresh.popleft()
        if self.again:
            return self.again.popleft()
        if self.busy and self.busy[0][0] <= time.monotonic():
            return self.busy.popleft()[1]
        return None

    def _ask(self) -> None:
        """Fill `fresh` with the open seeds of the sampler's next point."""
        point = self.sampler.ask() if self.most is None or self.considered < self.most else None
        if point is None:
            self.exhausted = True
            return
        number = len(self.scores)
        self.scores[number] = []
        for seed in self.plan.seeds:
            if self.most is not None and self.considered >= self.most:
                return
            config = self.plan.config(point.dataset, point.base_model, seed, point.hp)
            identity = self.identify(config)
            if identity in self.known:  # two names for the same rows, or a point drawn twice
                if self.tally.total is not None:
                    self.tally.total -= 1
                continue
            self.known.add(identity)
            self.considered += 1
            self.points[identity] = (number, point)
            self._place(Job(config, identity))

    def _place(self, job: Job) -> None:
        standing = self.standing.setdefault(job.identity, Standing())
        if standing.done:
            self.tally.done_before += 1
            self._settle(Outcome(job, "done", score=standing.score))
        elif standing.crashes >= CRASHES:
            self._set_aside(Outcome(job, "crashed", message=standing.reason), f"crashed {standing.crashes} times")
        elif standing.failures > self.retries:
            self._set_aside(Outcome(job, "failed", message=standing.reason), f"failed {standing.failures} times")
        elif standing.abandoned or standing.failures:
            self.again.append(job)  # whatever may end the sweep again comes last
        else:
            self.fresh.append(job)

    def _take(self, outcome: Outcome) -> None:
        job, standing = outcome.job, self.standing[outcome.job.identity]
        self.tally.seconds += outcome.seconds
        self.tally.preparation_s += outcome.preparation_s
        if outcome.status in ("crashed", "killed"):
            self.on_death(outcome)
        if outcome.status == "finished":
            self.tally.finished += 1
            self._settle(outcome)
        elif outcome.status == "done":
            self.tally.done_before += 1
            self._settle(outcome)
        elif outcome.status == "busy":
            self.busy.append((time.monotonic() + _BUSY_S, job))
        elif outcome.status == "killed":
            self.kills[job.identity] = self.kills.get(job.identity, 0) + 1
            if self.kills[job.identity] >= _KILLS:
                self._set_aside(outcome, f"ended from outside {_KILLS} times")
            else:
                self.again.append(job)
        elif outcome.status == "crashed":
            standing.crashes += 1
            self._retry(outcome, standing.crashes < CRASHES, f"crashed {standing.crashes} times")
        else:
            standing.failures += 1
            self._retry(outcome, standing.failures <= self.retries, f"failed {standing.failures} times")

    def _retry(self, outcome: Outcome, worth_it: bool, reason: str) -> None:
        self.tally.failed += 1
        if worth_it:
            self.again.append(outcome.job)
            self.on_outcome(outcome, self.tally)
        else:
            self._set_aside(outcome, reason)

    def _set_aside(self, outcome: Outcome, reason: str) -> None:
        self.tally.set_aside[outcome.job.identity] = f"{reason}: {outcome.message}"
        self.on_outcome(outcome, self.tally)

    def _settle(self, outcome: Outcome) -> None:
        number, point = self.points[outcome.job.identity]
        if math.isfinite(outcome.score):
            self.scores[number].append(outcome.score)
            if self.tally.best is None or self.sign * (outcome.score - self.tally.best.score) > 0:
                self.tally.best = outcome
            if len(self.scores[number]) == len(self.plan.seeds):
                self.sampler.tell(point, sum(self.scores[number]) / len(self.scores[number]))
        self.on_outcome(outcome, self.tally)


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """Outcomes as rows of the table that a sweep keeps in its artifacts."""
    return [
        {
            "dataset": outcome.job.config.data.dataset,
            "seed": outcome.job.config.execution.seed,
            "status": outcome.status,
            "score": outcome.score,
            "seconds": round(outcome.seconds, 2),
            "run_id": outcome.run_id,
            "identity": outcome.job.identity,
            "message": outcome.message,
        }
        for outcome in outcomes
    ]
