"""Reading a tracking store: beside `mlflow.search_runs`, and from a hundred thousand runs to the training table.

`python -m benchmarks.read_store` makes SQLite stores of synthetic runs; `--small` and `--large` set their numbers of
runs (the large one takes 4 GB of disk, and minutes to make). With `--server N` it makes one of N runs in PostgreSQL
instead and reads it through an MLflow server, and directly, where only what has changed is read again. Each reading is
a process of its own, so that its peak of memory is its own; imports are not timed. CPU seconds, without those of a
server, stand beside wall seconds: only they compare on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FURTHER = 1000
AFTERWARDS = 100
"""Runs of a sweep that goes on while its store is read."""

_READING = """
import resource, sys, time
from predictor import environment
environment.prepare()
import mlflow, pandas
import predictor.tasks
from predictor.tracking import connect, read_records
from predictor.table import build
way = sys.argv[1]
connect()
wall, cpu = time.perf_counter(), time.process_time()
if way == "search":
    frame = mlflow.search_runs(search_all_experiments=True, filter_string="tags.`predictor.kind` = 'finetune'")
    size = len(frame)
elif way == "frame":  # the same values in a table of the same kind: params, metrics and tags of each run
    found = read_records()
    plain = {name: list(column) for name, column in found.columns.items()}
    params = pandas.DataFrame(plain.pop("hp")).add_prefix("params.hp/")
    metrics = pandas.DataFrame(found.metrics.matrix(found.metrics.known), columns=found.metrics.known)
    tags = pandas.DataFrame({"run_id": found.run_ids, "start_time": found.start_times, **plain})
    size = len(pandas.concat([tags, params, metrics.add_prefix("metrics.")], axis=1))
else:
    size = len(build(read_records()))
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(f"{wall:.1f} {cpu:.1f} {peak:.2f} {size}")
"""


def reading(way: str, uri: str, cache: Path, label: str) -> tuple[float, float]:
    """Wall and CPU seconds of one reading, printed with its peak of memory."""
    environment = {**os.environ, "PREDICTOR_CACHE": str(cache), "MLFLOW_TRACKING_URI": uri}
    command = [sys.executable, "-c", _READING, way]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    wall, cpu, peak, size = done.stdout.split()
    print(f"{label:<58} {wall:>6} s, CPU {cpu:>6} s, peak {peak} GB, {size} rows", flush=True)
    return float(wall), float(cpu)


def store(folder: Path, runs: int) -> str:
    from benchmarks.stored_runs import insert
    from predictor import environment

    environment.prepare()
    from predictor.tracking import connect

    uri = connect(f"sqlite:///{folder}/{runs}.db")
    started = time.perf_counter()
    insert(uri, 0, runs)
    print(f"{runs} runs made in {time.perf_counter() - started:.0f} s")
    return uri


def compare(uri: str, folder: Path, label: str) -> None:
    searched = reading("search", uri, folder / "a", f"mlflow.search_runs, {label}")
    for way, cache, what in (
        ("frame", "a", "read_records into the same table"),
        ("frame", "a", "read_records again"),
        ("table", "c", "the training table as `meta` reads it"),
    ):
        ours = reading(way, uri, folder / cache, f"{what}, {label}")
        print(f"ratio {searched[0] / ours[0]:.1f} in wall time, {searched[1] / ours[1]:.1f} in CPU time", flush=True)


def to_table(uri: str, folder: Path, runs: int) -> None:
    from benchmarks.stored_runs import insert

    reading("table", uri, folder / "b", f"{runs} runs to the training table, first time")
    insert(uri, runs, FURTHER)
    reading("table", uri, folder / "b", f"all of them and {FURTHER} further runs to the table")


def server(folder: Path, runs: int) -> None:
    """PostgreSQL and the MLflow server over it, each beside `mlflow.search_runs` of the same address."""
    from benchmarks.stored_runs import insert
    from predictor.server import Wanted, serving

    with serving(Wanted(folder / "server", 0, workers=1, durable=False)) as running:
        uri, straight = running.addresses.uri, running.addresses.database.read_text().strip()
        started = time.perf_counter()
        insert(straight, 0, runs)
        print(f"{runs} runs made in {time.perf_counter() - started:.0f} s", flush=True)
        for address, cache, label in ((uri, "http", "HTTP"), (straight, "postgres", "PostgreSQL")):
            searched = reading("search", address, folder / cache, f"{label}, mlflow.search_runs, {runs} runs")
            for what, more in (
                ("for the first time", 0),
                ("again", 0),
                (f"with {AFTERWARDS} further runs", AFTERWARDS),
            ):
                insert(straight, runs, more)
                runs += more
                ours = reading("frame", address, folder / cache, f"{label}, read_records {what}")
                print(
                    f"ratio {searched[0] / ours[0]:.1f} in wall time, {searched[1] / ours[1]:.1f} in CPU time",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--server", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # root's PostgreSQL runs as another user
        if asked.server:
            server(folder, asked.server)
            return
        compare(store(folder, asked.small), folder, f"{asked.small} runs")
        to_table(store(folder, asked.large), folder, asked.large)


if __name__ == "__main__":
    main()
