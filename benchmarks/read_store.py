"""Reading a tracking store: beside `mlflow.search_runs`, and from a hundred thousand runs to the training table.

`python -m benchmarks.read_store` makes SQLite stores of synthetic runs; `--small` and `--large` set their numbers of
runs (the large one takes 4 GB of disk, and minutes to make). Each reading is a process of its own, so that its peak of
memory is its own; imports are not timed. CPU seconds stand beside wall seconds: only they compare on a busy machine.
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

_READING = """
import resource, sys, time
from predictor import environment
environment.prepare()
import mlflow, pandas
import predictor.tasks
from predictor.tracking import connect, read_records
from predictor.table import build
way, uri = sys.argv[1:]
connect(uri)
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


def reading(way: str, database: Path, cache: Path, label: str) -> tuple[float, float]:
    """Wall and CPU seconds of one reading, printed with its peak of memory."""
    environment = {**os.environ, "PREDICTOR_CACHE": str(cache), "MLFLOW_TRACKING_URI": f"sqlite:///{database}"}
    command = [sys.executable, "-c", _READING, way, f"sqlite:///{database}"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    wall, cpu, peak, size = done.stdout.split()
    print(f"{label:<58} {wall:>6} s, CPU {cpu:>6} s, peak {peak} GB, {size} rows", flush=True)
    return float(wall), float(cpu)


def store(folder: Path, runs: int) -> Path:
    from benchmarks.stored_runs import insert
    from predictor import environment

    environment.prepare()
    from predictor.tracking import connect

    database = folder / f"{runs}.db"
    connect(f"sqlite:///{database}")
    started = time.perf_counter()
    insert(database, 0, runs)
    print(f"{runs} runs made in {time.perf_counter() - started:.0f} s")
    return database


def compare(database: Path, folder: Path, label: str) -> None:
    searched = reading("search", database, folder / "a", f"mlflow.search_runs, {label}")
    for way, cache, what in (
        ("frame", "a", "read_records into the same table"),
        ("frame", "a", "read_records again"),
        ("table", "c", "the training table as `meta` reads it"),
    ):
        ours = reading(way, database, folder / cache, f"{what}, {label}")
        print(f"ratio {searched[0] / ours[0]:.1f} in wall time, {searched[1] / ours[1]:.1f} in CPU time", flush=True)


def to_table(database: Path, folder: Path, runs: int) -> None:
    from benchmarks.stored_runs import insert

    reading("table", database, folder / "b", f"{runs} runs to the training table, first time")
    insert(database, runs, FURTHER)
    reading("table", database, folder / "b", f"all of them and {FURTHER} further runs to the table")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare(store(folder, asked.small), folder, f"{asked.small} runs")
        to_table(store(folder, asked.large), folder, asked.large)


if __name__ == "__main__":
    main()
