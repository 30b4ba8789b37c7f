"""SIGKILLs at random instants over a sweep: `python -m benchmarks.kill_sweep [KILLS]`.

A plan of 40 short fine-tunes is first carried out undisturbed. Then it is carried out in fresh experiments while
workers, the process that forks them and the sweep itself are killed; a killed sweep is started again. At the end every
experiment must hold one complete run for each configuration, none left RUNNING, and the same numbers to the bit.
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
from pathlib import Path
from random import Random

import psutil

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from mlflow import MlflowClient  # noqa: E402

from benchmarks.tiny import qa_rows, write_base, write_squad  # noqa: E402
from predictor.tracking import connect, read_records  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DATASETS, RATES, SEEDS = 5, (1e-2, 3e-3, 1e-3, 3e-4), (1, 2)
RUNS = DATASETS * len(RATES) * len(SEEDS)


def write_plan(folder: Path) -> Path:
    """Forty fine-tunes of a model of a few thousand weights."""
    write_base(folder / "base")
    write_squad(folder / "eval.json", qa_rows(24, start=500))
    for number in range(DATASETS):
        write_squad(folder / f"data{number}.json", qa_rows(24, start=40 * number))
    plan = {
        "datasets": ["data*.json"],
        "base_models": [str(folder / "base")],
        "hp": {"learning_rate": list(RATES), "lora_r": [4], "batch_size": [8], "epochs": [2.0]},
        "seeds": list(SEEDS),
        "eval_dataset": "eval.json",
        "eval_limit": 16,
        "dev_limit": 4,
        "probe_steps": 3,
        "tiers": "static,forward,train",
        "checkpoint_steps": 2,
    }
    (folder / "plan.yaml").write_text(json.dumps(plan))
    return folder / "plan.yaml"


def start(plan: Path, experiment: str, *flags: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "entrypoints.sweep",
        "--plan",
        str(plan),
        "--workers",
        "2",
        "--threads",
        "1",
        *flags,
    ]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_EXPERIMENT_NAME": experiment}
    log = (plan.parent / "log").open("ab")
    return subprocess.Popen(command, cwd=plan.parent, env=variables, stdout=log, stderr=log, start_new_session=True)


def victims(process: subprocess.Popen[bytes]) -> dict[str, list[int]]:
    """Process ids by role."""
    found: dict[str, list[int]] = {"sweep": [process.pid], "server": [], "worker": []}
    try:
        for child in psutil.Process(process.pid).children():
            workers = [grandchild.pid for grandchild in child.children()]
            found["worker"] += workers
            found["server"] += [child.pid] if workers else []
    except psutil.Error:
        pass
    return found


def disturb(plan: Path, experiment: str, rng: Random, most: int) -> Counter[str]:
    """Carry the plan out under fire until it is done or `most` kills have been made."""
    kills: Counter[str] = Counter()
    process = start(plan, experiment)
    while kills.total() < most:
        time.sleep(rng.uniform(0.05, 2.0))
        if process.poll() is not None:
            if process.returncode == 0:
                break
            process = start(plan, experiment)
            continue
        found = victims(process)
        if not found["worker"]:
            continue  # it is still starting: nothing has been claimed
        role = rng.choices(("worker", "sweep", "server"), (16, 3, 1))[0]
        try:
            os.kill(rng.choice(found[role]), signal.SIGKILL)
        except (ProcessLookupError, IndexError):
            continue
        kills[role] += 1
    process.wait()
    while process.returncode != 0:
        process = start(plan, experiment)
        process.wait()
    return kills


def table(experiment: str, uri: str) -> dict[str, str]:
    """Features, Hj and scores of each configuration as text; fails when one is there twice."""
    records = read_records([experiment], tracking_uri=uri)
    done = [record for record in records if record.complete and record.status == "FINISHED"]
    rows = {r.config_hash: json.dumps([dict(r.hp), dict(r.probe), dict(r.scores)], sort_keys=True) for r in done}
    assert len(rows) == len(done), "a configuration has two complete runs"
    return rows


def main(wanted: int) -> None:
    rng = Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uri = connect(f"sqlite:///{folder}/mlflow.db")
        os.environ["MLFLOW_TRACKING_URI"] = uri
        plan = write_plan(folder)
        started = time.perf_counter()
        undisturbed = start(plan, "undisturbed")
        assert undisturbed.wait() == 0, (folder / "log").read_text()[-2000:]
        expected = table("undisturbed", uri)
        print(f"undisturbed: {len(expected)} of {RUNS} runs, {time.perf_counter() - started:.0f} s", flush=True)
        total: Counter[str] = Counter()
        number = 0
        while total.total() < wanted:
            number += 1
            experiment = f"round {number}"
            kills = disturb(plan, experiment, rng, wanted - total.total())
            total += kills
            client = MlflowClient(uri)
            found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=5000)
            statuses = Counter(run.info.status for run in found)
            rows = table(experiment, uri)
            same = sum(rows.get(key) == value for key, value in expected.items())
            print(
                f"{experiment}: kills {dict(kills)}, runs {dict(statuses)}, {len(rows)} complete, {same} equal",
                flush=True,
            )
            assert rows == expected
            assert statuses["RUNNING"] == 0
        seconds = time.perf_counter() - started
        print(f"{total.total()} SIGKILLs {dict(total)} in {number} sweeps of {RUNS}: all equal, {seconds:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
