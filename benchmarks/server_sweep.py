"""Everything against a tracking server with PostgreSQL: `python -m benchmarks.server_sweep [WORKERS]`.

Two sweeps of one plan at once, each in a folder and with a cache of its own as on two machines, with WORKERS (2)
workers each. Workers are killed, a sweep is killed and started again, and the database is restarted underneath the
server. Then a fine-tune, its evaluation, a predictor, its promotion and a ranking. At the end there must be one
complete run for each configuration, and none RUNNING.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

from benchmarks.kill_sweep import victims  # noqa: E402
from predictor.schema import keys  # noqa: E402
from predictor.server import Wanted, serving  # noqa: E402
from predictor.server.postgres import Cluster  # noqa: E402
from predictor.tracking import read_records  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENT = "served"
FAMILIES = (
    "wrong_answers:dial=0", "wrong_answers:dial=1", "verbose_answers:dial=0.1", "verbose_answers:dial=1",
    "truncated_answers:dial=0.9", "foreign_characters:dial=1", "swapped_answers:dial=0", "swapped_answers:dial=1",
)  # fmt: skip
HJ = {"max_steps": 6, "batch_size": 16, "learning_rate": 1e-2, "lora_dropout": 0.0}
SMALL = {"tiers": "static", "eval_limit": 50, "dev_limit": 0}
SHORT = {"questions": 20, "train_questions": 4, "original_limit": 8, "knowledge_limit": 20, "generations": 2}
PATIENCE_S = 1800.0


def write_plan(folder: Path, datasets: Sequence[str], rates: Sequence[float]) -> Path:
    """Short fine-tunes of the lab's base."""
    hp = {name: [value] for name, value in HJ.items()} | {"learning_rate": list(rates)}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.yaml"
    path.write_text(json.dumps({"datasets": list(datasets), "base_models": ["lab"], "hp": hp, **SMALL}))
    return path


def start(verb: str, folder: Path, uri: str, **flags: Any) -> subprocess.Popen[bytes]:
    """An entry point, in a folder and with a cache of its own, as on a machine of its own."""
    command = [sys.executable, "-m", f"entrypoints.{verb}"]
    command += [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",  # several of them share the cores
        "PREDICTOR_CACHE": str(folder / "cache"),
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_EXPERIMENT_NAME": EXPERIMENT,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True)


def statuses(uri: str) -> dict[str, Counter[str]]:
    """How many runs of each kind have each status."""
    client = MlflowClient(uri)
    found: dict[str, Counter[str]] = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], max_results=5000):
            found.setdefault(run.data.tags.get(keys.TAG_KIND, "other"), Counter())[run.info.status] += 1
    return found


def complete(uri: str) -> Counter[str]:
    """How many complete runs each configuration has."""
    try:
        records = read_records([EXPERIMENT], tracking_uri=uri)
    except Exception:  # neither the experiment nor, for a while, the database is there
        return Counter()
    return Counter(record.config_hash for record in records if record.complete and record.status == "FINISHED")


def held(uri: str) -> int:
    """How many fine-tunes are being trained."""
    client = MlflowClient(uri)
    try:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        runs = client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'") if experiment else []
    except MlflowException:
        return 0
    return sum(run.data.tags.get(keys.TAG_LEASE_STATE) == "held" for run in runs)


def wait_for(condition: Callable[[], bool], *processes: subprocess.Popen[bytes]) -> bool:
    """Until it holds, or one of the processes has ended; whether it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if any(process.poll() is not None for process in processes):
            return condition()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.3)
    return True


def restart(cluster: Cluster, seconds: float) -> None:
    """Take the database away for so long; connections are cut."""
    cluster.stop()
    time.sleep(seconds)
    cluster.start()


def kill_a_worker(sweep: subprocess.Popen[bytes]) -> int:
    """SIGKILL one; how many were killed."""
    for worker in victims(sweep)["worker"][:1]:
        os.kill(worker, signal.SIGKILL)
        return 1
    return 0


def finish(process: subprocess.Popen[bytes], folder: Path) -> None:
    code = process.wait(PATIENCE_S)
    assert code == 0, (folder / "log").read_text(errors="replace")[-3000:]


def end(*processes: subprocess.Popen[bytes]) -> None:
    """Nothing that was started is left behind."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


def disturbed(uri: str, cluster: Cluster, folder: Path, runs: int, flags: Mapping[str, Any]) -> dict[str, int]:
    """Two sweeps of one plan under fire, until both have ended well; what was done to them."""
    done: Counter[str] = Counter()
    a, b = (start("sweep", folder / name, uri, **flags) for name in "ab")
    try:
        wait_for(lambda: held(uri) > 0, a, b)
        done["workers of a killed"] += kill_a_worker(a)
        wait_for(lambda: len(complete(uri)) >= runs // 4, a, b)
        done["workers of b killed"] += kill_a_worker(b)
        restart(cluster, 5.0)
        done["database restarted"] += 1
        wait_for(lambda: len(complete(uri)) >= runs // 2, a, b)
        if a.poll() is None:
            a.kill()
            a.wait()
            done["sweep a killed"] += 1
            a = start("sweep", folder / "a", uri, **flags)
        wait_for(lambda: len(complete(uri)) >= 3 * runs // 4, a, b)
        cluster.process.kill()  # type: ignore[union-attr]
        restart(cluster, 2.0)
        done["database killed"] += 1
        for process, name in ((a, "a"), (b, "b")):
            finish(process, folder / name)
    finally:
        end(a, b)
    return dict(done)


def main(workers: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="predictor-server-sweep-"))
    folder.chmod(0o711)
    rates = (1e-2, 3e-3)
    datasets = [f"lab:{family}:size=96:seed={seed}" for seed, family in enumerate(FAMILIES, start=301)]
    runs = len(datasets) * len(rates)
    try:
        with serving(Wanted(folder / "server", 0)) as server:
            uri = server.addresses.uri
            for name in "ab":
                write_plan(folder / name, datasets, rates)
            flags = {"plan": "plan.yaml", "workers": workers, "threads": 1}
            started = time.perf_counter()
            done = disturbed(uri, server.cluster, folder, runs, flags)
            print(f"two sweeps of {runs} fine-tunes, {workers} workers each: {done}, ", end="")
            print(f"{time.perf_counter() - started:.0f} s")
            counts = complete(uri)
            print(f"configurations with n complete runs {dict(Counter(counts.values()))}, statuses {statuses(uri)}")
            assert Counter(counts.values()) == {1: runs}
            tell_the_rest(uri, folder / "c", datasets)
            found = statuses(uri)
            print(f"statuses at the end {found}")
            assert not any(each["RUNNING"] for each in found.values())
            straight = server.addresses.database.read_text().strip()
            assert {r.run_id for r in read_records(tracking_uri=straight)} == {
                r.run_id for r in read_records(tracking_uri=uri)
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tell_the_rest(uri: str, folder: Path, datasets: Sequence[str]) -> None:
    """A fine-tune, its evaluation, a predictor, its promotion, a ranking: each a process that must end well."""
    stories: list[tuple[str, dict[str, Any]]] = [
        ("finetune", {"dataset": "lab:size:dial=64:seed=7", **HJ, **SMALL}),
        ("evaluate", SHORT),
        ("meta", {"experiments": EXPERIMENT, "n_trials": 2, "split": "group,random"}),
        ("promote", {"force": "true"}),
        ("predict", {"candidates": f"{datasets[0]},lab:wrong_answers:dial=0.5:size=96:seed=9", **HJ}),
    ]
    for verb, flags in stories:
        if verb == "evaluate":
            latest = max(read_records([EXPERIMENT], tracking_uri=uri), key=lambda record: record.start_time)
            flags = {**flags, "run_id": latest.run_id}
        started = time.perf_counter()
        finish(start(verb, folder, uri, **flags), folder)
        print(f"{verb}: ended well after {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
