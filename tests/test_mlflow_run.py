"""The entry points as a person starts them: real processes, a real store, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.tiny import qa_rows, write_squad
from predictor.schema import keys

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def environ(store: str) -> dict[str, str]:
    folder = Path(sys.executable).parent
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def parameters(tiny_base: Path, tmp_path: Path) -> dict[str, str]:
    return {
        "dataset": str(write_squad(tmp_path / "train.json", qa_rows(32))),
        "eval_dataset": str(write_squad(tmp_path / "eval.json", qa_rows(20, start=100))),
        "base_model": str(tiny_base),
        "batch_size": "8",
        "tiers": "static",
    }


def _mlflow_run(verb: str, parameters: dict[str, str]) -> list[str]:
    pairs = [word for name, value in parameters.items() for word in ("-P", f"{name}={value}")]
    return [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", verb, "--env-manager", "local", *pairs]


def _direct(verb: str, parameters: dict[str, str]) -> list[str]:
    pairs = [word for name, value in parameters.items() for word in (f"--{name}", value)]
    return [sys.executable, "-m", f"entrypoints.{verb}", *pairs]


def _only_run() -> object:
    [run] = MlflowClient().search_runs(["0"])
    return run


def test_mlflow_run_makes_one_run_with_results_and_its_own_parameters(environ, parameters):
    done = subprocess.run(
        _mlflow_run("finetune", {**parameters, "epochs": "1"}), env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "score/exact_match" in done.stdout
    assert "compare the fine-tunes: http://127.0.0.1:5000/#/experiments/0/runs" in done.stdout
    run = _only_run()
    assert run.info.run_name == "train.json r8 lr0.0003 s1"
    assert run.info.status == "FINISHED"
    assert run.data.tags[keys.TAG_COMPLETE] == "true"
    assert run.data.params["batch_size"] == run.data.params["hp/batch_size"] == "8"
    assert len(run.data.params) <= 80


def test_an_unknown_parameter_is_one_clear_message_and_a_failed_run(environ, parameters):
    done = subprocess.run(
        _mlflow_run("probe", {**parameters, "lora_rank": "8"}), env=environ, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "error: unknown parameter 'lora_rank'" in done.stderr
    assert _only_run().info.status == "FAILED"


def test_a_missing_file_is_one_clear_message_without_a_traceback(environ, parameters):
    command = _direct("probe", {**parameters, "dataset": "absent.json"})
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert "absent.json" in done.stderr
    assert "Traceback" not in done.stderr
    run = _only_run()
    assert run.info.status == "FAILED"
    assert "absent.json" in run.data.tags[keys.TAG_FAILURE]


@pytest.mark.parametrize(
    ("through_mlflow", "number"), [(True, signal.SIGINT), (True, signal.SIGTERM), (False, signal.SIGTERM)]
)
def test_a_signal_ends_the_run_killed(environ, parameters, through_mlflow: bool, number: signal.Signals):
    command = (_mlflow_run if through_mlflow else _direct)("finetune", {**parameters, "max_steps": "100000"})
    process = subprocess.Popen(
        command,
        env=environ,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        _wait_for_training()
        if number is signal.SIGINT:
            os.killpg(process.pid, number)  # the terminal sends Ctrl-C to the whole group
        else:
            process.send_signal(number)
        process.wait(timeout=30)
        _wait_for(lambda: _only_run().info.status == "KILLED", seconds=30.0)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    run = _only_run()
    assert run.info.status == "KILLED"
    assert "interrupted by SIG" in run.data.tags[keys.TAG_FAILURE]
    assert keys.TAG_COMPLETE not in run.data.tags
    assert process.returncode != 0


def _wait_for_training() -> None:
    """Until the run has read its data, written its params, and had a moment to take its first steps."""
    _wait_for(lambda: any("hp/lora_r" in run.data.params for run in MlflowClient().search_runs(["0"])))
    time.sleep(1.0)


def _wait_for(condition, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
