"""Forty fine-tunes on engines of clusters, in peace and under fire: `python -m benchmarks.cluster_sweep [ray] [slurm]`.

The same plan of the lab's base is carried out by two workers of the process executor, of Ray on a cluster of two
machines, and of submitit's local engine, each twice: the second time, on the engines, machines are lost and come back,
jobs are preempted, workers and the sweep itself are killed. Every time there must be one complete run for each
configuration, none RUNNING, and the same numbers to the bit. Told are fine-tunes a minute between the first start and
the last end, without the first run of each worker. Give it the machine alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import psutil

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from mlflow import MlflowClient  # noqa: E402

from benchmarks.kill_sweep import start, table  # noqa: E402
from predictor.tracking import connect, read_records  # noqa: E402

WORKERS = 2
SEEDS = range(1, 21)
RATES = (5e-3, 2e-3)
RUNS = len(SEEDS) * len(RATES)


def write_plan(folder: Path) -> Path:
    """Forty fine-tunes of the embedded base, a few seconds each."""
    plan = {
        "datasets": [{"family": "size", "dial": 128, "seed": list(SEEDS)}],
        "hp": {"learning_rate": list(RATES), "batch_size": [16], "epochs": [2.0]},
        "eval_limit": 100,
        "tiers": "static",
        "checkpoint_steps": 4,
        "resources": {"cpus": 1},
    }
    (folder / "plan.yaml").write_text(json.dumps(plan))
    return folder / "plan.yaml"


def finish(process: subprocess.Popen[bytes], plan: Path) -> None:
    """Wait until it has ended well."""
    assert process.wait(3600) == 0, (plan.parent / "log").read_text(errors="replace")[-3000:]


def rate(experiment: str, uri: str) -> float:
    """Fine-tunes a minute between the first start and the last end, without the first of each worker."""
    records = read_records([experiment], tracking_uri=uri)
    starts = sorted(record.start_time for record in records)
    ends = sorted(record.start_time + 1000 * record.costs["total_s"] for record in records)
    first = starts[WORKERS]
    return 60_000 * sum(begin >= first for begin in starts) / (ends[-1] - first)


def check(experiment: str, uri: str, expected: dict[str, str]) -> str:
    """One complete run for each configuration, with these numbers, and none RUNNING; the statuses for people."""
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=5000)
    statuses = Counter(run.info.status for run in found)
    rows = table(experiment, uri)
    assert len(rows) == RUNS, statuses
    assert not expected or rows == expected, sum(rows.get(key) != value for key, value in expected.items())
    assert not statuses["RUNNING"], statuses
    return f"{len(rows)} complete, {'equal to the bit, ' if expected else ''}{dict(statuses)}"


def workers_below(parents: Sequence[psutil.Process]) -> list[psutil.Process]:
    """The warm processes: the youngest of their line."""
    found = [child for parent in parents for child in parent.children(recursive=True)]
    return [process for process in found if process.is_running() and not process.children()]


def named(text: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if text in " ".join(process.info["cmdline"] or []):
            found.append(process)
    return found


def kill_one(parents: Sequence[psutil.Process], rng: Random) -> int:
    """SIGKILL a warm process; how many were killed."""
    workers = workers_below(parents)
    if not workers:
        return 0
    rng.choice(workers).kill()
    return 1


def under_fire(
    plan: Path, experiment: str, engine: Sequence[str], uri: str, acts: Sequence[tuple[str, Callable[[], int]]]
) -> Counter[str]:
    """Carry the plan out; each act is done once, when its share of the runs is complete, the last by four fifths."""
    done: Counter[str] = Counter()
    process = start(plan, experiment, *engine)
    left = list(acts)
    while process.poll() is None:
        time.sleep(0.5)
        complete = _complete(experiment, uri)
        if left and complete >= RUNS * 4 // 5 * (len(acts) - len(left) + 1) // (len(acts) + 1):
            name, act = left.pop(0)
            if name == "sweep killed":
                process.kill()
                process.wait()
                process = start(plan, experiment, *engine)
                done[name] += 1
            else:
                done[name] += act()
    finish(process, plan)
    return done


def _complete(experiment: str, uri: str) -> int:
    try:
        return sum(record.complete for record in read_records([experiment], tracking_uri=uri))
    except Exception:  # there is no experiment yet
        return 0


def on_ray(plan: Path, uri: str, expected: dict[str, str], rng: Random) -> None:
    """A head without cores and two machines of one core, all on this one."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes: list[Any] = [cluster.add_node(num_cpus=1) for _ in range(WORKERS)]
    engine = ["--retries", "9", "--executor", "ray", "--address", cluster.address]
    try:
        finish(start(plan, "ray", *engine), plan)
        print(f"ray: {check('ray', uri, expected)}, {rate('ray', uri):.1f} a minute", flush=True)

        def lose() -> int:
            cluster.remove_node(nodes.pop(0), allow_graceful=False)
            nodes.append(cluster.add_node(num_cpus=1))
            return 1

        def kill() -> int:
            return kill_one(named("ray::_Actor"), rng)

        acts = [("worker killed", kill), ("machine lost", lose), ("worker killed", kill), ("sweep killed", kill),
                ("machine lost", lose), ("worker killed", kill)]  # fmt: skip
        done = under_fire(plan, "ray under fire", engine, uri, acts)
        print(f"ray under fire, {dict(done)}: {check('ray under fire', uri, expected)}", flush=True)
    finally:
        cluster.shutdown()


def on_slurm(plan: Path, uri: str, expected: dict[str, str], rng: Random) -> None:
    """Submitit's local engine: its jobs are processes of this machine."""
    engine = ["--retries", "9", "--executor", "slurm", "--address", "local"]
    finish(start(plan, "submitit", *engine), plan)
    print(f"submitit: {check('submitit', uri, expected)}, {rate('submitit', uri):.1f} a minute", flush=True)

    def kill() -> int:
        return kill_one(named("submitit.core._submit"), rng)

    def preempt() -> int:
        tasks = [process for process in named("submitit.core._submit") if process.children()]
        for task in tasks[:1]:
            task.send_signal(signal.SIGUSR2)
        return len(tasks[:1])

    def cancel() -> int:
        tasks = named("submitit.core._submit")
        for task in tasks[:1]:
            task.kill()
        return len(tasks[:1])

    acts = [("worker killed", kill), ("job preempted", preempt), ("job killed", cancel), ("sweep killed", kill),
            ("job preempted", preempt), ("worker killed", kill)]  # fmt: skip
    done = under_fire(plan, "submitit under fire", engine, uri, acts)
    print(f"submitit under fire, {dict(done)}: {check('submitit under fire', uri, expected)}", flush=True)


def main(engines: Sequence[str]) -> None:
    rng = Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uri = os.environ["MLFLOW_TRACKING_URI"] = connect(f"sqlite:///{folder}/mlflow.db")
        plan = write_plan(folder)
        finish(start(plan, "processes"), plan)
        print(f"processes: {check('processes', uri, {})}, {rate('processes', uri):.1f} a minute", flush=True)
        expected = table("processes", uri)
        for engine, run in (("ray", on_ray), ("slurm", on_slurm)):
            if engine in engines:
                run(plan, uri, expected, rng)
        finish(start(plan, "processes again"), plan)
        print(f"processes: {check('processes again', uri, expected)}, {rate('processes again', uri):.1f} a minute")


if __name__ == "__main__":
    main(sys.argv[1:] or ["ray", "slurm"])
