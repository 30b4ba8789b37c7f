"""A sweep on a thousand workers, simulated: `python -m benchmarks.scale [SCENARIO ...]`.

The driver's loop, the sampler, the claims, the leases and the reaper are the real code. Simulated are the clock, the
machines (which are lost and come back), the fine-tunes (which take as long as they take) and the tracking store (which
answers so many calls at once, each after a while). Printed are throughput, what the store had to answer, and how long
lost work took to be found and done again.

Of the store is known: a call of a server's process takes SERVICE_S; calls wait for one another, first come, first
served; what workers write while they train (curves, leases) takes its share of the store as an even load. Blocks of
calls that one worker makes in a row are taken together, so that two claims of one configuration cannot interleave here;
that they may is the business of the tests of the lease.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import random
import sys
import time
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from predictor import environment

environment.prepare()

from predictor.schema import keys  # noqa: E402
from predictor.sweep import Job, Outcome, Plan  # noqa: E402
from predictor.sweep.driver import Tally, drive  # noqa: E402
from predictor.sweep.outlook import Wishes, make_sampler  # noqa: E402
from predictor.sweep.space import Choices  # noqa: E402
from predictor.tracking import lease  # noqa: E402

SERVICE_S = 0.012
"""Of one call in one process of `mlflow server` over PostgreSQL: the scale is what matters."""
CURVE_S = 10.0
"""Between two writings of a fine-tune's curves."""
LATENCY_S = 0.002


@dataclass(frozen=True)
class Scenario:
    """What is simulated.

    Attributes:
        workers, per_machine: in all, and on one machine.
        configurations: fine-tunes of the plan.
        minutes: of a fine-tune, the median; spread: standard deviation of its logarithm.
        stragglers: share of fine-tunes that take ten times as long.
        days_between_losses: mean time until one machine is lost; minutes_away: until it is back.
        found_s: seconds until the engine tells of a loss.
        slots: calls that the store answers at once.
    """

    workers: int = 1000
    per_machine: int = 8
    configurations: int = 100_000
    minutes: float = 10.0
    spread: float = 0.4
    stragglers: float = 0.01
    days_between_losses: float = 7.0
    minutes_away: float = 30.0
    found_s: float = 20.0
    slots: int = 4
    lease_s: float = 300.0
    seed: int = 0


SCENARIOS = {
    "quiet": Scenario(days_between_losses=1e9, stragglers=0.0),
    "standard": Scenario(),
    "short": Scenario(minutes=1.0),
    "lossy": Scenario(days_between_losses=0.5),
    "slow-store": Scenario(slots=1),
    "more-workers": Scenario(workers=4000, configurations=100_000),
    "more-slots": Scenario(workers=4000, configurations=100_000, slots=32),
}


class Clock:
    """Virtual seconds. `here` is where the one who acts stands; others may be ahead of it by their calls."""

    strftime, gmtime = staticmethod(time.strftime), staticmethod(time.gmtime)

    def __init__(self) -> None:
        self.now = self.here = 0.0

    def time(self) -> float:
        """Seconds since the beginning."""
        return self.here

    monotonic = time

    def sleep(self, seconds: float) -> None:
        """The one who acts waits."""
        self.here += seconds


class Page(list[Any]):
    """Runs of a search, with the token of the rest."""

    token: str | None = None


class Store:
    """The calls of an MLflow client that a claim makes, answered after a while."""

    def __init__(self, clock: Clock, scenario: Scenario) -> None:
        self._clock, self._lease_s = clock, scenario.lease_s
        self._slots = [0.0] * scenario.slots
        self._runs: dict[str, Any] = {}
        self._by_hash: dict[str, list[Any]] = {}
        self._running: dict[str, Any] = {}
        self.living: dict[str, bool] = {}
        self.busy_s = 0.0
        self.waited_s = 0.0
        self.longest_s = 0.0
        self.calls: Counter[str] = Counter()
        self.load = 0.0
        """Share of the store that goes to curves and leases."""

    def _call(self, name: str) -> None:
        clock = self._clock
        self.calls[name] += 1
        service = SERVICE_S / max(0.02, 1.0 - self.load)
        free = heapq.heappop(self._slots)
        begin = max(clock.here, free)
        heapq.heappush(self._slots, begin + service)
        self.busy_s += SERVICE_S
        self.waited_s += begin - clock.here
        self.longest_s = max(self.longest_s, begin - clock.here)
        clock.here = begin + service + LATENCY_S

    def search_runs(self, experiments: Any, wanted: str, view: Any, most: int, page_token: Any = None) -> Page:
        """Runs of a configuration, or those that are RUNNING."""
        self._call("search")
        if keys.TAG_CONFIG_HASH in wanted:
            found = Page(self._by_hash.get(wanted.split("'")[1], ()))
        else:
            found = Page(self._running.values())
        for run in found:
            if self.living.get(run.info.run_id):  # its owner renews the lease
                run.data.tags[keys.TAG_LEASE_UNTIL] = f"{self._clock.here + self._lease_s:.0f}"
        return found

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
        """A run, RUNNING."""
        self._call("create")
        number = f"{len(self._runs):08d}"
        run = types.SimpleNamespace(
            info=types.SimpleNamespace(run_id=number, status="RUNNING"),
            data=types.SimpleNamespace(tags=dict(tags), metrics={}),
        )
        self._runs[number] = self._running[number] = run
        self._by_hash.setdefault(tags[keys.TAG_CONFIG_HASH], []).append(run)
        self.living[number] = True
        return run

    def get_run(self, run_id: str) -> Any:
        """One run."""
        self._call("get")
        return self._runs[run_id]

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """One tag."""
        self._call("write")
        self._runs[run_id].data.tags[key] = value

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = (), tags: Sequence[Any] = ()) -> None:
        """Tags; all else is not kept."""
        self._call("write")
        self._runs[run_id].data.tags.update({tag.key: tag.value for tag in tags})

    def set_terminated(self, run_id: str, status: str, end_time: Any = None) -> None:
        """The end of a run."""
        self._call("write")
        self._runs[run_id].info.status = status
        self._running.pop(run_id, None)

    def delete_run(self, run_id: str) -> None:
        """A claim that was not needed."""
        self._call("write")
        run = self._runs.pop(run_id)
        self._by_hash[run.data.tags[keys.TAG_CONFIG_HASH]].remove(run)

    def complete(self) -> Counter[str]:
        """How often each configuration is complete."""
        return Counter(
            run.data.tags[keys.TAG_CONFIG_HASH]
            for run in self._runs.values()
            if run.info.status == "FINISHED" and run.data.tags.get(keys.TAG_COMPLETE) == "true"
        )

    def left(self) -> int:
        """Runs that are RUNNING."""
        return len(self._running)


@dataclass(order=True)
class Event:
    """Something that happens at a time."""

    at: float
    number: int
    what: str = field(compare=False)
    worker: int = field(compare=False)


@dataclass
class Worker:
    """One worker, and the fine-tune that it is at."""

    machine: int
    job: Job | None = None
    held: Any = None
    since: float = 0.0
    event: int = -1


class Machines:
    """The executor: workers on machines that are lost and come back."""

    def __init__(self, clock: Clock, store: Store, scenario: Scenario) -> None:
        self._clock, self._store, self._scenario = clock, store, scenario
        self._random = random.Random(scenario.seed)
        self._workers = [Worker(number // scenario.per_machine) for number in range(scenario.workers)]
        self._idle = list(range(scenario.workers - 1, -1, -1))
        self._away: set[int] = set()
        self._events: list[Event] = []
        self._number = 0
        self._flying = 0
        self.losses = 0
        self._lost: dict[str, float | None] = {}
        self.full_s = 0.0
        """When all machines that were there were last at work."""
        self.recovered_s: list[float] = []
        self.worked_s = 0.0
        self.wasted_s = 0.0
        for machine in range(math.ceil(scenario.workers / scenario.per_machine)):
            self._schedule(self._until_loss(), "loss", machine)

    @property
    def free(self) -> int:
        """Idle workers."""
        return len(self._idle)

    def submit(self, job: Job) -> None:
        """Claim the job for an idle worker; its end is an event to come."""
        number = self._idle.pop()
        worker = self._workers[number]
        self._clock.here = self._clock.now
        with mock.patch.object(lease, "this_process", return_value=f"machine-{worker.machine}/{number}/0"):
            held = lease.claim(
                self._store, "0", job.identity, run_name="", tags={keys.TAG_KIND: keys.KIND_FINETUNE},
                lease_s=self._scenario.lease_s,
            )  # fmt: skip
        worker.job, worker.held, worker.since = job, held, self._clock.now
        if job.identity in self._lost and self._lost[job.identity] is None:
            self._lost[job.identity] = self._clock.now
        self._flying += 1
        seconds = 0.0 if isinstance(held, lease.Refusal) else self._duration()
        worker.event = self._schedule(self._clock.here - self._clock.now + seconds, "end", number)
        if not self._idle:
            self.full_s = self._clock.now

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Go on to the next event that has an outcome."""
        deadline = self._clock.now + timeout_s
        outcomes: list[Outcome] = []
        while self._events and self._events[0].at <= deadline and not outcomes:
            event = heapq.heappop(self._events)
            self._clock.now = self._clock.here = max(self._clock.now, event.at)
            self._loaded()
            outcomes = list(self._happen(event))
        if not outcomes:
            self._clock.now = max(self._clock.now, deadline)
        self._clock.here = self._clock.now
        return outcomes

    def close(self) -> None:
        """Nothing is left to be ended."""

    def _happen(self, event: Event) -> Iterator[Outcome]:
        if event.what == "end":
            worker = self._workers[event.worker]
            if worker.event == event.number:
                yield self._end(event.worker, worker)
        elif event.what == "loss":
            self.losses += 1
            self._away.add(event.worker)
            for number, worker in self._of(event.worker):
                if worker.job is None:
                    self._idle.remove(number)
                else:
                    if not isinstance(worker.held, lease.Refusal):
                        self._store.living[worker.held.run_id] = False
                        self.wasted_s += self._clock.now - worker.since
                    self._lost[worker.job.identity] = None
                    worker.event = self._schedule(self._scenario.found_s, "found", number)
            self._schedule(60 * self._scenario.minutes_away, "back", event.worker)
        elif event.what == "found":
            worker = self._workers[event.worker]
            job, worker.job = worker.job, None
            self._flying -= 1
            if worker.machine not in self._away:
                self._idle.append(event.worker)
            assert job is not None
            yield Outcome(job, "killed", message="its machine was lost")
        else:
            self._away.discard(event.worker)
            self._idle += [number for number, worker in self._of(event.worker) if worker.job is None]
            self._schedule(self._until_loss(), "loss", event.worker)

    def _end(self, number: int, worker: Worker) -> Outcome:
        job, held = worker.job, worker.held
        worker.job = None
        self._flying -= 1
        self._idle.append(number)
        assert job is not None
        if isinstance(held, lease.Refusal):
            return Outcome(job, held.reason, held.run_id, 0.5)
        held.require()
        done = types.SimpleNamespace(key=keys.TAG_COMPLETE, value="true")
        self._store.log_batch(held.run_id, tags=[done])
        self._store.set_terminated(held.run_id, "FINISHED")
        self._store.living[held.run_id] = False
        self.worked_s += self._clock.now - worker.since
        if (asked := self._lost.pop(job.identity, None)) is not None:
            self.recovered_s.append(worker.since - asked)
        return Outcome(job, "finished", held.run_id, 0.5, seconds=self._clock.now - worker.since)

    def _of(self, machine: int) -> Iterator[tuple[int, Worker]]:
        first = machine * self._scenario.per_machine
        for number in range(first, min(first + self._scenario.per_machine, len(self._workers))):
            yield number, self._workers[number]

    def _loaded(self) -> None:
        each = 1 / CURVE_S + 3 / self._scenario.lease_s
        self._store.load = min(1.0, self._flying * each * SERVICE_S / self._scenario.slots)

    def _duration(self) -> float:
        scenario, draw = self._scenario, self._random
        seconds = 60 * scenario.minutes * math.exp(draw.gauss(0, scenario.spread))
        return seconds * (10 if draw.random() < scenario.stragglers else 1)

    def _until_loss(self) -> float:
        return self._random.expovariate(1 / (86_400 * self._scenario.days_between_losses))

    def _schedule(self, seconds: float, what: str, worker: int) -> int:
        self._number += 1
        heapq.heappush(self._events, Event(self._clock.now + seconds, self._number, what, worker))
        return self._number


@dataclass(frozen=True)
class Result:
    """What a simulation shows."""

    tally: Tally
    store: Store
    machines: Machines
    hours: float
    real_s: float


@contextmanager
def virtual(clock: Clock) -> Iterator[None]:
    """The real code on a virtual clock; all owners are on other machines."""
    with (
        mock.patch.object(lease, "time", clock),
        mock.patch("predictor.sweep.driver.time", clock),
        mock.patch.object(lease, "is_gone", return_value=None),
        mock.patch.object(lease, "this_process", return_value="driver/1/0"),
        mock.patch.object(lease.spool, "waits", return_value=False),
    ):
        yield


def simulate(scenario: Scenario) -> Result:
    """One sweep from its first claim to its end."""
    clock = Clock()
    store = Store(clock, scenario)
    rates = tuple(1e-4 * (number + 1) for number in range(10))
    datasets = tuple(f"lab:size:size=64:seed={number}" for number in range(max(1, scenario.configurations // 10)))
    plan = Plan(datasets, ({"learning_rate": Choices(rates)},))
    machines = Machines(clock, store, scenario)

    def on_death(outcome: Outcome) -> None:
        lease.reap(store, "0")

    def identify(config: Any) -> str:
        told = f"{config.data.dataset} {config.hyperparameters.training.learning_rate}"
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    began = time.perf_counter()
    with virtual(clock):
        sampler = make_sampler(Wishes("grid", scenario.configurations, 1, scenario.workers), plan, (), None)
        tally = drive(
            plan, sampler, machines, {}, identify, retries=1, most=scenario.configurations, on_death=on_death
        )  # fmt: skip
    return Result(tally, store, machines, clock.now / 3600, time.perf_counter() - began)


def figures(scenario: Scenario, result: Result) -> dict[str, str]:
    """What is shown of a simulation, by name."""
    store, machines = result.store, result.machines
    calls, seconds = sum(store.calls.values()), 3600 * result.hours
    used = machines.worked_s / (scenario.workers * seconds)
    even = scenario.workers * used * (1 / CURVE_S + 3 / scenario.lease_s)
    asked = sorted(machines.recovered_s) or [math.nan]
    done = store.complete()
    return {
        "hours": f"{result.hours:.2f}",
        "workers' time that became results": f"{used:.1%}",
        "lost with machines": f"{machines.wasted_s / (scenario.workers * seconds):.2%}",
        "complete runs": f"{len(done)}, each once: {set(done.values()) == {1}}",
        "runs left RUNNING": str(store.left()),
        "machines lost": str(machines.losses),
        "held again after asking, median and longest": f"{asked[len(asked) // 2]:.0f} s, {asked[-1]:.0f} s",
        "from the last moment at full work to the end": f"{result.hours - machines.full_s / 3600:.2f} h",
        "calls a second for claims and ends": f"{calls / seconds:.1f}",
        "calls a second for curves and leases": f"{even:.1f}",
        "of what the store can answer": f"{(calls / seconds + even) * SERVICE_S / scenario.slots:.0%}",
        "wait of a call, mean and longest": f"{1e3 * store.waited_s / calls:.1f} ms, {store.longest_s:.1f} s",
        "the driver's own time a run": f"{1e3 * result.real_s / scenario.configurations:.2f} ms",
    }


if __name__ == "__main__":
    for chosen in sys.argv[1:] or SCENARIOS:
        print(chosen, SCENARIOS[chosen])
        for label, value in figures(SCENARIOS[chosen], simulate(SCENARIOS[chosen])).items():
            print(f"  {label:<46} {value}", flush=True)
