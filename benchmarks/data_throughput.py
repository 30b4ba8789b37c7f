"""Rows a second and peak memory of preparing JSON Lines, as rows grow tenfold, beside `datasets.load_dataset("json")`.

    python -m benchmarks.data_throughput [--rows 10000,100000,1000000] [--repeats 3]

Each measurement is a fresh process on one core. `prepare` reads, validates, hashes, splits and writes every row;
`datasets` parses the rows into its Arrow cache and validates nothing. Rates are rows by seconds of processor time,
without the imports; the wall clock is given beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write_rows(path: Path, rows: int) -> None:
    """Chat rows of about 580 bytes: a passage, a question and an answer of random words."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(5000)]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            passage, question, answer = (" ".join(draw.choices(words, k=count)) for count in (60, 9, 4))
            turns = [
                {"role": "user", "content": f"Context: {passage}\nQuestion: {question}?"},
                {"role": "assistant", "content": answer},
            ]
            file.write(json.dumps({"messages": turns}) + "\n")


def prepare(source: Path, folder: Path) -> int:
    import numpy  # noqa: F401 - imports are not part of the rate

    from predictor.data.preparing import Settings
    from predictor.data.preparing import prepare as run

    def work() -> int:
        return int(run(source, folder / "out", Settings()).report["accepted"])

    return measured(work)


def load_dataset(source: Path, folder: Path) -> int:
    import datasets

    datasets.disable_progress_bars()

    def work() -> int:
        return len(datasets.load_dataset("json", data_files=str(source), split="train", cache_dir=str(folder)))

    return measured(work)


def measured(work) -> int:  # noqa: ANN001 - a function without arguments
    """Print the measurement as one line of JSON; returns the rows."""
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "cpu_s": cpu, "wall_s": wall, "peak_mb": peak}))
    return rows


TOOLS = {"prepare": prepare, "datasets": load_dataset}


def in_process(tool: str, source: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        command = [sys.executable, "-m", "benchmarks.data_throughput", "--tool", tool, "--source", str(source)]
        one_core = {"OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [*command, "--folder", folder], env={**os.environ, **one_core}, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tool", choices=TOOLS)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.tool:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        TOOLS[arguments.tool](arguments.source, arguments.folder)
        return
    print(f"{'rows':>9} {'tool':<10} {'rows/s':>8} {'cpu s':>8} {'wall s':>8} {'peak MB':>8}   medians")
    with tempfile.TemporaryDirectory() as folder:
        for rows in map(int, arguments.rows.split(",")):
            source = Path(folder) / f"{rows}.jsonl"
            write_rows(source, rows)
            runs: dict[str, list[dict[str, float]]] = {tool: [] for tool in TOOLS}
            for _ in range(arguments.repeats):
                for tool in TOOLS:  # interleaved, so that a busy minute falls on both
                    runs[tool].append(in_process(tool, source))
            for tool, measurements in runs.items():
                cpu, wall, peak = (
                    statistics.median(m[name] for m in measurements) for name in ("cpu_s", "wall_s", "peak_mb")
                )
                print(f"{rows:>9} {tool:<10} {rows / cpu:>8.0f} {cpu:>8.2f} {wall:>8.1f} {peak:>8.0f}", flush=True)
            source.unlink()


if __name__ == "__main__":
    main()
