"""Real sweeps of a tiny model: done once, killed, gone on with, shared by two, always with the same numbers."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from benchmarks.tiny import qa_rows, write_squad
from predictor.errors import ConfigError, DataError
from predictor.flows.sweep import SweepConfig, SweepResult, sweep
from predictor.schema import RunRecord, keys
from predictor.tracking import read_records
from tests.conftest import open_store

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.usefixtures("one_thread")


def _write_plan(folder: Path, tiny_base: Path) -> Path:
    """Two datasets × two learning rates × two seeds of the tiny base: 8 fine-tunes of two steps."""
    write_squad(folder / "eval.json", qa_rows(10, start=100))
    for name, start in (("a", 0), ("b", 50)):
        write_squad(folder / f"{name}.json", qa_rows(12, start=start))
    content = {
        "datasets": ["a.json", "b.json"],
        "base_models": [str(tiny_base)],
        "hp": {"learning_rate": [1e-2, 1e-3], "lora_r": [2], "batch_size": [8], "epochs": [1.0]},
        "seeds": [1, 2],
        "eval_dataset": "eval.json",
        "eval_limit": 6,
        "dev_limit": 2,
        "probe_steps": 2,
        "tiers": "static,train",
    }
    path = folder / "plan.yaml"
    path.write_text(json.dumps(content))  # JSON is YAML
    return path


@pytest.fixture
def plan(tiny_base: Path, store: str, tmp_path: Path) -> Path:
    return _write_plan(tmp_path, tiny_base)


@pytest.fixture(scope="module")
def undisturbed(
    tiny_base: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory, one_thread: None
) -> tuple[str, SweepResult]:
    """The plan carried out in one go: the store that has it, and what the sweep said."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as monkeypatch:
        uri = open_store(empty_store, folder, monkeypatch)
        return uri, _sweep(_write_plan(folder, tiny_base))


def _sweep(plan: Path, **changes: Any) -> SweepResult:
    return sweep(SweepConfig(plan=str(plan), executor="inline", **changes), experiment="lab")


def _rows(records: list[RunRecord]) -> dict[str, tuple[object, ...]]:
    """What a table would be made from, to the bit, by configuration; fails when one is there twice."""
    done = [record for record in records if record.complete and record.status == "FINISHED"]
    rows = {r.config_hash: (sorted(r.hp.items()), sorted(r.probe.items()), sorted(r.scores.items())) for r in done}
    assert len(rows) == len(done)
    return {key: json.loads(json.dumps(value)) for key, value in rows.items()}


def test_a_sweep_is_a_parent_with_a_child_for_each_configuration(undisturbed: tuple[str, SweepResult]):
    store, result = undisturbed
    assert result.tally is not None
    assert (result.outlook.runs, result.tally.finished, result.tally.total) == (8, 8, 8)
    client = MlflowClient(store)
    parent = client.get_run(result.run_id)
    assert (parent.info.status, parent.data.tags[keys.TAG_KIND]) == ("FINISHED", "sweep")
    assert (parent.data.metrics["sweep/finished"], parent.data.metrics["sweep/set_aside"]) == (8.0, 0.0)
    assert {file.path for file in client.list_artifacts(result.run_id)} == {
        "plan.yaml",
        "runs.csv",
        "results.csv",
        "results.png",
    }
    table = Path(client.download_artifacts(result.run_id, "runs.csv")).read_text().splitlines()
    assert len(table) == 9
    children = read_records(["lab"], parent=result.run_id, tracking_uri=store)
    assert len(children) == 8 == len(_rows(children))
    assert {record.dataset for record in children} == {"a.json", "b.json"}


def test_a_second_sweep_finds_all_done_and_a_larger_plan_runs_the_rest(plan: Path):
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "seeds": [1]}))
    assert _sweep(plan, max_runs=3).tally.finished == 3  # type: ignore[union-attr]
    dry = _sweep(plan, dry_run=True)
    assert (dry.tally, dry.outlook.done, dry.outlook.open) == (None, 3, 1)
    assert dry.outlook.seconds is not None
    assert any("MB of artifacts" in line for line in dry.outlook.lines())
    with pytest.raises(ConfigError, match="3 fine-tunes of the plan are done in experiment 'lab'"):
        _sweep(plan, resume=False)
    rest = _sweep(plan).tally
    again = _sweep(plan).tally
    assert rest is not None
    assert again is not None
    assert (rest.finished, rest.done_before) == (1, 3)
    assert (again.finished, again.done_before) == (0, 4)
    assert len(_rows(read_records(["lab"]))) == 4


@pytest.mark.parametrize(
    ("executor", "package"), [pytest.param("ray", "ray", marks=pytest.mark.long), ("slurm", "submitit")]
)
def test_workers_of_an_engine_give_the_same_numbers(
    undisturbed: tuple[str, SweepResult], plan: Path, tmp_path: Path, executor: str, package: str
):
    pytest.importorskip(package, reason=f"the extra '{executor}' is not installed")
    where = {"address": "local", "folder": str(tmp_path / "shared"), "workers": 1, "threads": 1}
    result = sweep(SweepConfig(plan=str(plan), executor=executor, max_runs=3, **where), experiment="lab")
    assert result.tally is not None
    assert result.tally.finished == 3
    there, here = (_rows(read_records(["lab"], tracking_uri=uri)) for uri in (None, undisturbed[0]))
    assert len(there) == 3
    assert there == {key: here[key] for key in there}
    assert not [run for run in read_records(["lab"]) if run.status == "RUNNING"]


def test_a_plan_is_checked_whole_before_anything_runs(plan: Path):
    content = json.loads(plan.read_text())
    plan.write_text(json.dumps({**content, "datasets": ["a.json", "missing.json"]}))
    with pytest.raises(DataError, match=r"missing\.json"):
        _sweep(plan)
    with pytest.raises(ConfigError, match="unknown executor 'rays'"):
        sweep(SweepConfig(plan=str(plan), executor="rays"), experiment="lab")
    assert not read_records(["lab"])


def test_a_fine_tune_that_fails_is_tried_again_set_aside_and_tried_again_when_asked(plan: Path):
    content = json.loads(plan.read_text())
    content["hp"]["target_modules"] = ["no_such_module"]
    plan.write_text(
        json.dumps({**content, "datasets": ["a.json"], "seeds": [1], "hp": content["hp"] | {"epochs": [1]}})
    )
    tally = _sweep(plan, max_runs=1).tally
    assert tally is not None
    (reason,) = tally.set_aside.values()
    assert "target_modules='no_such_module' does not fit" in reason
    records = read_records(["lab"])
    assert [(record.status, record.complete) for record in records] == [("FAILED", False)] * 2
    assert _sweep(plan, max_runs=1).outlook.set_aside == 1
    assert len(read_records(["lab"])) == 2
    _sweep(plan, max_runs=1, retry_set_aside=True, retries=0)
    assert len(read_records(["lab"])) == 3


def test_tpe_and_random_carry_out_a_plan_with_ranges(plan: Path):
    content = json.loads(plan.read_text())
    content["hp"]["learning_rate"] = {"low": 1e-4, "high": 1e-1, "log": True}
    plan.write_text(json.dumps({**content, "seeds": [1]}))
    with pytest.raises(ConfigError, match="the plan gives ranges"):
        _sweep(plan)
    assert _sweep(plan, sampler="random", max_runs=2).tally.finished == 2  # type: ignore[union-attr]
    assert _sweep(plan, sampler="random", max_runs=2).tally.done_before == 2  # type: ignore[union-attr]
    assert _sweep(plan, sampler="tpe", max_runs=2).tally.finished == 2  # type: ignore[union-attr]


def _start(plan: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "entrypoints.sweep", "--plan", str(plan), "--workers", "2", "--threads", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_EXPERIMENT_NAME": "lab"}
    return subprocess.Popen(
        [*command, *options], cwd=plan.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output.decode()
    return str(output.decode())


def _workers(process: subprocess.Popen) -> Iterator[psutil.Process]:
    """The processes that fine-tune: children of the server process that forks them."""
    try:
        for server in psutil.Process(process.pid).children():
            yield from server.children()
    except psutil.Error:
        return


@pytest.mark.long
def test_killed_again_and_again_a_sweep_ends_with_one_complete_run_each_and_the_same_numbers(
    undisturbed: tuple[str, SweepResult], plan: Path, store: str
):
    """SIGKILL of a worker, of the sweep itself, and of both; then it is started again."""
    rng = random.Random(5)
    kills = 0
    process = _start(plan)
    deadline = time.monotonic() + 100
    while kills < 4 and time.monotonic() < deadline:
        busy = [run for run in read_records(["lab"]) if run.status == "RUNNING"] if kills else [None]
        workers = list(_workers(process))
        if process.poll() is not None:
            process = _start(plan)
        elif busy and workers:
            time.sleep(rng.uniform(0.0, 1.0))
            if kills % 3 == 2:
                process.kill()
                process.wait()
            else:
                rng.choice(workers).kill()
            kills += 1
        time.sleep(0.2)
    assert kills == 4
    process.wait(200)
    _finish(_start(plan))
    killed = read_records(["lab"])
    assert [run for run in killed if run.status == "RUNNING"] == []
    assert not [run for run in MlflowClient(store).search_runs(_experiments(store)) if run.info.status == "RUNNING"]
    rows = _rows(killed)
    assert len(rows) == 8
    assert rows == _rows(read_records(["lab"], tracking_uri=undisturbed[0]))


def _experiments(store: str) -> list[str]:
    return [experiment.experiment_id for experiment in MlflowClient(store).search_experiments()]


@pytest.mark.long
def test_two_sweeps_of_one_plan_at_once_share_the_work(plan: Path):
    first, second = _start(plan), _start(plan)
    texts = [_finish(first), _finish(second)]
    finished = [int(re.findall(r"(\d+) finished, ", text)[-1]) for text in texts]
    assert sum(finished) == 8
    records = read_records(["lab"])
    assert len(_rows(records)) == 8
    assert {record.status for record in records} == {"FINISHED"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_sweep_with_its_runs_killed(plan: Path, store: str, number: signal.Signals):
    process = _start(plan)
    client = MlflowClient(store)
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        found = client.get_experiment_by_name("lab")
        runs = client.search_runs([found.experiment_id]) if found else []
        if any(run.data.tags.get(keys.TAG_LEASE_STATE) == "held" for run in runs):
            break
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 130
    assert f"interrupted by {number.name}" in output.decode()
    runs = client.search_runs([client.get_experiment_by_name("lab").experiment_id])
    assert {run.info.status for run in runs} <= {"KILLED", "FINISHED"}
    parent = next(run for run in runs if run.data.tags[keys.TAG_KIND] == "sweep")
    assert (parent.info.status, parent.data.tags[keys.TAG_FAILURE]) == ("KILLED", f"interrupted by {number.name}")
