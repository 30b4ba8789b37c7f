"""Warm workers on a Ray cluster, which may grow, shrink and lose machines."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from predictor.errors import ConfigError, PredictorError, in_one_line
from predictor.sweep.executors.base import EXECUTORS, MakeWork, failure
from predictor.sweep.job import Job, Outcome
from predictor.sweep.placement import HERE, Placement, Resources
from predictor.sweep.slot import bench

_LOCAL: Final = "local"
_EMPTY_S: Final = 600.0
"""Seconds that a cluster may be without any place for a worker."""
_REACH_S: Final = 10.0
"""Seconds in which a cluster's address answers, if it is one."""
_STOP_S: Final = 60.0
"""Seconds that interrupted workers have to mark their runs KILLED."""


@dataclass
class _Place:
    """An actor, from the asking for it on."""

    actor: Any
    greeting: Any
    ready: bool = False
    job: Job | None = None
    answer: Any = None
    since: float = 0.0


@EXECUTORS.register("ray")
class RayExecutor:
    """`workers` actors, each with a warm process of its own, wherever the cluster has what one of them asks for.

    An actor that is lost, with its machine or alone, leaves `killed` for its job, and another is asked for; so the
    workers are as many as the cluster can hold, up to `workers`, and come back when machines do. The actors end with
    this process; what they had done is in the tracking store.

    Args:
        make_work, settings: called in each worker before its first job.
        workers: actors at most.
        threads: of torch in each worker; 0 takes the cores that a worker asks for.
        imports: modules that each worker's process imports once.
        placement: `address` is `local` (a cluster of this machine alone, which ends with the sweep; also when it is
            empty), `auto` (the one that runs on this machine), `HOST:PORT` or `ray://HOST:PORT`.

    Raises:
        ConfigError: Ray is not installed. PredictorError: the cluster is out of reach, has another version of Ray or
            Python, or no machine that could hold a worker.
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
        self._ray = _library()
        self._workers = workers
        self._placement = placement
        asked = placement.resources
        _connect(self._ray, placement.address or _LOCAL, workers, asked)
        try:
            _check_room(self._ray, asked)
            self._bench = self._ray.put(bench(make_work, settings, threads, imports, placement))
            self._cargo = self._ray.put({name: Path(name).read_bytes() for name in placement.freight.carried})
            self._kind = self._ray.remote(_Actor).options(
                num_cpus=asked.cpus,
                num_gpus=asked.gpus,
                memory=int(asked.memory_gb * 1e9) or None,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=2,  # one does the job, the other can stop it
            )
            self._places: list[_Place] = []
            self._seen = time.monotonic()
            self._fill()
        except BaseException:
            self._ray.shutdown()
            raise

    @property
    def free(self) -> int:
        """Actors that are up and have no job."""
        self._look()
        return sum(place.ready and place.job is None for place in self._places)

    def submit(self, job: Job) -> None:
        """Send the job to an idle actor."""
        place = next(place for place in self._places if place.ready and place.job is None)
        place.job, place.since = job, time.perf_counter()
        place.answer = place.actor.do.remote(job)

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Outcomes that have come, and `killed` for each job whose actor was lost.

        Raises:
            PredictorError: for ten minutes there was no place for any worker, or no worker can do the work.
        """
        watched = [
            place.answer if place.job else place.greeting for place in self._places if place.job or not place.ready
        ]
        if watched:
            self._ray.wait(watched, num_returns=1, timeout=timeout_s)
        else:
            time.sleep(timeout_s)
        outcomes = []
        for place in list(self._places):
            if place.job is None or not self._is_there(place.answer):
                continue
            outcomes.append(self._outcome(place))
            place.job = place.answer = None
        self._look()
        return outcomes

    def close(self) -> None:
        """Interrupt the busy workers, let them mark their runs, and leave the cluster; a local one ends."""
        with contextlib.suppress(Exception):  # a cluster that is gone has no workers either
            busy = [place.actor.stop.remote() for place in self._places if place.ready]
            self._ray.wait(busy, num_returns=len(busy), timeout=_STOP_S) if busy else None
        for place in self._places:
            with contextlib.suppress(Exception):
                self._ray.kill(place.actor)
        self._ray.shutdown()

    def _fill(self) -> None:
        """Ask for as many actors as are missing; those that find no room wait until there is some."""
        while len(self._places) < self._workers:
            actor = self._kind.remote([self._bench, self._cargo])
            self._places.append(_Place(actor, actor.greet.remote()))

    def _look(self) -> None:
        """Take in the actors that have come up, and ask for others in place of those that are lost."""
        for place in list(self._places):
            if place.ready or not self._is_there(place.greeting):
                continue
            try:
                fault = self._ray.get(place.greeting)
            except self._ray.exceptions.RayError:
                self._places.remove(place)
                continue
            if fault is not None:
                raise fault
            place.ready = True
        self._fill()
        if any(place.ready for place in self._places):
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > _EMPTY_S:
            raise PredictorError(
                f"the cluster had no place for a worker for {_EMPTY_S:.0f} s",
                where=self._placement.address or _LOCAL,
                rule=f"a machine with {_told(self._placement.resources)}",
                fix="start such a machine, or ask for less under resources in the plan; then start the sweep again",
            )

    def _outcome(self, place: _Place) -> Outcome:
        assert place.job is not None
        seconds = time.perf_counter() - place.since
        try:
            outcome: Outcome = self._ray.get(place.answer)
            return outcome
        except self._ray.exceptions.RayTaskError as error:
            return failure(place.job, error.cause or error, seconds)
        except self._ray.exceptions.RayError as error:
            self._places.remove(place)
            lost = type(error).__name__
            return Outcome(place.job, "killed", seconds=seconds, message=f"its worker was lost ({lost})")

    def _is_there(self, answer: Any) -> bool:
        return bool(self._ray.wait([answer], timeout=0)[0])


class _Actor:
    """A slot on whatever machine Ray chooses. What goes wrong in its making is told when it is greeted."""

    def __init__(self, references: Sequence[Any]) -> None:
        self._references = references
        self._slot: Any = None

    def greet(self) -> PredictorError | None:
        """Make the slot; what was wrong, or None."""
        import ray

        from predictor.sweep.slot import Slot, host

        try:
            self._slot = Slot(*(ray.get(each) for each in self._references))
        except PredictorError as error:
            return error
        except Exception as error:
            return PredictorError(f"a worker cannot be made: {in_one_line(error)}", where=host())
        return None

    def do(self, job: Job) -> Outcome:
        outcome: Outcome = self._slot.do(job)
        return outcome

    def stop(self) -> None:
        self._slot.stop()


def _library() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "Ray is not installed",
            where="-P executor=ray",
            rule="it comes with the extra 'ray'",
            fix="pip install '.[ray]', on every machine of the cluster",
        ) from error
    return ray


def _connect(ray: Any, address: str, workers: int, asked: Resources) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
    try:
        if ":" in address:  # Ray itself would try a dead address for minutes
            machine, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((machine, int(port)), timeout=_REACH_S).close()
        if address == _LOCAL:
            cpus = max(1, round(workers * asked.cpus))
            ray.init(address=_LOCAL, num_cpus=cpus, **quiet)
        else:
            ray.init(address=address, **{name: value for name, value in quiet.items() if name != "include_dashboard"})
    except Exception as error:  # gRPC, the client and Ray itself each have their own family
        raise PredictorError(
            f"the Ray cluster cannot be used: {in_one_line(error)}",
            where=f"-P address={address}",
            rule="local, auto, HOST:PORT or ray://HOST:PORT of a cluster with the same versions of Ray and Python",
            fix="ray status tells whether it runs; ray start --head starts one",
        ) from error


def _check_room(ray: Any, asked: Resources) -> None:
    """Refuse at once what no machine of the cluster could ever hold."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {"CPU": asked.cpus, "GPU": asked.gpus, "memory": asked.memory_gb * 1e9}
    if any(all(machine.get(name, 0.0) >= amount for name, amount in wanted.items()) for machine in machines):
        return
    none: dict[str, float] = {}
    largest = max(machines, key=lambda machine: (machine.get("GPU", 0), machine.get("CPU", 0)), default=none)
    has = Resources(largest.get("CPU", 0.0), largest.get("GPU", 0.0), largest.get("memory", 0.0) / 1e9)
    raise PredictorError(
        f"no machine of the cluster has {_told(asked)}",
        where=f"{len(machines)} machines, the largest with {_told(has)}",
        rule="a worker is on one machine",
        fix="ask for less under resources in the plan, or start a larger machine first",
    )


def _told(resources: Resources) -> str:
    told = [f"{resources.cpus:g} CPUs"]
    told += [f"{resources.gpus:g} GPUs"] if resources.gpus else []
    told += [f"{resources.memory_gb:.1f} GB"] if resources.memory_gb else []
    return ", ".join(told)
